"""A sensor too young for a forecast of its own borrows from others of its kind."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from predictions.agents import make_predictions
from predictions.models import Prediction, PredictionStatus
from predictions.services.borrowing import Lender
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import detect_anomalies
from smartmaint import clock
from tests.plants import foretell, make_limit, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make_others(plant):
    """Three more pumps of its kind."""
    return [make_plant(plant.organization, name=f"pump-{number}") for number in range(3)]


def foretell_of(others, *, age, drift=0.05, model_name="prophet"):
    """A prediction of each that was made so long ago."""
    for other in others:
        foretell(
            other,
            made_at=clock.now() - age,
            model_name=model_name,
            explanation={"slope_per_day": drift, "noise_sd": 0.02},
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
    foretell_of(make_others(plant), age=age)
    forecast_after(plant.sensor, hours=24)
    prediction = Prediction.objects.get(sensor=plant.sensor)
    assert (prediction.status, prediction.model_name) == (status, model)
    if status == PredictionStatus.MADE:
        assert prediction.settings["model"]["source"] == "3 other pumps"


def test_a_sensor_with_a_history_of_its_own_asks_for_nobody_elses(plant):
    foretell_of(make_others(plant), age=HOUR)
    assert forecast_after(plant.sensor, hours=24 * 5) == 0
    assert Prediction.objects.get(sensor=plant.sensor).model_name == "prophet"


def test_young_sensors_of_one_kind_share_one_look_at_the_ledger(plant):
    second = make_sensor(plant.machine, "pump-7/vibration-2")
    make_limit(second, value=7.1, failure_mode=plant.failure_mode)
    foretell_of(make_others(plant), age=HOUR)
    for sensor in (plant.sensor, second):
        post(sensor, [2.0] * 24, interval=HOUR, historical=True)
        request_prediction_by_person(sensor=sensor)
    detect_anomalies()
    assert make_and_count() == 1
    assert Prediction.objects.filter(model_name="borrowed_drift").count() == 2


def drift_lent(plant, *, at):
    """The drift of the others of its kind, as it was known at a moment."""
    borrowed = Lender(at).lend_to(plant.sensor)
    return None if borrowed is None else borrowed.drift_per_day


def test_what_was_foretold_later_is_not_lent(plant):
    """A forecast that is made again borrows what it borrowed at first."""
    others = make_others(plant)
    now = clock.now()
    with clock.frozen(now):
        for age, drift in ((2 * HOUR, 0.05), (HOUR, 0.06), (timedelta(), 0.9), (-HOUR, 0.9)):
            foretell_of(others, age=age, drift=drift)
    assert drift_lent(plant, at=now) == pytest.approx(0.06)
    assert drift_lent(plant, at=now - HOUR) == pytest.approx(0.05)
    assert drift_lent(plant, at=now - 2 * HOUR) is None


@pytest.mark.parametrize("model_name", ["borrowed_drift", "observed"])
def test_what_was_borrowed_or_only_observed_is_not_lent(plant, model_name):
    others = make_others(plant)
    foretell_of(others, age=2 * HOUR, drift=0.05)
    foretell_of(others, age=HOUR, drift=0.9, model_name=model_name)
    assert drift_lent(plant, at=clock.now()) == pytest.approx(0.05)


def test_of_a_sensor_with_two_limits_the_newest_forecast_is_lent(plant):
    others = make_others(plant)
    foretell_of(others, age=2 * HOUR, drift=0.05)
    for other in others:
        other.limit = make_limit(other.sensor, value=9, failure_mode=plant.failure_mode, level="HH")
    foretell_of(others, age=HOUR, drift=0.07)
    assert drift_lent(plant, at=clock.now()) == pytest.approx(0.07)
