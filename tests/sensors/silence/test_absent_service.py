"""While the service itself is away nobody is silent."""

from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest
from django.db import connection

from sensors.agents import notice_silence
from sensors.models import (
    Anomaly,
    Sensor,
    ServiceAbsence,
    SilenceWatch,
)
from sensors.services.absences import KEPT, MATTERS_FOR
from sensors.services.silence import notice_silent_sensors
from smartmaint import clock
from tests.locks import held_elsewhere
from tests.sensors.silence.days import HOUR, MINUTE, START, silences

pytestmark = pytest.mark.django_db


def test_the_absence_of_the_service_is_nobodys_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(5 * MINUTE)
    day.now += 3 * HOUR
    day.look()
    day.go_on(10 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_service_that_restarts_every_hour_still_tells_of_a_slow_sensor(plant, day):
    """It is to send every hour, so it is silent after three in which the service listened."""
    Sensor.objects.update(expected_interval_s=3600)
    day.post(plant.sensor)
    for _ in range(3):
        assert silences() == []
        day.go_on(HOUR)
        day.now += 5 * MINUTE
        day.look()
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_absences_of_the_service_are_not_kept_for_ever(plant, day):
    day.now += HOUR
    day.look()
    assert ServiceAbsence.objects.filter(ended_at=day.now).exists()
    day.now += KEPT + HOUR
    day.look()
    assert ServiceAbsence.objects.get().ended_at == day.now


@pytest.mark.parametrize(
    ("late", "between", "told_after", "rows"),
    [(61, 0, 16 * 61, 4), (61, 10, 13 * 71 + 61, 4), (120, 0, 17 * 120, 31)],
)
def test_a_worker_whose_looks_are_late_again_and_again_still_tells_of_a_silent_sensor(
    plant, day, late, between, told_after, rows
):
    """It is silent after 15 minutes; of each look that is late, but the first, a minute counts."""
    day.post(plant.sensor)
    while day.now < START + HOUR:
        day.now += timedelta(seconds=late)
        day.look()
        if between:
            day.go_on(timedelta(seconds=between))
    assert silences() == [("pump-7/vibration", START, None)]
    assert Anomaly.objects.get().detected_at - START == timedelta(seconds=told_after)
    assert ServiceAbsence.objects.count() == rows


def test_after_an_update_the_quickest_sensor_has_time_to_come_back(plant, day):
    """It sends every 20 seconds, and is silent after a minute."""
    Sensor.objects.update(expected_interval_s=20)
    day.post(plant.sensor)
    day.now += 20 * timedelta(seconds=1)
    day.look()
    day.now += 5 * MINUTE
    day.look()
    day.now += 30 * timedelta(seconds=1)
    day.look()
    assert silences() == []


def test_short_absences_are_forgotten_before_long_ones(plant, day):
    day.now += HOUR
    day.look()
    day.go_on(MINUTE)
    day.now += 2 * MINUTE
    day.look()
    assert ServiceAbsence.objects.count() == 3
    day.go_on(MATTERS_FOR * 2 * MINUTE)
    day.now += 3 * MINUTE
    day.look()
    lengths = sorted(row.ended_at - row.began_at for row in ServiceAbsence.objects.all())
    assert lengths[:2] == [3 * MINUTE, HOUR]


def test_each_absence_of_the_service_is_told_in_the_log_but_not_that_it_is_new(day, caplog):
    def told() -> list[float]:
        return [
            record.msg["seconds"] for record in caplog.records if record.msg["event"] == "service_was_away"
        ]

    assert told() == []
    day.now += 61 * timedelta(seconds=1)
    day.look()
    assert told() == [61]


def test_a_clock_that_is_set_back_brings_no_silence(plant, day):
    day.post(plant.sensor)
    with clock.frozen(START - timedelta(days=60)):
        notice_silence()
    day.look()
    assert silences() == []


def test_a_look_that_begins_while_another_goes_on_leaves_it_to_that(plant):
    with held_elsewhere(notice_silence.name):
        notice_silence()
        assert not SilenceWatch.objects.exists()
    notice_silence()
    assert SilenceWatch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_look_that_had_to_wait_is_of_the_moment_when_it_could_begin(monkeypatch):
    """An older moment than that of the look before it would be taken for a time in which the service was away."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))
    notice_silent_sensors()
    other = connection.copy()
    released: list[datetime] = []

    def release() -> None:
        released.append(clock.now())
        other.connection.rollback()

    try:
        other.set_autocommit(False)
        with other.cursor() as elsewhere:
            elsewhere.execute("SELECT id FROM sensors_silencewatch FOR UPDATE")
        Timer(0.5, release).start()
        notice_silent_sensors()
        assert SilenceWatch.objects.get().looked_at >= released[0]
    finally:
        other.close()
