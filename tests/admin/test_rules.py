"""A manager tries a rule on the past month before it counts."""

import pytest

from sensors.models import Anomaly, ValidationRule
from tests.admin.conftest import make_anomaly

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(plant):
    make_anomaly(plant)
    return ValidationRule.objects.create(
        organization=plant.organization,
        name="Unlike itself",
        fact="kind",
        operator="is",
        value="profile",
        adjustment=0.3,
        reason="It is unlike its own past",
        is_active=False,
    )


def address(rule) -> str:
    return f"/admin/sensors/validationrule/{rule.pk}/try/"


def test_the_page_tells_what_it_would_have_done(rule, manager_client):
    page = manager_client.get(address(rule)).content.decode()

    assert "What it would have done in the last 30 days" in page
    assert Anomaly.objects.get().sensor.key in page
    assert "from needs a look to credible" in page


def test_what_is_changed_for_the_trial_is_not_saved(rule, manager_client):
    query = {"fact": "kind", "operator": "is", "value": "profile", "adjustment": "-0.5"}
    response = manager_client.get(address(rule), query)

    assert "from needs a look to suspected false" in response.content.decode()
    assert ValidationRule.objects.get(pk=rule.pk).adjustment == 0.3


def test_what_cannot_be_read_is_told_and_not_tried(rule, manager_client):
    query = {"fact": "score", "operator": "at_least", "value": "much", "adjustment": "3"}
    page = manager_client.get(address(rule), query).content.decode()

    assert "is none" in page
    assert "What it would have done" not in page


def test_it_is_the_managers_of_the_organisation(rule, viewer_client, technician_client, outsider_client):
    answers = [client.get(address(rule)).status_code for client in (viewer_client, technician_client)]
    assert answers == [403, 403]
    assert outsider_client.get(address(rule)).status_code == 404
