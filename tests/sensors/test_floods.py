"""Floods: more alarms than anybody can read, and who is told of what meanwhile."""

from datetime import timedelta

import pytest

from sensors.models import Alarm, AlarmFlood, AlarmPolicy
from sensors.services.alarms.escalating import escalate_alarms
from sensors.services.alarms.watching import watch_alarms
from smartmaint import clock
from tests.alarms import end_all, hear_all, pass_outermost_limit, raised, told
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def flood(plant, technician_user):
    """Twelve alarms within a minute, of machines that all call."""
    hear_all(plant.organization, technician_user)
    for number in range(12):
        raised(make_plant(plant.organization, name=f"fan-{number}"))
    return technician_user


def test_ten_are_told_one_by_one_and_then_one_message_tells_of_all(flood):
    subjects = told(flood)
    assert len(subjects) == 11
    assert subjects[-1] == "Flood of alarms: 11 in ten minutes"
    assert AlarmFlood.objects.get().ended_at is None


def test_it_ends_when_it_is_calm_and_says_what_is_left(flood, organization):
    with clock.frozen(clock.now() + 5 * MINUTE):
        watch_alarms()
    assert AlarmFlood.objects.get().ended_at is None
    with clock.frozen(clock.now() + 11 * MINUTE):
        watch_alarms()
        watch_alarms()
    assert AlarmFlood.objects.get().alarms == 12
    assert told(flood)[-1] == ("The flood of alarms is over: 12 came, 12 wait to be acknowledged")
    assert len(told(flood)) == 12


def test_afterwards_each_is_told_again(flood, organization):
    with clock.frozen(clock.now() + 11 * MINUTE):
        watch_alarms()
        raised(make_plant(organization, name="fan-99"))
    assert told(flood)[-1] == "FAN-99 Pump fan-99: Vibration"


def test_another_organisation_is_not_flooded(flood, other_organization):
    other = make_plant(other_organization, name="crusher")
    hear_all(other_organization, other.technician.user)
    raised(other)
    assert told(other.technician.user) == ["CRUSHER Pump crusher: Vibration"]


def test_what_is_critical_is_told_by_itself_all_the_same_and_escalates(flood, manager, organization):
    hear_all(organization, manager)
    for name in ("press-1", "press-2"):
        pass_outermost_limit(make_plant(organization, name=name), criticality="A")
    assert told(flood)[-2:] == ["PRESS-1 Pump press-1: Vibration", "PRESS-2 Pump press-2: Vibration"]
    with clock.frozen(clock.now() + 16 * MINUTE):
        escalate_alarms()
    assert sorted(told(manager)) == [
        "Nobody acknowledged: PRESS-1 Pump press-1: Vibration",
        "Nobody acknowledged: PRESS-2 Pump press-2: Vibration",
    ]


def test_what_is_worse_than_all_that_was_told_is_told_by_itself_once(flood, organization):
    for name in ("press-1", "press-2"):
        pass_outermost_limit(make_plant(organization, name=name))
    assert told(flood)[-2:] == ["Flood of alarms: 11 in ten minutes", "PRESS-1 Pump press-1: Vibration"]
    assert AlarmFlood.objects.get().severity == "major"


def test_what_called_before_it_and_stays_is_told_when_its_hour_is_over(plant, organization):
    technician, begin = plant.technician.user, clock.now()
    hear_all(organization, technician)
    for minute in (0, 20):
        with clock.frozen(begin + minute * MINUTE):
            raised(plant)
            if minute == 0:
                end_all(Alarm.objects.get())
                watch_alarms()
    with clock.frozen(begin + 35 * MINUTE):
        for number in range(12):
            raised(make_plant(organization, name=f"fan-{number}"))
    assert AlarmFlood.objects.get().ended_at is None
    with clock.frozen(begin + 61 * MINUTE):
        watch_alarms()
    assert AlarmFlood.objects.get().ended_at is not None
    assert told(technician).count("PUMP-7 Pump pump-7: Vibration") == 2


def test_what_is_critical_and_came_back_in_it_is_told_when_its_hour_is_over(plant, organization):
    technician, begin = plant.technician.user, clock.now()
    hear_all(organization, technician)
    end_all(pass_outermost_limit(plant, criticality="A"))
    watch_alarms()
    with clock.frozen(begin + 35 * MINUTE):
        for number in range(12):
            raised(make_plant(organization, name=f"fan-{number}"))
        pass_outermost_limit(plant, criticality="A")
    for minute, messages in ((44, 1), (61, 2), (62, 2)):
        with clock.frozen(begin + minute * MINUTE):
            watch_alarms()
        assert told(technician).count("PUMP-7 Pump pump-7: Vibration") == messages, minute


def test_one_alarm_that_comes_and_goes_is_no_flood(plant, organization):
    technician, begin = plant.technician.user, clock.now()
    hear_all(organization, technician)
    for number in range(20):
        with clock.frozen(begin + number * MINUTE / 2):
            alarm = raised(plant)
            end_all(alarm)
            watch_alarms()
    assert not AlarmFlood.objects.exists()
    with clock.frozen(begin + 10 * MINUTE):
        raised(make_plant(organization, name="fan-1"))
    assert told(technician) == ["PUMP-7 Pump pump-7: Vibration", "FAN-1 Pump fan-1: Vibration"]


def test_nothing_escalates_one_by_one_meanwhile(flood, manager, organization):
    hear_all(organization, manager)
    AlarmPolicy.objects.update(escalate_minor_min=1)
    with clock.frozen(clock.now() + 5 * MINUTE):
        escalate_alarms()
    assert told(manager) == []
