"""A sensor too young for a forecast of its own borrows from others of its kind."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from predictions.agents import make_predictions
from predictions.models import Prediction, PredictionStatus
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import detect_anomalies
from smartmaint import clock
from tests.plants import foretell, make_limit, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def foretell_others(plant, *, age):
    """Three more pumps, forecast so long ago."""
    for number in range(3):
        foretell(
            make_plant(plant.organization, name=f"pump-{number}"),
            made_at=clock.now() - age,
            explanation={"slope_per_day": 0.05, "noise_sd": 0.02, "cold_start": False},
        )


def forecast_after(sensor, *, hours):
    """The prediction after so many hourly readings, and how often the ledger was asked for what others do."""
    post(sensor, [2.0 + 0.01 * (-1) ** hour for hour in range(hours)], interval=HOUR, historical=True)
    detect_anomalies()
    request_prediction_by_person(sensor=sensor)
    return make_and_count()


def make_and_count():
    with CaptureQueriesContext(connection) as queries:
        make_predictions()
    return sum("slope_per_day" in query["sql"] and query["sql"].startswith("SELECT") for query in queries)


@pytest.mark.parametrize(
    ("age", "status", "model"),
    [
        (timedelta(days=6), PredictionStatus.MADE, "borrowed_drift"),
        (timedelta(days=8), PredictionStatus.NOT_POSSIBLE, "none"),
    ],
)
def test_a_young_sensor_borrows_from_what_was_made_within_a_week(plant, age, status, model):
    foretell_others(plant, age=age)
    forecast_after(plant.sensor, hours=24)
    prediction = Prediction.objects.get(sensor=plant.sensor)
    assert (prediction.status, prediction.model_name) == (status, model)
    if status == PredictionStatus.MADE:
        assert prediction.settings["model"]["source"] == "3 other pumps"


def test_a_sensor_with_a_history_of_its_own_asks_for_nobody_elses(plant):
    foretell_others(plant, age=HOUR)
    assert forecast_after(plant.sensor, hours=24 * 5) == 0
    assert Prediction.objects.get(sensor=plant.sensor).model_name == "prophet"


def test_young_sensors_of_one_kind_share_one_look_at_the_ledger(plant):
    second = make_sensor(plant.machine, "pump-7/vibration-2")
    make_limit(second, value=7.1, failure_mode=plant.failure_mode)
    foretell_others(plant, age=HOUR)
    for sensor in (plant.sensor, second):
        post(sensor, [2.0] * 24, interval=HOUR, historical=True)
        request_prediction_by_person(sensor=sensor)
    detect_anomalies()
    assert make_and_count() == 1
    assert Prediction.objects.filter(model_name="borrowed_drift").count() == 2
