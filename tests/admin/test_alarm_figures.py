"""The page of key figures: what it says with nothing, with little, and with a month of alarms."""

from datetime import timedelta

import pytest

from sensors.models import Alarm, AlarmPolicy
from sensors.services.alarms.handling import acknowledge_alarm, shelve_alarm
from sensors.services.alarms.key_figures import read_alarm_figures
from sensors.services.alarms.watching import watch_alarms
from smartmaint import clock
from tests.alarms import end_all, raised
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

PAGE = "/admin/sensors/alarm/figures/"
MINUTE = timedelta(minutes=1)


def words(client, query: str = "") -> str:
    answer = client.get(PAGE + query)
    assert answer.status_code == 200
    return answer.content.decode()


def come_and_go(plant, times: int, *, begin, every: timedelta) -> None:
    for number in range(times):
        with clock.frozen(begin + number * every):
            alarm = raised(plant)
        with clock.frozen(begin + number * every + every / 4):
            acknowledge_alarm(alarm=alarm, by=plant.technician.user)
            end_all(alarm)
            watch_alarms()


def test_before_the_first_alarm_nothing_is_said(manager_client, organization):
    page = words(manager_client)
    assert page.count("not enough data") == 5
    assert "There was no alarm yet" in page
    assert read_alarm_figures(organization, days=30).figures is None


def test_a_first_hour_is_not_enough_for_rates(manager_client, plant):
    raised(plant)
    page = words(manager_client)
    assert "rates are told from a day of alarms on" in page
    assert page.count("not enough data") == 4


def test_a_month_is_told_with_what_calls_most(manager_client, plant, organization):
    begin = clock.now() - timedelta(days=20)
    come_and_go(plant, 4, begin=begin, every=15 * MINUTE)
    come_and_go(
        make_plant(organization, name="fan-1"),
        3,
        begin=begin + timedelta(days=1),
        every=timedelta(seconds=16),
    )
    come_and_go(make_plant(organization, name="belt-1"), 1, begin=begin + timedelta(days=2), every=MINUTE)
    AlarmPolicy.objects.update(operators=2)

    found = read_alarm_figures(organization, days=30)
    assert found.figures.calls == 8
    assert found.figures.per_person_hour == pytest.approx(8 / (20 * 24) / 2, rel=1e-3)
    assert found.figures.peak == 3
    assert [(found.names[one.point], one.calls) for one in found.figures.frequent] == [
        ("PUMP-7 Pump pump-7: Vibration", 4),
        ("FAN-1 Pump fan-1: Vibration", 3),
        ("BELT-1 Pump belt-1: Vibration", 1),
    ]
    # Of 4 s three times, 15 s, and 3 min 45 s four times.
    assert found.minutes_to_acknowledge == pytest.approx(2.0)
    page = words(manager_client)
    assert "chatters: 3 calls in a minute" in page
    assert "repeats: 4 calls in an hour" in page


def test_who_lets_an_alarm_come_and_go_has_waited_since_it_called_first(plant, organization):
    begin = clock.now() - timedelta(days=2)
    for hours in range(0, 25, 5):
        for minutes in (0, 20, 40):
            with clock.frozen(begin + timedelta(hours=hours, minutes=minutes)):
                alarm = raised(plant)
            with clock.frozen(begin + timedelta(hours=hours, minutes=minutes + 10)):
                end_all(alarm)
                watch_alarms()
        with clock.frozen(begin + timedelta(hours=hours, minutes=60)):
            acknowledge_alarm(alarm=Alarm.objects.get(pk=alarm.pk), by=plant.technician.user)
    assert read_alarm_figures(organization, days=30).minutes_to_acknowledge == pytest.approx(60)


def test_only_the_period_counts(manager_client, plant, organization):
    come_and_go(plant, 3, begin=clock.now() - timedelta(days=20), every=15 * MINUTE)
    found = read_alarm_figures(organization, days=7)
    assert (found.figures.calls, found.figures.hours) == (0, 168.0)
    page = words(manager_client, "?days=7")
    assert '<strong class="risk risk--low">0</strong>' in page
    assert "No calls in this time; shares take 20." in page


def test_what_stands_and_what_is_set_aside(manager_client, plant, manager, organization):
    with clock.frozen(clock.now() - timedelta(days=2)):
        standing = raised(plant)
        shelved = raised(make_plant(organization, name="fan-1"))
    shelve_alarm(alarm=shelved, by=manager, hours=1)
    raised(make_plant(organization, name="belt-1"))
    found = read_alarm_figures(organization, days=30)
    assert (found.standing, found.standing_count) == ([standing], 1)
    assert found.states == {"unacknowledged": 2, "shelved": 1}


def test_another_organisations_alarms_are_not_counted(organization, other_organization):
    raised(make_plant(other_organization, name="crusher"))
    assert read_alarm_figures(organization, days=30).figures is None


def test_a_period_that_there_is_not_is_refused(manager_client):
    for days in ("0", "31", "", "abc", "9" * 50):
        assert manager_client.get(f"{PAGE}?days={days}").status_code == 400


def test_technicians_have_their_own_pages_and_the_operator_chooses(technician_client, operator_client):
    assert technician_client.get(PAGE).status_code == 403
    assert "Choose one" in words(operator_client)
