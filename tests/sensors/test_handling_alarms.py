"""What people do with alarms: acknowledge, shelve, take out, comment, assign; and what is refused."""

from datetime import timedelta

import pytest

from sensors.models import Alarm, AlarmPolicy
from sensors.services.alarms.handling import (
    acknowledge_alarm,
    assign_alarm,
    comment_alarm,
    put_back_into_service,
    reset_alarm,
    shelve_alarm,
    take_out_of_service,
    unshelve_alarm,
)
from sensors.services.alarms.moving import AlarmRefused
from sensors.services.alarms.watching import watch_alarms
from smartmaint import clock
from smartmaint.notifications.models import Notification
from tests.alarms import end_all, journal, raised

pytestmark = pytest.mark.django_db


@pytest.fixture
def alarm(plant) -> Alarm:
    return raised(plant)


def now(alarm: Alarm) -> Alarm:
    return Alarm.objects.get(pk=alarm.pk)


def test_acknowledging_is_kept_with_who_and_when(alarm, manager):
    acknowledge_alarm(alarm=alarm, by=manager, comment=" On my way ")
    entry = alarm.entries.last()
    assert (entry.kind, entry.by, entry.from_state, entry.to_state, entry.comment) == (
        "acknowledged",
        manager,
        "unacknowledged",
        "acknowledged",
        "On my way",
    )
    assert now(alarm).acknowledged_by == manager


def test_a_second_acknowledgement_says_who_was_first(alarm, manager, technician_user):
    acknowledge_alarm(alarm=alarm, by=manager)
    with pytest.raises(AlarmRefused, match="mina acknowledged it already"):
        acknowledge_alarm(alarm=alarm, by=technician_user)


def test_acknowledged_and_gone_is_over(alarm, manager):
    acknowledge_alarm(alarm=alarm, by=manager)
    end_all(alarm)
    watch_alarms()
    assert now(alarm).state == "normal"
    assert now(alarm).closed_at is not None
    with pytest.raises(AlarmRefused, match="An alarm that is normal cannot be acknowledged"):
        acknowledge_alarm(alarm=alarm, by=manager)


def test_gone_before_anybody_saw_it_waits_for_somebody(alarm, manager):
    end_all(alarm)
    watch_alarms()
    assert now(alarm).state == "returned_unacknowledged"
    acknowledge_alarm(alarm=alarm, by=manager)
    assert now(alarm).state == "normal"
    assert journal(alarm) == [
        ("raised", "unacknowledged"),
        ("returned", "returned_unacknowledged"),
        ("acknowledged", "normal"),
    ]


def test_a_latching_alarm_is_reset_by_a_person(plant, manager):
    plant.limit.is_latching = True
    plant.limit.save()
    alarm = raised(plant)
    end_all(alarm)
    watch_alarms()
    assert now(alarm).state == "latched_unacknowledged"
    acknowledge_alarm(alarm=alarm, by=manager)
    with pytest.raises(AlarmRefused):
        shelve_alarm(alarm=alarm, by=manager, hours=1)
    reset_alarm(alarm=alarm, by=manager)
    assert now(alarm).state == "normal"


def test_a_shelved_alarm_comes_back_by_itself_and_calls_again(alarm, manager):
    begin = clock.now()
    shelve_alarm(alarm=alarm, by=manager, hours=2, comment="Known")
    assert now(alarm).shelved_until > begin + timedelta(minutes=119)
    with clock.frozen(begin + timedelta(hours=1)):
        assert watch_alarms().settled == 0
    with clock.frozen(begin + timedelta(hours=3)):
        watch_alarms()
    assert now(alarm).state == "unacknowledged"
    assert now(alarm).shelved_until is None
    assert alarm.entries.filter(is_annunciation=True).count() == 2


def test_what_was_gone_when_the_shelf_gives_it_back_is_over(alarm, manager):
    shelve_alarm(alarm=alarm, by=manager, hours=1)
    end_all(alarm)
    watch_alarms()
    assert now(alarm).state == "shelved"
    with clock.frozen(clock.now() + timedelta(hours=2)):
        watch_alarms()
    assert now(alarm).state == "normal"


def test_a_shelved_alarm_that_is_taken_back_calls_at_once(alarm, manager):
    shelve_alarm(alarm=alarm, by=manager, hours=1)
    unshelve_alarm(alarm=alarm, by=manager)
    assert now(alarm).state == "unacknowledged"
    with pytest.raises(AlarmRefused):
        unshelve_alarm(alarm=alarm, by=manager)


@pytest.mark.parametrize("hours", [0, -1, 73, 1e9, float("nan")])
def test_nothing_is_shelved_for_no_time_or_too_long(alarm, manager, hours):
    with pytest.raises(AlarmRefused, match="at most 72 hours"):
        shelve_alarm(alarm=alarm, by=manager, hours=hours)
    AlarmPolicy.objects.update(longest_shelving_h=8)
    with pytest.raises(AlarmRefused, match="at most 8 hours"):
        shelve_alarm(alarm=alarm, by=manager, hours=9)


def test_out_of_service_until_it_is_put_back(plant, alarm, manager):
    with pytest.raises(AlarmRefused, match="Say why"):
        take_out_of_service(alarm=alarm, by=manager, reason="  ")
    take_out_of_service(alarm=alarm, by=manager, reason="Sensor on order")
    end_all(alarm)
    watch_alarms()
    again = raised(plant, started_at=clock.now() + timedelta(minutes=1))
    assert (again, again.state) == (alarm, "out_of_service")
    put_back_into_service(alarm=alarm, by=manager)
    assert now(alarm).state == "unacknowledged"


def test_comments_stand_in_the_journal(alarm, technician_user):
    comment_alarm(alarm=alarm, by=technician_user, comment="Smells of oil" + "!" * 600)
    entry = alarm.entries.last()
    assert (entry.kind, entry.by, len(entry.comment)) == ("comment", technician_user, 500)
    assert (entry.from_state, entry.to_state) == ("unacknowledged", "unacknowledged")
    with pytest.raises(AlarmRefused, match="Write something"):
        comment_alarm(alarm=alarm, by=technician_user, comment=" \n ")


def test_whom_an_alarm_is_given_to_is_told(alarm, manager, technician_user):
    Notification.objects.all().delete()
    assign_alarm(alarm=alarm, by=manager, assignee=technician_user)
    assert now(alarm).assigned_to == technician_user
    (told,) = Notification.objects.all()
    assert (told.recipient, told.subject) == (technician_user, "Yours: PUMP-7 Pump pump-7: Vibration")
    assign_alarm(alarm=alarm, by=manager, assignee=technician_user)
    assert Notification.objects.count() == 1
    assign_alarm(alarm=alarm, by=manager, assignee=None)
    assert now(alarm).assigned_to is None
    assert alarm.entries.last().comment == "to nobody"


def test_who_takes_an_alarm_needs_no_message(alarm, technician_user):
    Notification.objects.all().delete()
    assign_alarm(alarm=alarm, by=technician_user, assignee=technician_user)
    assert not Notification.objects.exists()


def test_nobody_elses_people_and_no_viewers_are_given_alarms(alarm, manager, outsider, viewer):
    for stranger in (outsider, viewer):
        with pytest.raises(AlarmRefused, match="does not handle alarms here"):
            assign_alarm(alarm=alarm, by=manager, assignee=stranger)
