"""What the tests of predictions start from."""

import pytest

from tests.plants import Plant, make_plant


@pytest.fixture
def plant(organization) -> Plant:
    return make_plant(organization)
