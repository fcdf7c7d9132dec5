"""What is old goes, each organisation's at its own time; what people and detection still need stays."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from equipment.models import Equipment
from sensors import agents, storage
from sensors.ingest.checks import DAY_US, DEFAULT_WINDOW_PAST_US
from sensors.models import (
    Alarm,
    AlarmEntry,
    Anomaly,
    DailyRollup,
    FiveMinuteRollup,
    HourlyRollup,
    IngestPolicy,
    MachineEvent,
    Reading,
    ReadingBatch,
    RefusedRequests,
    RejectedReading,
    Sensor,
    SensorLatest,
    SparkplugBirth,
)
from sensors.models.ingest import LONGEST_LOOK_BACK_DAYS
from sensors.services import retention
from sensors.services.alarms.handling import acknowledge_alarm, comment_alarm
from sensors.services.alarms.watching import watch_alarms
from sensors.services.births import keep_births
from sensors.services.retention import drop_old_readings, window_past_us
from sensors.storage.kinds import make_partitions
from smartmaint import clock
from smartmaint import retention as steps
from smartmaint.accounts.models import Organization, User
from smartmaint.models import AgentRun
from smartmaint.retention import Dropped
from tests.alarms import end_all, journal, raised
from tests.plants import Plant, make_plant, make_sensor, post

NOW = datetime(2026, 8, 20, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def at_now():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def sensor(plant) -> Sensor:
    return plant.sensor


@pytest.fixture
def other_plant(other_organization) -> Plant:
    return make_plant(other_organization, name="crusher-1")


@pytest.fixture
def other_sensor(other_plant) -> Sensor:
    return other_plant.sensor


def keep_for(organization: Organization, days: int) -> None:
    IngestPolicy.objects.filter(organization=organization).update(retention_days=days)


def store(sensor: Sensor, *moments: datetime, value: float = 1.0) -> None:
    make_partitions(storage.microseconds(min(moments)), storage.microseconds(max(moments)))
    Reading.objects.bulk_create(Reading(sensor=sensor, ts=ts, value=value) for ts in moments)


def store_many(sensor: Sensor, count: int, *, last_at: datetime) -> None:
    """Readings a second apart."""
    ts_us = storage.microseconds(last_at) - np.arange(count) * 1_000_000
    make_partitions(int(ts_us[-1]), int(ts_us[0]))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sensors_reading SELECT %s, %s - number * interval '1 second', 1, 0 "
            "FROM generate_series(0, %s) AS number",
            [sensor.pk, last_at, count - 1],
        )


def roll_up(model: type, sensor: Sensor, *moments: datetime) -> None:
    model.objects.bulk_create(
        model(sensor=sensor, started_at=at, count=1, mean=1, minimum=1, maximum=1) for at in moments
    )


def moments(sensor: Sensor, model: type = Reading, at: str = "ts") -> list[datetime]:
    return list(model.objects.filter(sensor=sensor).order_by(at).values_list(at, flat=True))


def drop() -> Dropped:
    return drop_old_readings(budget_seconds=60)


# Readings


def test_months_older_than_the_longest_retention_are_dropped(organization, other_organization, sensor):
    keep_for(organization, 400)
    keep_for(other_organization, 500)
    store(sensor, NOW - 600 * DAY, NOW - 10 * DAY)
    dropped = drop()
    assert dropped.parts >= 1
    assert dropped.is_finished
    assert "sensors_reading" not in dropped.rows
    assert moments(sensor) == [NOW - 10 * DAY]


def test_each_organisation_keeps_its_readings_as_long_as_it_chose(
    organization, other_organization, sensor, other_sensor
):
    keep_for(organization, 400)
    keep_for(other_organization, 500)
    for one in (sensor, other_sensor):
        store(one, NOW - 450 * DAY, NOW - 399 * DAY, NOW)
    assert drop().rows == {"sensors_reading": 1}
    assert moments(sensor) == [NOW - 399 * DAY, NOW]
    assert moments(other_sensor) == [NOW - 450 * DAY, NOW - 399 * DAY, NOW]


def test_only_whole_days_go(organization, other_organization, sensor):
    keep_for(organization, 400)
    midnight = (NOW - 400 * DAY).replace(hour=0, minute=0)
    store(sensor, midnight - timedelta(microseconds=1), midnight, midnight + timedelta(hours=3))
    drop()
    assert moments(sensor) == [midnight, midnight + timedelta(hours=3)]


def test_one_organisation_alone_loses_whole_parts_only(organization, sensor):
    keep_for(organization, 400)
    store(sensor, NOW - 401 * DAY)
    assert drop().rows == {}
    assert moments(sensor) == [NOW - 401 * DAY]


@pytest.mark.parametrize(
    "change",
    [
        lambda organization: IngestPolicy.objects.filter(organization=organization).delete(),
        lambda organization: Organization.objects.create(name="Made by hand", slug="hand"),
    ],
)
def test_an_organisation_always_has_its_policy(organization, change):
    @transaction.atomic
    def commit() -> None:
        change(organization)
        connection.check_constraints()

    with pytest.raises(IntegrityError, match="has no ingest policy"):
        commit()


def test_sensors_that_are_switched_off_are_cleared_too(organization, other_organization, sensor):
    keep_for(organization, 400)
    Sensor.objects.filter(pk=sensor.pk).update(is_active=False)
    store(sensor, NOW - 450 * DAY)
    drop()
    assert moments(sensor) == []


def test_an_installation_without_organisations_drops_nothing(db):
    make_partitions(storage.microseconds(NOW - 900 * DAY), storage.microseconds(NOW - 900 * DAY))
    assert drop() == Dropped()


def test_rows_go_in_steps_until_all_are_gone(organization, other_organization, sensor, monkeypatch):
    monkeypatch.setattr(retention, "STEP_ROWS", 1000)
    second = make_sensor(sensor.equipment, "pump-7/temperature")
    keep_for(organization, 400)
    store_many(sensor, 2500, last_at=NOW - 410 * DAY)
    store_many(second, 1000, last_at=NOW - 410 * DAY)
    dropped = drop()
    assert dropped.rows == {"sensors_reading": 3500}
    assert dropped.is_finished
    assert not Reading.objects.exists()


def test_what_is_left_when_the_time_is_up_goes_next_time(organization, other_organization, sensor):
    keep_for(organization, 400)
    store(sensor, NOW - 450 * DAY)
    dropped = drop_old_readings(budget_seconds=0)
    assert not dropped.is_finished
    assert moments(sensor) == [NOW - 450 * DAY]
    assert drop().is_finished
    assert moments(sensor) == []


def test_a_second_run_finds_nothing(organization, other_organization, sensor):
    keep_for(organization, 400)
    store(sensor, NOW - 450 * DAY, NOW - 900 * DAY)
    drop()
    assert drop() == Dropped()


def test_a_longer_retention_keeps_what_a_shorter_one_would_take(organization, sensor):
    keep_for(organization, 4000)
    store(sensor, NOW - 3500 * DAY)
    drop()
    assert moments(sensor) == [NOW - 3500 * DAY]


# Rollups


def test_rollups_of_five_minutes_go_with_their_readings(organization, sensor):
    keep_for(organization, 400)
    roll_up(FiveMinuteRollup, sensor, NOW - 450 * DAY, NOW - 399 * DAY)
    assert drop().rows == {"sensors_fiveminuterollup": 1}
    assert moments(sensor, FiveMinuteRollup, "started_at") == [NOW - 399 * DAY]


def test_hours_are_kept_for_five_years_and_days_for_ever(organization, sensor):
    keep_for(organization, 400)
    years_6, years_4 = NOW - 6 * 365 * DAY, NOW - 4 * 365 * DAY
    roll_up(HourlyRollup, sensor, years_6, years_4)
    roll_up(DailyRollup, sensor, NOW - 30 * 365 * DAY, years_6)
    assert drop().rows == {"sensors_hourlyrollup": 1}
    assert moments(sensor, HourlyRollup, "started_at") == [years_4]
    assert len(moments(sensor, DailyRollup, "started_at")) == 2


def test_hours_are_kept_as_long_as_readings_at_least(organization, sensor):
    keep_for(organization, 10 * 365)
    roll_up(HourlyRollup, sensor, NOW - 6 * 365 * DAY)
    assert drop().rows == {}


def test_rollups_of_another_organisation_stay(organization, other_organization, sensor, other_sensor):
    keep_for(organization, 400)
    keep_for(other_organization, 600)
    for one in (sensor, other_sensor):
        roll_up(FiveMinuteRollup, one, NOW - 500 * DAY)
    drop()
    assert moments(sensor, FiveMinuteRollup, "started_at") == []
    assert moments(other_sensor, FiveMinuteRollup, "started_at") == [NOW - 500 * DAY]


def rolled_up(sensor: Sensor) -> list[tuple]:
    return [
        (row.started_at, row.count, row.mean)
        for model in (HourlyRollup, DailyRollup)
        for row in model.objects.filter(sensor=sensor).order_by("started_at")
    ]


@pytest.fixture
def long_ago(organization, sensor) -> datetime:
    """An hour of which retention has taken the readings since, with its batch given up; rollups are there."""
    keep_for(organization, 400)
    at = (NOW - 500 * DAY).replace(minute=0)
    with clock.frozen(at):
        post(sensor, [1.0, 2.0, 3.0], last_at=at + timedelta(minutes=10), interval=timedelta(minutes=5))
        agents.detect_anomalies()
    ReadingBatch.objects.update(due_at=None, parked_at=NOW, attempts=8)
    drop()
    assert moments(sensor) == []
    assert [row[1:] for row in rolled_up(sensor)] == [(3, 2.0), (3, 2.0)]
    return at


def test_a_batch_that_is_tried_again_after_its_readings_went_wipes_no_rollup(sensor, long_ago):
    before = rolled_up(sensor)
    assert ReadingBatch.objects.all().try_again() == 1
    agents.detect_anomalies()
    assert not ReadingBatch.objects.pending().exists()
    assert rolled_up(sensor) == before


def test_an_hour_without_its_readings_is_not_made_of_a_late_one_alone(organization, sensor, long_ago):
    """It is accepted where the retention was made longer since."""
    before = rolled_up(sensor)
    keep_for(organization, 4000)
    with clock.frozen(long_ago + 390 * DAY):
        post(sensor, [9.0], last_at=long_ago + timedelta(minutes=20))
        agents.detect_anomalies()
    assert moments(sensor) == [long_ago + timedelta(minutes=20)]
    assert rolled_up(sensor) == before


# What detection and people need


def test_the_newest_reading_of_a_silent_sensor_stays_known(organization, other_organization, sensor):
    keep_for(organization, 400)
    at = NOW - 500 * DAY
    store(sensor, at)
    SensorLatest.objects.create(
        organization=organization, sensor=sensor, ts=at, value=1.0, quality=0, received_at=at
    )
    drop()
    assert moments(sensor) == []
    assert SensorLatest.objects.get(sensor=sensor).ts == at


def batch(organization: Organization, *, age: timedelta, **fields: object) -> ReadingBatch:
    usual = {"received": 1, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": 0}
    return ReadingBatch.objects.create(organization=organization, received_at=NOW - age, **(usual | fields))


def test_settled_batches_go_after_two_weeks(organization):
    old, recent = batch(organization, age=15 * DAY), batch(organization, age=13 * DAY)
    assert drop().rows == {"sensors_readingbatch": 1}
    assert list(ReadingBatch.objects.all()) == [recent]
    assert old.pk != recent.pk


def test_batches_that_wait_or_were_given_up_stay(organization):
    waiting = batch(organization, age=30 * DAY, due_at=NOW)
    parked = batch(organization, age=30 * DAY, parked_at=NOW)
    drop()
    assert set(ReadingBatch.objects.all()) == {waiting, parked}


def test_a_batch_that_an_anomaly_came_from_stays(organization, sensor):
    told, untold = batch(organization, age=300 * DAY), batch(organization, age=300 * DAY)
    Anomaly.objects.create(
        organization=organization,
        sensor=sensor,
        batch=told,
        kind=Anomaly.Kind.LIMIT,
        direction="high",
        started_at=NOW - 300 * DAY,
        peak_at=NOW - 300 * DAY,
        ended_at=NOW - 299 * DAY,
        peak_value=9,
        expected_value=7,
        score=1,
        detector_version="1",
    )
    drop()
    assert list(ReadingBatch.objects.all()) == [told]
    assert untold.pk != told.pk


def test_many_batches_go_in_steps(organization, monkeypatch):
    monkeypatch.setattr(steps, "STEP_ROWS", 10)
    for _ in range(25):
        batch(organization, age=20 * DAY)
    assert drop().rows == {"sensors_readingbatch": 25}


def reject(organization: Organization, *, age: timedelta, **fields: object) -> RejectedReading:
    return RejectedReading.objects.create(
        organization=organization,
        received_at=NOW - age,
        format="JSON",
        index=0,
        code="unknown_sensor",
        detail="There is no such sensor.",
        **fields,
    )


def test_rejected_readings_go_after_ninety_days_and_held_ones_never(organization):
    reject(organization, age=91 * DAY)
    recent = reject(organization, age=89 * DAY)
    held = reject(organization, age=900 * DAY, is_held=True)
    reject(organization, age=91 * DAY, is_held=True, stored_at=NOW - 80 * DAY)
    assert drop().rows == {"sensors_rejectedreading": 2}
    assert set(RejectedReading.objects.all()) == {recent, held}


@pytest.mark.django_db(transaction=True)
def test_a_rejected_reading_that_comes_again_while_old_ones_go_stays(organization):
    """Or it waits until the old one is gone, and is kept anew."""
    old, again = reject(organization, age=91 * DAY), reject(organization, age=91 * DAY)
    other = connection.copy()
    came: list[bool] = []
    updated: list[int] = []

    def come_again(execute, sql, params, many, context):
        rows = execute(sql, params, many, context)
        if sql.startswith("SELECT") and "sensors_rejectedreading" in sql and not came:
            came.append(True)
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '300ms'")
                with suppress(OperationalError):  # it is locked
                    cursor.execute(
                        "UPDATE sensors_rejectedreading SET received_at = %s WHERE id = %s", [NOW, again.pk]
                    )
                    updated.append(again.pk)
        return rows

    try:
        with connection.execute_wrapper(come_again):
            drop()
    finally:
        other.close()
    assert came
    assert list(RejectedReading.objects.values_list("pk", flat=True)) == updated
    assert old.pk not in updated


def test_counts_of_refused_requests_go_after_ninety_days(organization, ingest_key):
    api_key, _ = ingest_key
    old, recent = (
        RefusedRequests.objects.create(
            organization=organization, api_key=api_key, hour=NOW - age, code="malformed", count=3
        )
        for age in (91 * DAY, 89 * DAY)
    )
    assert drop().rows == {"sensors_refusedrequests": 1}
    assert list(RefusedRequests.objects.all()) == [recent]
    assert old.pk != recent.pk


# Machine events


def report(machine: Equipment, *moments: datetime, code: str = "E17") -> None:
    MachineEvent.objects.bulk_create(
        MachineEvent(organization=machine.organization, equipment=machine, code=code, at=at) for at in moments
    )


def events(machine: Equipment) -> list[datetime]:
    return list(MachineEvent.objects.filter(equipment=machine).order_by("at").values_list("at", flat=True))


def test_machine_events_are_kept_as_long_as_readings(organization, other_organization, plant, other_plant):
    keep_for(organization, 400)
    keep_for(other_organization, 500)
    for machine in (plant.machine, other_plant.machine):
        report(machine, NOW - 450 * DAY, NOW - 399 * DAY, NOW)
    assert drop().rows == {"sensors_machineevent": 1}
    assert events(plant.machine) == [NOW - 399 * DAY, NOW]
    assert events(other_plant.machine) == [NOW - 450 * DAY, NOW - 399 * DAY, NOW]


def test_of_machine_events_too_only_whole_days_go(organization, plant):
    keep_for(organization, 400)
    midnight = (NOW - 400 * DAY).replace(hour=0, minute=0)
    report(plant.machine, midnight - timedelta(microseconds=1), midnight)
    drop()
    assert events(plant.machine) == [midnight]


def test_many_machine_events_go_in_steps_those_of_one_moment_together(organization, plant, monkeypatch):
    monkeypatch.setattr(retention, "STEP_ROWS", 10)
    keep_for(organization, 400)
    for number in range(15):
        report(plant.machine, NOW - 450 * DAY, NOW - (420 + number) * DAY, code=f"E{number}")
    report(plant.machine, NOW)
    assert drop().rows == {"sensors_machineevent": 30}
    assert events(plant.machine) == [NOW]
    assert drop() == Dropped()


def test_machine_events_that_are_left_when_the_time_is_up_go_next_time(organization, plant):
    keep_for(organization, 400)
    report(plant.machine, NOW - 450 * DAY)
    assert not drop_old_readings(budget_seconds=0).is_finished
    assert events(plant.machine) == [NOW - 450 * DAY]
    drop()
    assert events(plant.machine) == []


# Journals of alarms


def over(plant: Plant, by: User, *, at: datetime) -> Alarm:
    """An alarm that was acknowledged and is over since `at`: three lines."""
    with clock.frozen(at - timedelta(hours=1)):
        alarm = raised(plant)
        acknowledge_alarm(alarm=alarm, by=by)
    with clock.frozen(at):
        end_all(alarm)
        watch_alarms()
    alarm.refresh_from_db()
    assert alarm.closed_at == at
    assert len(journal(alarm)) == 3
    return alarm


def test_the_journal_of_an_alarm_that_is_long_over_goes_and_the_alarm_stays(organization, plant, manager):
    keep_for(organization, 400)
    old, recent = (over(plant, manager, at=NOW - age) for age in (450 * DAY, 399 * DAY))
    assert drop().rows == {"sensors_alarmentry": 3}
    assert journal(old) == []
    assert len(journal(recent)) == 3
    assert set(Alarm.objects.all()) == {old, recent}
    assert old.causes.count() == 1


def test_an_alarm_is_long_over_by_the_day_on_which_it_ended(organization, plant, manager):
    keep_for(organization, 400)
    midnight = (NOW - 400 * DAY).replace(hour=0, minute=0)
    day_before = over(plant, manager, at=midnight - timedelta(microseconds=1))
    that_day = over(plant, manager, at=midnight)
    drop()
    assert journal(day_before) == []
    assert len(journal(that_day)) == 3


def test_the_journal_of_an_alarm_that_still_stands_stays_however_old(organization, plant):
    keep_for(organization, 400)
    with clock.frozen(NOW - 900 * DAY):
        alarm = raised(plant)
    assert drop().rows == {}
    assert journal(alarm) == [("raised", "unacknowledged")]


def test_what_somebody_wrote_since_stays_until_it_is_old_too(organization, plant, manager):
    keep_for(organization, 400)
    alarm = over(plant, manager, at=NOW - 450 * DAY)
    with clock.frozen(NOW - 10 * DAY):
        comment_alarm(alarm=alarm, by=manager, comment="The same again today")
    drop()
    assert journal(alarm) == [("comment", "normal")]


def test_journals_of_another_organisation_stay(
    organization, other_organization, plant, other_plant, outsider
):
    keep_for(organization, 400)
    keep_for(other_organization, 500)
    alarm = over(other_plant, outsider, at=NOW - 450 * DAY)
    assert drop().rows == {}
    assert len(journal(alarm)) == 3


def test_many_journals_go_in_steps(organization, plant, manager, monkeypatch):
    monkeypatch.setattr(steps, "STEP_ROWS", 2)
    keep_for(organization, 400)
    for age in (450, 460, 470):
        over(plant, manager, at=NOW - age * DAY)
    assert drop().rows == {"sensors_alarmentry": 9}
    assert not AlarmEntry.objects.exists()


# The bounds


def test_no_organisation_keeps_readings_for_less_than_the_longest_look_back(organization):
    policy = IngestPolicy.objects.filter(organization=organization)
    with pytest.raises(IntegrityError, match="ingestpolicy_retention"), transaction.atomic():
        policy.update(retention_days=LONGEST_LOOK_BACK_DAYS - 1)
    policy.update(retention_days=LONGEST_LOOK_BACK_DAYS)


@pytest.mark.parametrize("days", [LONGEST_LOOK_BACK_DAYS, 400, 401, 730, 4000])
def test_what_ingest_accepts_outlives_its_first_day(days, organization, other_organization, sensor):
    """Also at the last moment of the window, and when retention looks a day later."""
    keep_for(organization, days)
    keep_for(other_organization, 5000)
    oldest = NOW - timedelta(microseconds=window_past_us(days))
    store(sensor, oldest)
    with clock.frozen(NOW + DAY):
        drop()
    assert moments(sensor) == [oldest]


def test_the_window_is_never_wider_than_usual():
    assert window_past_us(730) == window_past_us(36_500) == DEFAULT_WINDOW_PAST_US
    assert window_past_us(LONGEST_LOOK_BACK_DAYS) == 364 * DAY_US


def test_the_agent_tells_how_much_it_took_away(organization, other_organization, sensor):
    keep_for(organization, 400)
    store(sensor, NOW - 450 * DAY, NOW - 451 * DAY)
    batch(organization, age=20 * DAY)
    agents.drop_old_readings()
    assert AgentRun.objects.get(name="sensors.agents.drop_old_readings").settled == 3


# Births of Sparkplug nodes


def test_births_go_with_their_node_when_it_has_been_silent_for_ninety_days(organization, other_organization):
    def born(speaker: str, *, days: int, owner: Organization = organization, session: str = "bridge") -> None:
        SparkplugBirth.objects.create(
            organization=owner, session=session, speaker=speaker, metrics=[], told_at=NOW - days * DAY
        )

    born("Works/speaks", days=1)
    born("Works/speaks/pump", days=200)
    born("Works/gone", days=91)
    born("Works/gone/pump", days=200)
    born("Works/speak", days=91)
    born("Works/speaks", days=100, session="another")
    born("Works/speaks/pump", days=100, owner=other_organization)
    assert drop().rows == {"sensors_sparkplugbirth": 5}
    assert set(SparkplugBirth.objects.values_list("session", "speaker")) == {
        ("bridge", "Works/speaks"),
        ("bridge", "Works/speaks/pump"),
    }


def test_a_node_that_goes_on_counting_is_not_silent(organization):
    owned = {"organization": organization, "session": "bridge"}
    SparkplugBirth.objects.create(**owned, speaker="Works/line-1", metrics=[], told_at=NOW - 100 * DAY)
    with clock.frozen(NOW - DAY):
        keep_births(**owned, births={}, next_seq={"Works/line-1": 7})
    assert drop().rows == {}
    assert SparkplugBirth.objects.get().next_seq == 7
