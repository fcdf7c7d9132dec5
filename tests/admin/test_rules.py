"""A manager tries a rule on the past month before it counts, and adds usual rules that came after the organisation."""

import pytest

from sensors.models import Anomaly, ValidationRule
from sensors.services.rules import USUAL_RULES, seed_validation_rules
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


# The usual rules

USUAL = "/admin/sensors/validationrule/add-usual/"


def names(organization) -> set[str]:
    return set(ValidationRule.objects.filter(organization=organization).values_list("name", flat=True))


@pytest.fixture
def older(organization):
    """An organisation that was there before two of the usual rules."""
    ValidationRule.objects.filter(name__in=["Level shift", "Slow drift"]).delete()
    return organization


def test_missing_usual_rules_are_named_and_then_added(older, manager_client):
    assert USUAL in manager_client.get("/admin/sensors/validationrule/").content.decode()
    page = manager_client.get(USUAL).content.decode()
    assert "These are missing: Level shift, Slow drift." in page
    assert "Level shift" not in names(older)

    response = manager_client.post(USUAL, follow=True)
    assert "Added: Level shift, Slow drift." in response.content.decode()
    assert names(older) == {rule.name for rule in USUAL_RULES}


def test_where_none_is_missing_none_is_added(organization, manager_client):
    page = manager_client.get(USUAL).content.decode()
    assert "No usual rule is missing." in page
    assert 'type="submit">Add' not in page
    before = ValidationRule.objects.count()

    response = manager_client.post(USUAL, follow=True)
    assert "No usual rule was missing." in response.content.decode()
    assert ValidationRule.objects.count() == before
    assert seed_validation_rules(organization) == []


def test_a_rule_that_was_changed_switched_off_or_renamed_stays_as_it_is(older, manager_client):
    rules = ValidationRule.objects.filter(organization=older)
    rules.filter(name="Beyond a limit").update(adjustment=-0.7, value="profile")
    rules.filter(name="Just repaired").update(is_active=False)
    rules.filter(name="Sudden jump").update(name="Jump", adjustment=0.4)
    before = set(rules.values_list("pk", "name", "value", "adjustment", "is_active"))

    manager_client.post(USUAL)
    after = set(rules.values_list("pk", "name", "value", "adjustment", "is_active"))
    assert before < after
    assert {name for _, name, *_ in after - before} == {"Level shift", "Slow drift"}


def test_usual_rules_are_added_to_the_own_organisation_alone(older, other_organization, manager_client):
    ValidationRule.objects.filter(organization=other_organization).delete()
    manager_client.post(USUAL)
    assert names(other_organization) == set()


def test_managers_add_usual_rules(older, technician_client, viewer_client, operator_client):
    before = names(older)
    for client in (technician_client, viewer_client, operator_client):  # who has chosen no organisation
        assert client.post(USUAL).status_code == 403
    assert USUAL not in viewer_client.get("/admin/sensors/validationrule/").content.decode()
    assert names(older) == before
