"""From a credible anomaly to the one alarm of its machine and failure mode."""

from datetime import timedelta
from functools import partial
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Criticality, FailureMode
from sensors.agents import detect_anomalies, validate_anomalies, watch_alarms
from sensors.models import Alarm, AlarmCause, AlarmEntry, AlarmPolicy, Anomaly, Level
from sensors.services.alarms.handling import acknowledge_alarm, shelve_alarm
from sensors.services.alarms.raising import raise_alarm
from sensors.services.alarms.suppressing import suppress_alarms
from sensors.services.judgement import settle_anomaly
from smartmaint import clock
from smartmaint.notifications.models import Notification
from tests.alarms import end, end_all, journal, notice, raised
from tests.plants import make_limit, make_sensor, post

pytestmark = pytest.mark.django_db


def test_a_reading_beyond_a_limit_becomes_an_alarm_that_people_are_told_of(plant):
    post(plant.sensor, [2.0, 2.1, 7.9])
    detect_anomalies()
    validate_anomalies()

    alarm = Alarm.objects.get()
    assert (alarm.equipment, alarm.failure_mode) == (plant.machine, plant.failure_mode)
    assert (alarm.state, alarm.severity) == ("unacknowledged", "minor")
    assert alarm.summary == "pump-7/vibration: 7.9 mm/s, beyond its high limit of 7.1 mm/s"
    assert journal(alarm) == [("raised", "unacknowledged")]
    assert list(alarm.anomalies.all()) == [Anomaly.objects.get()]


def test_technicians_are_told_first(plant, manager):
    plant.machine.criticality = Criticality.A
    plant.machine.save()
    alarm = raised(plant)

    (told,) = Notification.objects.all()
    assert told.recipient == plant.technician.user
    assert told.subject == "PUMP-7 Pump pump-7: Vibration"
    assert told.link == f"/alarms/{alarm.pk}/"
    assert told.severity == "major"


@pytest.mark.parametrize("status", ["needs_a_look", "suspected_false"])
def test_only_what_is_credible_becomes_an_alarm(plant, status):
    assert raise_alarm(anomaly=notice(plant.sensor, limit=plant.limit, status=status)) is None
    assert not Alarm.objects.exists()


def test_what_was_over_when_a_person_settled_it_calls_nobody(plant, manager):
    moment = clock.now()
    over = notice(plant.sensor, limit=plant.limit, status="needs_a_look", started_at=moment, ended_at=moment)
    settle_anomaly(anomaly=over, is_credible=True, user=manager)
    assert not Alarm.objects.exists()


def test_what_became_credible_long_after_it_was_over_calls_nobody(plant):
    began_at = clock.now() - timedelta(hours=3)
    over = {"limit": plant.limit, "started_at": began_at}
    assert raise_alarm(anomaly=notice(plant.sensor, **over, ended_at=began_at + timedelta(hours=1))) is None
    assert raise_alarm(anomaly=notice(plant.sensor, **over | {"started_at": clock.now()}, ended_at=None))


def test_a_peak_that_is_over_when_it_is_judged_calls_all_the_same(plant):
    began_at = clock.now() - timedelta(minutes=5)
    raise_alarm(anomaly=notice(plant.sensor, limit=plant.limit, started_at=began_at, ended_at=clock.now()))
    watch_alarms()
    assert Alarm.objects.get().state == "returned_unacknowledged"


def test_what_goes_on_when_a_person_settles_it_becomes_an_alarm(plant, manager):
    going_on = notice(plant.sensor, limit=plant.limit, status="needs_a_look")
    settle_anomaly(anomaly=going_on, is_credible=True, user=manager)
    assert Alarm.objects.get().state == "unacknowledged"


def test_raising_it_again_changes_nothing(plant):
    anomaly = notice(plant.sensor, limit=plant.limit)
    assert raise_alarm(anomaly=anomaly) == raise_alarm(anomaly=anomaly)
    assert AlarmEntry.objects.count() == AlarmCause.objects.count() == Alarm.objects.count() == 1


def test_anomalies_of_one_failure_mode_are_one_alarm(plant):
    second = make_sensor(plant.machine, "pump-7/vibration-nde")
    limit = make_limit(second, value=7.0, failure_mode=plant.failure_mode)
    alarm = raised(plant)
    assert raise_alarm(anomaly=notice(second, limit=limit)) == alarm
    assert alarm.causes.count() == 2
    assert journal(alarm) == [("raised", "unacknowledged"), ("raised", "unacknowledged")]
    assert AlarmEntry.objects.filter(is_annunciation=True).count() == 1


def test_a_drift_towards_a_limit_and_passing_it_are_one_alarm(plant):
    first = raise_alarm(anomaly=notice(plant.sensor))
    assert (first.failure_mode, first.severity) == (plant.failure_mode, "warning")
    alarm = raised(plant)
    assert alarm == first
    assert alarm.severity == "minor"
    assert journal(alarm)[-1] == ("worsened", "unacknowledged")


def test_a_drift_away_from_every_limit_is_of_unknown_mode(plant):
    alarm = raise_alarm(anomaly=notice(plant.sensor, direction="low"))
    assert alarm.failure_mode.code == FailureMode.UNKNOWN


def test_the_unknown_mode_is_made_where_somebody_deleted_it(plant):
    FailureMode.objects.filter(organization=plant.organization, code="UNK").delete()
    bare = make_sensor(plant.machine, "pump-7/oil")
    assert raise_alarm(anomaly=notice(bare)).failure_mode.name == "Unknown"


def test_silence_is_an_alarm_of_the_instrument(plant):
    alarm = raise_alarm(anomaly=notice(plant.sensor, kind=Anomaly.Kind.NO_DATA))
    assert alarm.failure_mode.code == "AIR"
    assert alarm.severity == "minor"
    assert "no data since" in alarm.summary


def test_getting_worse_calls_people_again_who_had_acknowledged(plant, manager):
    alarm = raised(plant)
    alarm.state, alarm.acknowledged_at, alarm.acknowledged_by = "acknowledged", clock.now(), manager
    alarm.save()
    worse = make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level=Level.HIGH_HIGH)
    raise_alarm(
        anomaly=notice(
            plant.sensor,
            limit=worse,
            started_at=clock.now() + timedelta(seconds=1),
            ended_at=clock.now() + timedelta(seconds=2),
        )
    )
    alarm.refresh_from_db()
    assert (alarm.state, alarm.severity, alarm.acknowledged_by) == ("unacknowledged", "major", None)


def worsened(plant) -> Alarm:
    """The alarm of the plant's one anomaly, once that has passed a further limit."""
    worse = make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level=Level.HIGH_HIGH)
    Anomaly.objects.update(limit=worse, level=worse.level)
    return raise_alarm(anomaly=Anomaly.objects.get())


def test_getting_worse_brings_it_back_from_the_shelf(plant, manager):
    shelve_alarm(alarm=raised(plant), by=manager, hours=72)
    alarm = worsened(plant)
    assert (alarm.state, alarm.severity, alarm.shelved_until) == ("unacknowledged", "major", None)
    assert journal(alarm)[-1] == ("worsened", "unacknowledged")
    assert alarm.entries.last().is_annunciation


def test_getting_worse_while_the_machine_is_worked_on_calls_nobody(plant, manager):
    shelve_alarm(alarm=raised(plant), by=manager, hours=72)
    suppress_alarms(equipment=plant.machine, key="task 1", reason="a new bearing")
    alarm = worsened(plant)
    assert alarm.state == "suppressed_by_design"
    assert not alarm.entries.last().is_annunciation


@pytest.mark.parametrize("kind", [Anomaly.Kind.PROFILE, Anomaly.Kind.NO_DATA])
@pytest.mark.parametrize("set_aside", [acknowledge_alarm, partial(shelve_alarm, hours=8)])
def test_a_mode_that_names_no_fault_calls_again_for_another_sensor(plant, manager, kind, set_aside):
    """What another sensor shows may well be another fault; the same sensor again is the same."""
    flow, oil = (make_sensor(plant.machine, f"pump-7/{name}") for name in ("flow", "oil"))
    first = raise_alarm(anomaly=notice(flow, kind=kind))
    set_aside(alarm=first, by=manager)
    state = Alarm.objects.get().state
    end_all(first)
    later = clock.now() + timedelta(hours=4)
    assert raise_alarm(anomaly=notice(flow, kind=kind, started_at=later)).state == state
    alarm = raise_alarm(anomaly=notice(oil, kind=kind))
    assert (alarm.pk, alarm.state, alarm.acknowledged_by) == (first.pk, "unacknowledged", None)
    assert "pump-7/oil" in alarm.summary


def test_another_sensor_calls_nobody_while_the_machine_is_worked_on(plant, manager):
    flow, oil = (make_sensor(plant.machine, f"pump-7/{name}") for name in ("flow", "oil"))
    acknowledge_alarm(alarm=raise_alarm(anomaly=notice(flow)), by=manager)
    suppress_alarms(equipment=plant.machine, key="task 1", reason="a new bearing")
    assert raise_alarm(anomaly=notice(oil)).state == "suppressed_by_design"


def test_another_sensor_of_a_mode_that_is_known_is_the_same_fault(plant, manager):
    second = make_sensor(plant.machine, "pump-7/vibration-nde")
    acknowledge_alarm(alarm=raised(plant), by=manager)
    limit = make_limit(second, value=7.0, failure_mode=plant.failure_mode)
    assert raise_alarm(anomaly=notice(second, limit=limit)).state == "acknowledged"


def test_a_limit_says_whether_its_alarm_latches(plant):
    plant.limit.is_latching = True
    plant.limit.save()
    assert raised(plant).is_latching


def test_the_database_holds_one_open_alarm_per_machine_and_mode(plant):
    alarm = raised(plant)
    alarm.pk = None
    with pytest.raises(IntegrityError, match="alarm_open_once"), transaction.atomic():
        alarm.save()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"state": "normal"}, "alarm_normal_is_closed"),
        ({"state": "shelved"}, "alarm_shelved_for_a_time"),
        ({"state": "acknowledged"}, "alarm_acknowledged_by_somebody"),
        ({"is_active": False}, "alarm_standing_is_abnormal"),
        ({"state": "loud"}, "alarm_state"),
        ({"severity": "deadly"}, "alarm_severity"),
    ],
)
def test_the_database_refuses_what_no_alarm_can_be(plant, change, constraint):
    alarm = raised(plant)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Alarm.objects.filter(pk=alarm.pk).update(**change)


def test_after_it_is_over_another_excursion_is_another_alarm(plant, manager):
    first = raised(plant)
    end(first.anomalies.get())
    watch_alarms()
    first.refresh_from_db()
    assert first.state == "returned_unacknowledged"
    Alarm.objects.filter(pk=first.pk).update(state="normal", closed_at=clock.now())
    assert raised(plant, started_at=clock.now() + timedelta(minutes=1)) != first


def test_a_new_organisation_has_the_usual_policy(organization):
    policy = AlarmPolicy.objects.get(organization=organization)
    assert (policy.flood_from, policy.escalate_critical_min) == (10, 15)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_one_alarm(plant):
    second = make_sensor(plant.machine, "pump-7/vibration-nde")
    limit = make_limit(second, value=7.0, failure_mode=plant.failure_mode)
    anomalies = [notice(plant.sensor, limit=plant.limit), notice(second, limit=limit)]
    start, found = Barrier(2), []

    def work(anomaly):
        try:
            start.wait(timeout=10)
            found.append(raise_alarm(anomaly=anomaly))
        finally:
            connection.close()

    threads = [Thread(target=work, args=[anomaly]) for anomaly in anomalies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 2
    assert found[0] == found[1]
    assert Alarm.objects.count() == 1
    assert AlarmCause.objects.count() == 2
