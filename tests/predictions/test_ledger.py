"""The ledger: predictions are made once, for good, or say why they could not be."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from maintenance.machines import newest_predictions
from predictions.agents import make_predictions
from predictions.models import Prediction, PredictionStatus
from predictions.services.histories import in_portions, read_histories
from predictions.services.making import enter_predictions, forecast_pending
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import detect_anomalies
from sensors.models import Limit
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from smartmaint.work import run_pending
from tests.plants import foretell, make_limit, make_sensor, post

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("values", "words"),
    [([1.0, 2.0], "at least 30"), ([], "no reading")],
)
def test_what_cannot_be_forecast_says_why(plant, values, words):
    if values:
        post(plant.sensor, values)
        detect_anomalies()
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    prediction = Prediction.objects.get()
    assert prediction.status == PredictionStatus.NOT_POSSIBLE
    assert words.split()[-1] in prediction.not_possible_because.lower()


def test_readings_before_the_last_repair_do_not_count(plant):
    post(plant.sensor, [1.0 + 0.01 * n for n in range(200)], interval=timedelta(hours=1), historical=True)
    detect_anomalies()
    restart_sensor_baselines(
        sensors=[plant.sensor], started_at=clock.now() - timedelta(hours=5), reason="WO-1"
    )
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    prediction = Prediction.objects.get()
    assert prediction.status == PredictionStatus.NOT_POSSIBLE
    assert prediction.input_quality["points"] <= 6


def test_a_failing_series_stops_no_other(plant):
    other = make_sensor(plant.machine, "pump-7/temperature", unit="Cel")
    make_limit(other, value=5, failure_mode=plant.failure_mode)
    post(plant.sensor, [9.0])
    post(other, [9.0])
    Limit.objects.filter(sensor=plant.sensor).update(on_delay_s=float("inf"))
    for sensor in (plant.sensor, other):
        request_prediction_by_person(sensor=sensor)
    make_predictions()
    assert Prediction.objects.get(sensor=other).status == PredictionStatus.MADE
    failing = Prediction.objects.get(sensor=plant.sensor)
    assert (failing.status, failing.attempts) == (PredictionStatus.PENDING, 1)
    assert "on-delay" in failing.last_error


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE predictions_prediction SET p_30d = 0.1",
        "UPDATE predictions_prediction SET status = 'pending'",
        "DELETE FROM predictions_prediction",
    ],
)
def test_what_was_foretold_is_never_changed(plant, change):
    foretell(plant)
    with (
        pytest.raises(IntegrityError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)


def test_a_made_prediction_is_whole_and_its_probabilities_rise(plant):
    for wrong in ({"p_7d": None}, {"cutoff_at": None}, {"p_7d": 0.9, "p_14d": 0.5}, {"p_90d": 1.2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            foretell(plant, **wrong)


def test_the_ledger_names_the_limit_that_was_used(plant):
    post(plant.sensor, [9.0])
    request_prediction_by_person(sensor=plant.sensor)

    def forecast_and_change_the_limit(predictions):
        answers = forecast_pending(predictions)
        Limit.objects.update(value=8.0)
        return answers

    run_pending(Prediction, work=forecast_and_change_the_limit, settle_all=enter_predictions)
    assert Prediction.objects.get().limit_value == 7.1


@pytest.mark.parametrize(
    ("values", "is_already_beyond"),
    [([2.0, 2.0, 9.0], None), ([2.0, 9.0, 9.0], None), ([9.0, 9.0, 9.0], True)],
)
def test_a_limit_is_passed_only_after_its_on_delay(plant, values, is_already_beyond):
    Limit.objects.update(on_delay_s=600)  # two readings' time
    post(plant.sensor, values)
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    prediction = Prediction.objects.get()
    assert (prediction.is_already_beyond or None) == is_already_beyond
    assert prediction.status == (
        PredictionStatus.MADE if is_already_beyond else PredictionStatus.NOT_POSSIBLE
    )


def test_that_none_is_possible_any_more_makes_an_older_probability_void(plant):
    earlier = clock.now() - timedelta(hours=2)
    made = foretell(plant, made_at=earlier, cutoff_at=earlier)
    limits = Limit.objects.for_organization(plant.organization)
    assert newest_predictions(limits) == [made]
    request_prediction_by_person(sensor=plant.sensor)
    assert newest_predictions(limits) == [made]  # the new one is not answered yet
    make_predictions()
    assert newest_predictions(limits) == []
    assert Prediction.objects.newest_per_limit().get().status == PredictionStatus.NOT_POSSIBLE


def test_a_sensor_that_reports_by_the_hour_loses_no_reading_between_rollups_and_readings(plant):
    now = clock.now().replace(minute=30, second=0, microsecond=0)
    post(
        plant.sensor, [1.0] * 72, last_at=now.replace(minute=0), interval=timedelta(hours=1), historical=True
    )
    detect_anomalies()
    [portion] = in_portions({plant.sensor.pk: now - timedelta(days=9)}, until=now)
    measured = read_histories(portion, until=now)[plant.sensor.pk]
    ts_us = measured.ts_us.tolist()
    assert (ts_us, len(set(ts_us)), len(measured.values)) == (sorted(ts_us), 72, 72)


@pytest.mark.parametrize(
    "broken", [{"due_at": None}, {"parked_at": clock.now()}, {"due_at": None, "last_error": "ValueError: x"}]
)
def test_one_that_waits_is_in_its_queue_or_parked(plant, broken):
    """In none it would keep its limit from ever being foretold again."""
    request_prediction_by_person(sensor=plant.sensor)
    with pytest.raises(IntegrityError), transaction.atomic():
        Prediction.objects.update(**broken)
    Prediction.objects.update(due_at=None, parked_at=clock.now())


def test_one_that_is_made_has_left_its_queue(plant):
    post(plant.sensor, [9.0])
    request_prediction_by_person(sensor=plant.sensor)
    Prediction.objects.update(last_error="ValueError: once")
    make_predictions()
    made = Prediction.objects.get()
    assert (made.status, made.due_at, made.parked_at, made.last_error) == (
        PredictionStatus.MADE,
        None,
        None,
        "",
    )


@pytest.mark.parametrize(
    ("broken", "constraint"),
    [
        ({"made_at": None}, "not_possible_has_time"),
        ({"cutoff_at": None}, "not_possible_has_time"),
        ({"not_possible_because": ""}, "not_possible_says_why"),
        ({"trigger": "whatever"}, "prediction_trigger"),
        ({"trigger": ""}, "prediction_trigger"),
        ({"direction": "up"}, "prediction_direction"),
    ],
)
def test_what_is_not_whole_or_of_no_known_kind_cannot_be_entered(plant, broken, constraint):
    whole = {"status": "not_possible", "not_possible_because": "Too few readings."}
    foretell(plant, **whole)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        foretell(plant, **whole | broken)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_limit_is_a_number(plant, value):
    with pytest.raises(IntegrityError, match="limit_value"), transaction.atomic():
        Limit.objects.update(value=value)
    plant.limit.value = value
    with pytest.raises(ValidationError, match="is a number"):
        plant.limit.validate_constraints()
