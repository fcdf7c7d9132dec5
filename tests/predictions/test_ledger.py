"""The ledger: asked for once, made for good, scored by what people found or by time."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Verdict
from equipment.services import record_failure
from predictions.agents import close_horizons, make_predictions, request_predictions, score_predictions
from predictions.models import Outcome, Prediction, PredictionOutcome, PredictionStatus, Trigger
from predictions.services.requesting import request_prediction_by_person
from predictions.services.scoring import request_score
from sensors.agents import detect_anomalies
from sensors.models import Level, Limit
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from tests.plants import foretell, make_limit, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def plant(organization):
    return make_plant(organization)


def test_only_the_outermost_limits_are_forecast(plant):
    inner = plant.limit
    outer = make_limit(plant.sensor, level=Level.HIGH_HIGH, value=11, failure_mode=plant.failure_mode)
    low = make_limit(plant.sensor, level=Level.LOW, value=0.1, failure_mode=plant.failure_mode)
    assert set(Limit.objects.outermost()) == {outer, low}
    Limit.objects.filter(pk=outer.pk).update(is_active=False)
    assert set(Limit.objects.outermost()) == {inner, low}


def test_asking_twice_keeps_one_pending_prediction(plant):
    request_prediction_by_person(sensor=plant.sensor)
    request_prediction_by_person(sensor=plant.sensor)
    assert Prediction.objects.get().trigger == Trigger.PERSON


def test_a_prediction_that_was_given_up_gets_another_chance(plant):
    (prediction,) = request_prediction_by_person(sensor=plant.sensor)
    Prediction.objects.update(due_at=None, parked_at=clock.now(), attempts=8, last_error="x")
    request_prediction_by_person(sensor=plant.sensor)
    prediction.refresh_from_db()
    assert (prediction.attempts, prediction.parked_at) == (0, None)
    assert prediction.due_at is not None


def test_periodic_predictions_need_news_and_an_hour(plant):
    request_predictions()
    assert Prediction.objects.count() == 0  # nothing was measured yet
    post(plant.sensor, [1.0])
    request_predictions()
    request_predictions()
    assert Prediction.objects.count() == 1
    make_predictions()
    with clock.frozen(clock.now() + timedelta(minutes=61)):
        request_predictions()
        assert Prediction.objects.count() == 1  # no news
        post(plant.sensor, [1.0])
        request_predictions()
    assert Prediction.objects.count() == 2


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
    Limit.objects.filter(sensor=plant.sensor).update(value=float("inf"))
    for sensor in (plant.sensor, other):
        request_prediction_by_person(sensor=sensor)
    make_predictions()
    assert Prediction.objects.get(sensor=other).status == PredictionStatus.MADE
    failing = Prediction.objects.get(sensor=plant.sensor)
    assert (failing.status, failing.attempts) == (PredictionStatus.PENDING, 1)
    assert "finite" in failing.last_error


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


@pytest.mark.parametrize(
    ("verdict", "outcome", "is_censored"),
    [
        (Verdict.CONFIRMED_AS_PREDICTED, Outcome.TRUE_POSITIVE, True),
        (Verdict.FAILED_BEFORE_REPAIR, Outcome.TRUE_POSITIVE, False),
        (Verdict.EARLY, Outcome.TRUE_POSITIVE, True),
        (Verdict.CONFIRMED_ANOTHER_MODE, Outcome.FALSE_POSITIVE, False),
        (Verdict.NO_FAULT_FOUND, Outcome.FALSE_POSITIVE, False),
        (Verdict.SENSOR_FAULT, Outcome.FALSE_POSITIVE, False),
        (Verdict.DUPLICATE, Outcome.UNDECIDED, False),
        (Verdict.DEFERRED, Outcome.UNDECIDED, False),
        (Verdict.NOT_INSPECTED, Outcome.UNDECIDED, False),
    ],
)
def test_a_verdict_scores_the_prediction(plant, verdict, outcome, is_censored):
    prediction = foretell(plant, p30=0.8)
    found_at = prediction.made_at + timedelta(days=5)
    request_score(predictions=[prediction], verdict=verdict, happened_at=found_at)
    score_predictions()
    score = PredictionOutcome.objects.get()
    assert (score.outcome, score.is_date_censored) == (outcome, is_censored)
    assert score.lead_time == timedelta(days=5)
    expected = 0.04 if verdict == Verdict.FAILED_BEFORE_REPAIR else None
    assert score.brier_30d == (None if expected is None else pytest.approx(expected))


def test_a_corrected_finding_is_scored_again(plant):
    prediction = foretell(plant)
    for verdict in (Verdict.CONFIRMED_AS_PREDICTED, Verdict.NO_FAULT_FOUND):
        request_score(predictions=[prediction], verdict=verdict, happened_at=clock.now())
        score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.FALSE_POSITIVE


@pytest.fixture
def long_ago(plant):
    return clock.now() - timedelta(days=91)


def close_and_score():
    close_horizons()
    score_predictions()
    return PredictionOutcome.objects.get()


def test_a_horizon_that_passes_without_failure_is_a_true_negative(plant, long_ago):
    foretell(plant, p30=0.1, p_90d=0.2, made_at=long_ago, cutoff_at=long_ago)
    outcome = close_and_score()
    assert (outcome.outcome, outcome.brier_30d) == (Outcome.TRUE_NEGATIVE, pytest.approx(0.01))


def test_a_failure_that_was_not_foretold_is_missed(plant, long_ago):
    foretell(plant, p30=0.1, p_90d=0.2, made_at=long_ago, cutoff_at=long_ago)
    record_failure(
        equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=long_ago + timedelta(days=20)
    )
    outcome = close_and_score()
    assert (outcome.outcome, outcome.brier_30d) == (Outcome.FALSE_NEGATIVE, pytest.approx(0.81))


def test_a_repair_for_another_reason_censors(plant, long_ago):
    foretell(plant, p30=0.1, p_90d=0.2, made_at=long_ago, cutoff_at=long_ago)
    restart_sensor_baselines(
        sensors=[plant.sensor], started_at=long_ago + timedelta(days=20), reason="Overhaul"
    )
    outcome = close_and_score()
    assert (outcome.outcome, outcome.brier_30d) == (Outcome.CENSORED, None)


def test_a_horizon_that_is_not_over_is_left_alone(plant):
    foretell(plant)
    close_horizons()
    assert PredictionOutcome.objects.count() == 0
