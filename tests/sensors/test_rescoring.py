"""Detection over again: memory that is rebuilt, late readings, and what was measured while people were at work."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import IntegrityError

from equipment.models import State
from sensors.agents import detect_anomalies
from sensors.detection.detector import DetectorState as Memory
from sensors.models import Anomaly, DetectorState, Pattern
from sensors.services.stops import planned_stops
from sensors.storage import microseconds
from smartmaint import clock
from tests.plants import make_plant, make_sensor, post, put_into_a_train

pytestmark = pytest.mark.django_db

FIVE = timedelta(minutes=5)


@pytest.fixture
def start():
    return clock.now() - timedelta(days=1)


def told():
    return list(Anomaly.objects.order_by("started_at").values_list("peak_value", "started_at", "ended_at"))


def course(days, *, seed=7):
    hours = np.arange(days * 288) / 12
    return 20 + 3 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(seed).normal(0, 0.3, len(hours))


def test_a_memory_rebuilt_from_stored_readings_is_the_one_that_was_lost(plant, start):
    values = course(15).tolist()
    for first in range(0, len(values), 700):
        part = values[first : first + 700]
        ends_at = start - (len(values) - first - len(part)) * FIVE
        post(plant.sensor, part, last_at=ends_at, historical=True)
        detect_anomalies()
    kept = bytes(DetectorState.objects.get().memory)
    DetectorState.objects.all().delete()
    post(plant.sensor, values[-1:], last_at=start)  # the same again: nothing new, but it is a request
    post(plant.sensor, [2.0], last_at=start + FIVE, quality=2)
    detect_anomalies()
    rebuilt = DetectorState.objects.get()
    assert rebuilt.last_ts == start + FIVE
    assert Memory.from_bytes(bytes(rebuilt.memory)).learned == Memory.from_bytes(kept).learned


def test_late_readings_have_what_followed_from_them_found_anew(plant, start):
    for minutes in (0, 60):
        post(plant.sensor, [8.0 + minutes / 60], last_at=start + timedelta(minutes=minutes))
        detect_anomalies()
    assert told() == [(9.0, start, None)]
    post(plant.sensor, [2.0], last_at=start + timedelta(minutes=30))
    detect_anomalies()
    assert told() == [
        (8.0, start, start + timedelta(minutes=30)),
        (9.0, start + timedelta(minutes=60), None),
    ]


def test_a_sensor_that_is_late_again_and_again_is_scored_anew_once_an_hour(plant, start):
    now = clock.now()
    with clock.frozen(now):
        for minutes in (0, 60, 30, 20):
            post(plant.sensor, [2.0], last_at=start + timedelta(minutes=minutes))
            detect_anomalies()
    state = DetectorState.objects.get()
    assert (state.rescored_at, state.has_late) == (now, True)
    later = now + timedelta(hours=1)
    with clock.frozen(later):
        post(plant.sensor, [2.0], last_at=start + timedelta(minutes=65))
        detect_anomalies()
    state.refresh_from_db()
    assert (state.rescored_at, state.has_late) == (later, False)


def test_a_spike_is_an_anomaly_that_is_over_and_says_what_it_is(plant, start):
    sensor = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
    values = course(14)
    post(sensor, values.tolist(), last_at=start, historical=True)
    detect_anomalies()
    post(sensor, [values[-288], values[-287] + 5.0, values[-286]], last_at=start + 3 * FIVE)
    detect_anomalies()
    anomaly = Anomaly.objects.get()
    assert (anomaly.pattern, anomaly.ended_at) == (Pattern.SPIKE, start + 3 * FIVE)


def test_what_is_measured_while_people_work_on_the_machine_is_nothing_unusual_and_not_learned(plant, start):
    sensor = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
    values = course(14)
    post(sensor, values.tolist(), last_at=start, historical=True)
    detect_anomalies()
    learned = bytes(DetectorState.objects.get().memory)
    stop = start + timedelta(minutes=1)
    plant.machine.state = State.MAINTENANCE
    plant.machine._history_date = stop
    plant.machine.save()
    post(sensor, [0.0] * 12, last_at=start + 12 * FIVE)
    detect_anomalies()
    assert told() == []
    after = Memory.from_bytes(bytes(DetectorState.objects.get().memory))
    assert after.learned == Memory.from_bytes(learned).learned


def test_a_stop_of_what_a_machine_is_part_of_is_its_own(plant, start):
    train = put_into_a_train(plant, state=State.OUT_OF_SERVICE)
    train.history.update(history_date=start)
    beside = make_plant(plant.organization, name="fan-1").machine

    assert planned_stops({plant.machine.pk, beside.pk}) == {plant.machine.pk: [(microseconds(start), None)]}


def test_a_detector_of_another_version_starts_anew_from_stored_readings(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    DetectorState.objects.update(version="1", memory=b"what version 1 knew")
    post(plant.sensor, [8.5], last_at=start + FIVE)
    detect_anomalies()
    assert [row[0] for row in told()] == [8.5]


@pytest.mark.parametrize(("kind", "pattern"), [("limit", "spike"), ("profile", "wobble")])
def test_a_pattern_that_cannot_be_is_refused_by_the_database(plant, start, kind, pattern):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    with pytest.raises(IntegrityError, match="anomaly_pattern"):
        Anomaly.objects.update(kind=kind, pattern=pattern)
