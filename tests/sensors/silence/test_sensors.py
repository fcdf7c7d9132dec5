"""A sensor from which nothing comes any more is noticed, once, and so is its return; what is no silence is not."""

import pytest
from django.db import IntegrityError, transaction

from equipment.models import State
from sensors.agents import detect_anomalies
from sensors.models import (
    Anomaly,
    IngestPolicy,
    Sensor,
    SensorLatest,
)
from sensors.services.baselines import restart_baseline
from smartmaint import clock
from tests.plants import make_sensor, post, put_into_a_train
from tests.sensors.silence.days import HOUR, MINUTE, START, silences

pytestmark = pytest.mark.django_db


def test_a_sensor_is_silent_after_three_of_its_intervals(plant, day):
    day.post(plant.sensor)
    day.go_on(15 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]
    silence = Anomaly.objects.get()
    assert (silence.direction, silence.level, silence.batch, silence.peak_value) == ("", "", None, None)
    assert (silence.peak_at, silence.score, silence.organization) == (START, 1.0, plant.organization)


def test_one_silence_is_one_anomaly_and_ends_when_data_comes_back(plant, day):
    day.post(plant.sensor)
    day.go_on(2 * HOUR)
    assert silences() == [("pump-7/vibration", START, None)]
    day.post(plant.sensor)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + 2 * HOUR)]
    day.go_on(HOUR)
    assert silences()[1:] == [("pump-7/vibration", START + 2 * HOUR, None)]


def test_silence_is_each_sensors_own(plant, day):
    other = make_sensor(plant.machine, "pump-7/current")
    day.post(plant.sensor, other)
    for _ in range(6):
        day.go_on(5 * MINUTE)
        day.post(other)
    assert silences() == [("pump-7/vibration", START, None)]


def test_the_policy_says_how_many_intervals(plant, day):
    IngestPolicy.objects.filter(organization=plant.organization).update(silence_factor=10)
    day.post(plant.sensor)
    day.go_on(50 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert len(silences()) == 1


def test_nobody_is_silent_within_a_minute(plant, day):
    Sensor.objects.update(expected_interval_s=0.01)
    day.post(plant.sensor)
    day.go_on(MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert len(silences()) == 1


def test_a_device_with_a_wrong_clock_is_not_silent(plant, day):
    for _ in range(10):
        with clock.frozen(day.now):
            post(plant.sensor, [2.0], last_at=day.now - 5 * HOUR)
        day.go_on(5 * MINUTE)
    assert silences() == []


def test_readings_without_a_value_are_no_silence(plant, day):
    for _ in range(5):
        day.go_on(5 * MINUTE)
        with clock.frozen(day.now):
            post(plant.sensor, [float("nan")], quality=2)
    assert silences() == []


def test_a_sensor_that_never_sent_is_not_waited_for(plant, day):
    day.go_on(HOUR)
    assert silences() == []


def test_a_sensor_known_by_its_history_alone_is_not_waited_for(plant, day):
    day.post(plant.sensor, historical=True)
    assert SensorLatest.objects.get().is_historical
    day.go_on(HOUR)
    assert silences() == []
    day.post(plant.sensor)
    assert not SensorLatest.objects.get().is_historical
    day.go_on(HOUR)
    assert len(silences()) == 1


def test_history_does_not_end_a_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    day.post(plant.sensor, historical=True)
    day.go_on(5 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]
    day.post(plant.sensor)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR + 5 * MINUTE)]


@pytest.mark.parametrize("state", [State.MAINTENANCE, State.OUT_OF_SERVICE])
def test_a_machine_at_a_planned_stop_may_be_silent_until_it_is_back(plant, day, state):
    day.post(plant.sensor)
    plant.machine.state = state
    plant.machine.save()
    day.go_on(HOUR)
    assert silences() == []
    plant.machine.state = State.OPERATING
    plant.machine.save()
    day.go_on(15 * MINUTE)
    assert silences() == []
    day.go_on(2 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_so_may_one_that_is_part_of_a_machine_at_a_planned_stop(plant, day):
    train = put_into_a_train(plant, state=State.OUT_OF_SERVICE)
    day.post(plant.sensor)
    day.go_on(HOUR)
    assert silences() == []
    train.state = State.OPERATING
    train.save()
    day.go_on(17 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_sensor_that_is_switched_off_is_not_waited_for(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    Sensor.objects.update(is_active=False)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR)]
    day.go_on(HOUR)
    Sensor.objects.update(is_active=True)
    day.look()
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_longer_interval_ends_the_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    Sensor.objects.update(expected_interval_s=3600)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR)]


def test_the_sensors_of_an_organisation_that_is_closed_are_not_waited_for(plant, day):
    day.post(plant.sensor)
    plant.organization.is_active = False
    plant.organization.save()
    day.go_on(HOUR)
    assert silences() == []


def test_a_repair_does_not_end_a_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    restart_baseline(equipment=plant.machine, started_at=day.now, reason="WO-1")
    day.look()
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_sensor_that_reports_irregularly_is_soon_left_alone(plant, day):
    """It sends every ten minutes though one is expected each minute: three times it is told, and then no more."""
    Sensor.objects.update(expected_interval_s=60)
    for _ in range(8):
        day.post(plant.sensor)
        day.go_on(10 * MINUTE)
    assert len(silences()) == 3
    day.go_on(6 * MINUTE)
    assert len(silences()) == 4
    assert silences()[-1][2] is None


def test_silence_hides_no_excursion_and_an_excursion_no_silence(plant, day):
    with clock.frozen(day.now):
        post(plant.sensor, [2.0, 8.0])
        detect_anomalies()
    day.go_on(HOUR)
    assert list(Anomaly.objects.order_by("id").values_list("kind", "ended_at")) == [
        ("limit", None),
        ("no_data", None),
    ]
    with clock.frozen(day.now):
        post(plant.sensor, [8.1])
        detect_anomalies()
    day.look()
    assert Anomaly.objects.open().get().kind == "limit"


class TestConstraints:
    def test_silence_has_no_peak(self, plant, day):
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        with pytest.raises(IntegrityError, match="anomaly_has_a_peak_unless_silent"), transaction.atomic():
            Anomaly.objects.update(peak_value=1.0)

    def test_an_excursion_has_one(self, plant):
        post(plant.sensor, [8.0])
        detect_anomalies()
        with pytest.raises(IntegrityError, match="anomaly_has_a_peak_unless_silent"), transaction.atomic():
            Anomaly.objects.update(peak_value=None)
