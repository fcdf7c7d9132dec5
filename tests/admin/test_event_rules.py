"""A manager makes and changes the rules by which machine events are an anomaly."""

import pytest

from equipment.models import FailureMode
from sensors.agents import count_events
from sensors.models import EventCount, EventRule, Limit, MachineEvent
from smartmaint import clock
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

RULES, COUNTS = "/admin/sensors/eventrule/", "/admin/sensors/eventcount/"


@pytest.fixture
def form(plant):
    return {
        "name": "Drive errors",
        "is_active": "on",
        "equipment_class": plant.machine.equipment_class_id,
        "reported": "error",
        "code": "E1*",
        "times": "2",
        "within_hours": "24",
        "failure_mode": plant.failure_mode.pk,
    }


@pytest.fixture
def event(plant) -> MachineEvent:
    return MachineEvent.objects.create(
        organization=plant.organization, equipment=plant.machine, code="E17", at=clock.now()
    )


def test_a_new_rule_counts_what_was_reported_already(manager_client, plant, form, event):
    assert manager_client.post(f"{RULES}add/", form).status_code == 302
    count_events()
    count = EventCount.objects.select_related("rule", "sensor__latest").get()
    assert (count.rule.name, count.equipment, count.sensor.latest.value) == ("Drive errors", plant.machine, 1)
    assert "2 × errors and faults, E1*, within 24 h" in manager_client.get(RULES).content.decode()
    assert count.sensor.key in manager_client.get(COUNTS).content.decode()
    assert manager_client.get(f"{COUNTS}{count.pk}/change/").status_code == 200


def test_a_changed_rule_is_kept_with_its_history_and_its_limits_follow(manager_client, form, event):
    manager_client.post(f"{RULES}add/", form)
    count_events()
    rule = EventRule.objects.get()
    assert manager_client.post(f"{RULES}{rule.pk}/change/", form | {"times": "5"}).status_code == 302
    count_events()
    assert list(rule.history.values_list("times", "history_user__username")) == [(5, "mina"), (2, "mina")]
    assert Limit.objects.get(sensor__event_count__rule=rule).value == 5


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"times": "0"}, "times"),
        ({"within_hours": "721"}, "within_hours"),
        ({"within_hours": "nan"}, "within_hours"),
        ({"code": ""}, "code"),
        ({"equipment_class": ""}, "failure_mode"),
    ],
)
def test_what_no_rule_can_be_is_told_at_its_field(manager_client, form, wrong, field):
    response = manager_client.post(f"{RULES}add/", form | wrong)
    assert list(response.context["adminform"].form.errors) == [field]
    assert not EventRule.objects.exists()


def test_another_organisation_s_mode_and_rule_are_none(
    manager_client, outsider_client, other_organization, form, event
):
    foreign = FailureMode.objects.filter(organization=other_organization).first()
    response = manager_client.post(f"{RULES}add/", form | {"failure_mode": foreign.pk})
    assert list(response.context["adminform"].form.errors) == ["failure_mode"]
    manager_client.post(f"{RULES}add/", form)
    address = f"{RULES}{EventRule.objects.get().pk}/change/"
    assert outsider_client.get(address).status_code == 404
    assert outsider_client.post(address, form).status_code == 404


def test_technicians_change_no_rule(technician_client, form):
    assert technician_client.post(f"{RULES}add/", form).status_code == 403


def test_a_rule_that_counts_is_switched_off_and_not_deleted(manager_client, form, event):
    manager_client.post(f"{RULES}add/", form)
    rule = EventRule.objects.get()
    manager_client.post(f"{RULES}{rule.pk}/delete/", {"post": "yes"})
    assert EventRule.objects.exists()


def test_a_class_without_machines_counts_nothing(manager_client, organization, form, event):
    unknown = FailureMode.objects.unknown_of(organization.pk)
    other = make_plant(organization, name="fan-1").machine.equipment_class
    other = type(other).objects.exclude(pk=other.pk).filter(organization=organization).first()
    changed = {"equipment_class": other.pk, "failure_mode": unknown.pk}
    assert manager_client.post(f"{RULES}add/", form | changed).status_code == 302
    assert not EventCount.objects.exists()
