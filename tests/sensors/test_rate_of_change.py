"""The fastest change that people state for a sensor: what is noticed of it, kept and said on stored readings."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from sensors.agents import detect_anomalies, validate_anomalies
from sensors.detection.detector import DetectorState as Memory
from sensors.models import Anomaly, AnomalyStatus, DetectorState, Pattern, Sensor
from sensors.services.alarms.raising import summary_of
from smartmaint import clock
from tests.plants import make_sensor, post

pytestmark = pytest.mark.django_db

FIVE = timedelta(minutes=5)


@pytest.fixture
def start():
    return clock.now() - timedelta(days=1)


@pytest.fixture
def sensor(plant):
    """Five-minute readings of a current that may change by one ampere a minute."""
    return make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A", max_change_per_min=1.0)


def send(sensor, *values, last_at, **more):
    post(sensor, list(values), last_at=last_at, **more)
    detect_anomalies()


def told():
    rows = Anomaly.objects.order_by("started_at", "id")
    return list(rows.values_list("pattern", "direction", "peak_value", "ended_at"))


def state_fastest_change(sensor, value):
    sensor.max_change_per_min = value
    sensor.full_clean()
    sensor.save()


def test_a_jump_is_an_anomaly_at_once_and_is_over_when_the_new_level_holds(sensor, start):
    send(sensor, 20.0, 20.5, 80.0, last_at=start)
    assert told() == [("rate", "high", 80.0, None)]
    send(sensor, 81.0, last_at=start + FIVE)
    assert told() == [("rate", "high", 80.0, None)]
    send(sensor, 80.0, last_at=start + 2 * FIVE)
    assert told() == [("rate", "high", 80.0, start + 2 * FIVE)]


def test_it_is_said_in_words_everywhere(sensor, start):
    send(sensor, 20.0, 80.0, last_at=start)
    validate_anomalies()
    anomaly = Anomaly.objects.get()
    assert anomaly.status == AnomalyStatus.NEEDS_A_LOOK
    assert anomaly.get_pattern_display() == "faster than it can change"
    assert (
        summary_of(anomaly)
        == "pump-7/current: 80 A, moving up faster than it can (it could have come to 25 A)"
    )


def test_many_requests_at_once_and_late_ones_come_to_what_one_by_one_comes_to(sensor, plant, start):
    values = [20.0, 21.0, 80.0, 20.0, 50.0, 20.0, 21.0, 22.0, 23.0]
    for number, value in enumerate(values):
        send(sensor, value, last_at=start + number * FIVE)
    one_by_one, kept = told(), DetectorState.objects.get().memory
    assert one_by_one == [("rate", "high", 80.0, start + 7 * FIVE)]

    late = make_sensor(plant.machine, "pump-7/late", unit="A", max_change_per_min=1.0)
    for number, value in enumerate(values):
        if number != 2:
            send(late, value, last_at=start + number * FIVE)
    before = set(Anomaly.objects.filter(sensor=late).values_list("peak_value", "ended_at"))
    assert before == {(50.0, start + 7 * FIVE)}
    send(late, values[2], last_at=start + 2 * FIVE)
    rebuilt = DetectorState.objects.get(sensor=late)
    assert bytes(rebuilt.memory) == bytes(kept)
    # What was over by then is not told afresh.
    assert set(Anomaly.objects.filter(sensor=late).values_list("peak_value", "ended_at")) == before


def test_a_clock_that_steps_back_an_hour_tells_nothing(sensor, start):
    send(sensor, 20.0, 20.0, last_at=start)
    send(sensor, 60.0, last_at=start - timedelta(hours=1))
    send(sensor, 21.0, last_at=start + FIVE)
    assert told() == []


def test_a_jump_beside_a_shift_that_goes_on_is_an_anomaly_of_its_own(sensor, start):
    state_fastest_change(sensor, None)
    values = 20 + np.random.default_rng(7).normal(0, 0.3, 14 * 288)
    send(sensor, *values.tolist(), last_at=start, historical=True)
    send(sensor, *[30.0, 30.2] * 6, last_at=start + 12 * FIVE)
    assert [row[::3] for row in told()] == [("shift", None)]
    state_fastest_change(sensor, 1.0)
    send(sensor, 90.0, last_at=start + 13 * FIVE)
    assert [row[::3] for row in told()] == [("shift", None), ("rate", None)]
    send(sensor, 30.0, 30.1, 30.2, last_at=start + 16 * FIVE)
    assert [row[::3] for row in told()] == [("shift", None), ("rate", start + 16 * FIVE)]


def test_the_next_reading_uses_a_setting_that_has_changed(sensor, start):
    send(sensor, 20.0, 24.0, last_at=start)
    state_fastest_change(sensor, 0.5)
    send(sensor, 28.0, last_at=start + FIVE)
    assert told() == [("rate", "high", 28.0, None)]
    state_fastest_change(sensor, None)
    send(sensor, 90.0, last_at=start + 2 * FIVE)
    assert told() == [("rate", "high", 28.0, start + 2 * FIVE)]
    state_fastest_change(sensor, 1.0)
    send(sensor, 20.0, last_at=start + 3 * FIVE)
    assert told()[1:] == [("rate", "low", 20.0, None)]


def test_what_is_put_aside_is_not_learned(sensor, start):
    send(sensor, 20.0, 20.1, 20.2, last_at=start)
    learned = Memory.from_bytes(bytes(DetectorState.objects.get().memory)).learned
    send(sensor, 80.0, 10.0, last_at=start + 2 * FIVE)
    assert Memory.from_bytes(bytes(DetectorState.objects.get().memory)).learned == learned


def test_one_that_was_left_open_is_over_when_another_begins(sensor, start):
    send(sensor, 20.0, 80.0, last_at=start)
    DetectorState.objects.all().delete()
    Anomaly.objects.update(started_at=start - timedelta(minutes=1), direction="low")
    send(sensor, 20.0, last_at=start + FIVE)
    assert told() == [
        ("rate", "low", 80.0, start),
        ("rate", "high", 80.0, None),
    ]


def test_one_that_began_at_the_same_moment_to_the_other_side_is_over_too(sensor, start):
    send(sensor, 20.0, 80.0, last_at=start)
    DetectorState.objects.all().delete()
    Anomaly.objects.update(direction="low")
    send(sensor, 20.0, last_at=start + FIVE)
    assert set(told()) == {("rate", "low", 80.0, start), ("rate", "high", 80.0, None)}


def test_a_shift_that_turns_out_to_be_a_jump_takes_the_place_of_one_that_was_forgotten(sensor, start):
    """The sensor got its fastest change when the shift was told already, and was scored anew."""
    send(sensor, 20.0, 80.0, last_at=start)
    Anomaly.objects.update(pattern=Pattern.SHIFT)
    batch = Anomaly.objects.get().batch
    Anomaly.objects.create(
        organization=sensor.organization,
        sensor=sensor,
        batch=batch,
        kind="profile",
        pattern=Pattern.RATE,
        direction="low",
        started_at=start - timedelta(hours=1),
        peak_at=start - timedelta(hours=1),
        peak_value=1.0,
        expected_value=2.0,
        score=0.9,
        detector_version="2",
    )
    DetectorState.objects.all().delete()
    send(sensor, 82.0, last_at=start + FIVE)
    assert told() == [("rate", "low", 1.0, start), ("rate", "high", 80.0, None)]


def test_a_sensor_has_one_open_at_most(sensor, start):
    send(sensor, 20.0, 80.0, last_at=start)
    again = Anomaly.objects.get()
    again.pk, again.direction = None, "low"
    with pytest.raises(IntegrityError, match="anomaly_open_rate_once"):
        again.save()


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_change_that_cannot_be_is_refused(sensor, value):
    sensor.max_change_per_min = value
    with pytest.raises(ValidationError, match=r"The fastest change is a number above 0\."):
        sensor.full_clean()
    with pytest.raises(IntegrityError, match="sensor_fastest_change"), transaction.atomic():
        Sensor.objects.filter(pk=sensor.pk).update(max_change_per_min=value)
