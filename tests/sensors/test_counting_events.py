"""Machine events that a rule counts: the count is the readings of a sensor."""

from datetime import timedelta

import pytest

from equipment.models import FailureMode
from sensors.agents import count_events
from sensors.models import EventCount, EventRule, Limit, MachineEvent, Reading, ReadingBatch, Sensor
from sensors.services import counting
from sensors.services.event_counts import recount_rule
from smartmaint import clock
from tests.event_rules import NOW, counts, later, make_rule, report, work
from tests.plants import make_plant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ten_o_clock():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def rule(plant) -> EventRule:
    """Three errors of one machine within a day tell of vibration."""
    return make_rule(plant)


def test_each_matching_event_is_a_reading_of_how_many_there_are(plant, rule):
    report(plant, 5, 3, 1)
    count_events()

    sensor = EventCount.objects.get().sensor
    assert counts() == [(-5, 1), (-3, 2), (-1, 3)]
    assert (sensor.equipment, sensor.key) == (plant.machine, "PUMP-7/events/drive-errors")
    assert (sensor.quantity, sensor.unit) == ("event count", "1")
    limit = Limit.objects.get(sensor=sensor)
    assert (limit.level, limit.value, limit.failure_mode) == ("H", 3, plant.failure_mode)


def test_an_event_that_is_too_long_ago_counts_no_longer(plant, rule):
    report(plant, 5, 3)
    count_events()
    with later(18.99):
        count_events()
        assert counts() == [(-5, 1), (-3, 2)]
    with later(19):
        count_events()
        assert counts()[2:] == [(19, 1)]
    with later(30):
        count_events()
        assert counts()[2:] == [(19, 1), (21, 0)]
        assert EventCount.objects.get().next_change_at is None


def test_what_left_while_nobody_looked_is_told_when_it_left(plant, rule):
    report(plant, 5, 3, 3.5)
    with later(40):
        count_events()
        assert counts() == [(-5, 1), (-3.5, 2), (-3, 3), (19, 2), (20.5, 1), (21, 0)]


def test_the_same_event_again_changes_nothing(plant, rule):
    report(plant, 2, 1)
    work()
    before = counts(), ReadingBatch.objects.count()
    for message in ("", "", "other words", "other words"):
        report(plant, 2, 1, message=message)
        work()
    assert (counts(), ReadingBatch.objects.count()) == before


def test_several_at_once_are_one_reading(plant, rule):
    report(plant, 1, code="E10")
    report(plant, 1, code="E11")
    count_events()
    assert counts() == [(-1, 2)]


def test_a_late_event_has_the_window_that_it_touches_counted_anew(plant, rule):
    report(plant, 20, 10, 1)
    count_events()
    report(plant, 15)
    count_events()
    # And what holds now, which detection sees at once.
    assert counts() == [(-20, 1), (-15, 2), (-10, 3), (-1, 4), (0, 4)]


def test_an_event_of_another_kind_than_it_was_counts_no_longer(plant, rule):
    report(plant, 3, 2, 1)
    count_events()
    report(plant, 2, kind="state")
    count_events()
    assert counts() == [(-3, 1), (-2, 1), (-1, 2), (0, 2)]


def test_an_event_of_a_clock_that_is_ahead_counts_when_it_is_time(plant, rule):
    report(plant, -0.05, 1)
    count_events()
    assert counts() == [(-1, 1)]
    with later(0.1):
        count_events()
        assert counts() == [(-1, 1), (0.05, 2)]


def test_a_code_of_many_stars_is_read_at_once(plant):
    rule = make_rule(plant, code="*a" * 40)
    assert rule.has_code("a" * 40)
    assert not rule.has_code("a" * 99 + "b")


@pytest.mark.parametrize(
    ("code", "matching"),
    [
        ("E1", ["E1"]),
        ("E1*", ["E1", "E17", "E1.7"]),
        ("*7", ["E17", "e17", "E1.7"]),
        ("E*7", ["E17", "E1.7"]),
        ("E1.*", ["E1.7"]),
        ("*", ["E1", "E17", "e17", "E1.7", "XE1"]),
        ("*1*7", ["E17", "e17", "E1.7"]),
        ("E1*1", []),
        ("E_7", []),
        ("E%", []),
    ],
)
def test_a_star_stands_for_anything_and_all_else_for_itself(plant, code, matching):
    rule = make_rule(plant, code=code)
    codes = ["E1", "E17", "e17", "E1.7", "XE1"]
    for one in codes:
        report(plant, 1, code=one)
    assert [one for one in codes if rule.has_code(one)] == matching
    assert set(MachineEvent.objects.filter(rule.counted).values_list("code", flat=True)) == set(matching)
    count_events()
    told = Reading.objects.filter(sensor__quantity="event count").values_list("value", flat=True)
    assert list(told) == ([len(matching)] if matching else [])


@pytest.mark.parametrize(
    ("reported", "kinds"),
    [
        ("fault", ["fault"]),
        ("error", ["fault", "error"]),
        ("warning", ["fault", "error", "warning"]),
        ("state", ["state"]),
        ("other", ["other"]),
        ("any", ["fault", "error", "warning", "state", "other"]),
    ],
)
def test_kinds_from_a_severity_on_or_one_kind(plant, reported, kinds):
    make_rule(plant, reported=reported)
    for number, kind in enumerate(["fault", "error", "warning", "state", "other"]):
        report(plant, number + 1, kind=kind)
    count_events()
    assert len(counts()) == len(kinds)


def test_only_machines_of_the_class_are_watched(plant, organization, rule):
    other = make_plant(organization, name="fan-1")
    other.machine.equipment_class = (
        type(rule.equipment_class)
        .objects.exclude(pk=rule.equipment_class_id)
        .filter(organization=organization)
    )[0]
    other.machine.save()
    report(other, 1)
    assert not EventCount.objects.exists()
    unknown = FailureMode.objects.unknown_of(organization.pk)
    make_rule(plant, name="All", equipment_class=None, failure_mode=unknown)
    report(other, 2)
    assert EventCount.objects.get().equipment == other.machine


def test_another_organisation_s_events_and_rules_are_not_touched(plant, rule, other_organization):
    other = make_plant(other_organization, name="Pump-7")  # of the same tag
    report(other, 3, 2, 1)
    work()
    assert not EventCount.objects.exists()
    foreign = make_rule(other)
    report(plant, 1)
    recount_rule(foreign)
    count_events()
    of_plant = EventCount.objects.get(rule=rule)
    assert (of_plant.organization, of_plant.equipment) == (plant.organization, plant.machine)
    of_other = EventCount.objects.get(rule=foreign)
    assert (of_other.organization, of_other.equipment) == (other_organization, other.machine)
    assert [value for _, value in counts(of_plant.sensor)] == [1]


def test_two_rules_count_each_for_itself(plant, rule):
    make_rule(plant, name="Faults", code="*", reported="fault", within_hours=1)
    report(plant, 0.5, kind="fault")
    report(plant, 0.25)
    count_events()
    of_rule = {one.rule.name: counts(one.sensor) for one in EventCount.objects.all()}
    assert of_rule == {"Drive errors": [(-0.5, 1), (-0.25, 2)], "Faults": [(-0.5, 1)]}


def test_a_name_that_is_taken_gives_another_key(plant, rule):
    Sensor.objects.create(
        organization=plant.organization,
        equipment=plant.machine,
        key="PUMP-7/events/drive-errors",
        quantity="x",
        unit="1",
    )
    report(plant, 1)
    count_events()
    assert EventCount.objects.get().sensor.key == f"PUMP-7/events/drive-errors-{rule.pk}"


def test_a_renamed_rule_machine_or_sensor_is_the_same_count(plant, rule):
    report(plant, 2)
    count_events()
    rule.name, plant.machine.tag = "Other", "P-7"
    rule.save()
    plant.machine.save()
    Sensor.objects.filter(quantity="event count").update(key="something else")
    report(plant, 1)
    count_events()
    assert counts() == [(-2, 1), (-1, 2)]
    assert Sensor.objects.filter(quantity="event count").count() == 1


def test_many_are_counted_a_step_at_a_time(plant, rule, monkeypatch):
    hours = [age / 10 for age in range(1, 400)]
    report(plant, *hours)
    monkeypatch.setattr(counting, "MOMENTS_AT_ONCE", 7)
    count_events()
    at = [-age for age in hours]
    expected = sorted({round(ts, 4) for ts in (*at, *(one + 24 for one in at)) if ts <= 0})
    assert [round(ts, 4) for ts, _ in counts()] == pytest.approx(expected)
    told = {round(ts, 4): value for ts, value in counts()}
    for ts, value in told.items():
        assert value == sum(ts - 24 + 1e-6 < one <= ts + 1e-6 for one in at), ts


def test_what_readings_are_too_old_for_is_not_told(plant, rule):
    report(plant, 1)
    EventCount.objects.update(recount_from=NOW - timedelta(days=5000))
    count_events()
    assert counts() == [(-1, 1)]


def test_a_worker_that_is_killed_after_it_wrote_loses_and_doubles_nothing(plant, rule):
    report(plant, 2, 1)
    counting.tell_count(EventCount.objects.get())  # and was killed before it settled
    assert EventCount.objects.due().count() == 1
    count_events()
    assert counts() == [(-2, 1), (-1, 2)]
    assert EventCount.objects.due().count() == 0


def test_an_event_that_comes_while_it_counts_is_not_lost(plant, rule, monkeypatch):
    report(plant, 2)
    tell = counting.ingest_readings

    def and_another_comes(**request):
        monkeypatch.undo()
        report(plant, 1)
        return tell(**request)

    monkeypatch.setattr(counting, "ingest_readings", and_another_comes)
    count_events()
    assert EventCount.objects.due().count() == 0
    assert counts() == [(-2, 1), (-1, 2)]


def test_the_request_and_its_mark_are_stored_together(plant, rule, monkeypatch):
    def fails(*_):
        raise RuntimeError

    monkeypatch.setattr("sensors.services.events.mark_counts", fails)
    with pytest.raises(RuntimeError):
        report(plant, 1)
    assert not MachineEvent.objects.exists()


def test_without_a_rule_nothing_is_counted(plant):
    report(plant, 1)
    count_events()
    assert not EventCount.objects.exists()


def test_a_count_that_a_person_switched_off_stays_as_it_is(plant, rule):
    report(plant, 2)
    count_events()
    Sensor.objects.filter(quantity="event count").update(is_active=False)
    report(plant, 1)
    count_events()
    assert counts() == [(-2, 1)]
    assert EventCount.objects.due().count() == 0
