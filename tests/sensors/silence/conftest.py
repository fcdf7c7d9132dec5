from collections.abc import Iterator

import pytest

from smartmaint import clock
from tests.plants import make_plant
from tests.sensors.silence.days import START, Day


@pytest.fixture
def day(db) -> Day:
    return Day()


@pytest.fixture
def plant(organization):
    """Its sensor is to send every 5 minutes, so it is silent after 15."""
    return make_plant(organization)


@pytest.fixture(autouse=True)
def afternoon() -> Iterator[None]:
    with clock.frozen(START):
        yield
