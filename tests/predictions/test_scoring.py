"""Scores: by what people found, or by the end of the horizon."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from equipment.models import Verdict
from equipment.services import record_failure, withdraw_failure
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import reject_task
from predictions.agents import close_horizons, score_predictions
from predictions.models import Outcome, PredictionOutcome
from predictions.services.closing import close_past_horizons
from predictions.services.scoring import (
    expect_verdict,
    missed_failures,
    request_score,
    rescore_for_failure,
)
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from tests.plants import foretell, make_plant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("verdict", "outcome", "is_censored"),
    [
        (Verdict.CONFIRMED_AS_PREDICTED, Outcome.TRUE_POSITIVE, False),
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
    assert score.lead_time == (timedelta(days=5) if outcome == Outcome.TRUE_POSITIVE else None)
    is_dated = verdict in {Verdict.CONFIRMED_AS_PREDICTED, Verdict.FAILED_BEFORE_REPAIR}
    assert score.brier_30d == (pytest.approx(0.04) if is_dated else None)


@pytest.mark.parametrize(
    ("verdict", "brier"),
    [
        (Verdict.CONFIRMED_AS_PREDICTED, 0.64),
        (Verdict.FAILED_BEFORE_REPAIR, 0.64),
        (Verdict.NO_FAULT_FOUND, 0.64),
        (Verdict.EARLY, None),
    ],
)
def test_what_is_found_after_thirty_days_did_not_happen_within_them(plant, verdict, brier):
    prediction = foretell(plant, p30=0.8)
    found_at = prediction.cutoff_at + timedelta(days=31)
    request_score(predictions=[prediction], verdict=verdict, happened_at=found_at)
    score_predictions()
    assert PredictionOutcome.objects.get().brier_30d == (None if brier is None else pytest.approx(brier))


def test_a_prediction_made_after_the_failure_foretold_nothing(plant):
    prediction = foretell(plant)
    request_score(
        predictions=[prediction], verdict=Verdict.FAILED_BEFORE_REPAIR, happened_at=prediction.cutoff_at
    )
    score_predictions()
    score = PredictionOutcome.objects.get()
    assert (score.outcome, score.lead_time, score.brier_30d) == (Outcome.UNDECIDED, None, None)
    assert score.reason == "It was made after that had happened."


def test_a_task_with_hundreds_of_predictions_is_scored_in_as_many_queries_as_one(
    plant, django_assert_num_queries
):
    predictions = [foretell(plant) for _ in range(20)]
    for some in (predictions[:1], predictions, predictions):
        with django_assert_num_queries(5):  # savepoint, insert, lock, update, release
            request_score(predictions=some, verdict=Verdict.EARLY, happened_at=clock.now())
    assert PredictionOutcome.objects.due().filter(verdict=Verdict.EARLY).count() == 20


def test_a_corrected_finding_is_scored_again(plant):
    prediction = foretell(plant)
    for verdict in (Verdict.CONFIRMED_AS_PREDICTED, Verdict.NO_FAULT_FOUND):
        request_score(predictions=[prediction], verdict=verdict, happened_at=clock.now())
        score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.FALSE_POSITIVE


@pytest.fixture
def long_ago(plant):
    return clock.now() - timedelta(days=91)


def fail(plant, failed_at):
    return record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=failed_at)


def repair(plant, repaired_at):
    restart_sensor_baselines(sensors=[plant.sensor], started_at=repaired_at, reason="Overhaul")


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
    fail(plant, long_ago + timedelta(days=20))
    outcome = close_and_score()
    assert (outcome.outcome, outcome.lead_time) == (Outcome.FALSE_NEGATIVE, None)
    assert outcome.brier_30d == pytest.approx(0.81)


def test_a_repair_for_another_reason_censors(plant, long_ago):
    foretell(plant, p30=0.1, p_90d=0.2, made_at=long_ago, cutoff_at=long_ago)
    repair(plant, long_ago + timedelta(days=20))
    outcome = close_and_score()
    assert (outcome.outcome, outcome.brier_30d) == (Outcome.CENSORED, None)


def test_a_horizon_that_is_not_over_is_left_alone(plant):
    foretell(plant)
    close_horizons()
    assert PredictionOutcome.objects.count() == 0


def test_a_horizon_that_passes_is_a_true_negative_whatever_was_foretold_but_it_costs(plant, long_ago):
    foretell(plant, p30=0.9, p_90d=0.95, made_at=long_ago, cutoff_at=long_ago)
    outcome = close_and_score()
    assert (outcome.outcome, outcome.lead_time) == (Outcome.TRUE_NEGATIVE, None)
    assert outcome.brier_30d == pytest.approx(0.81)


def test_a_failure_that_was_foretold_is_a_true_positive_ahead_of_it(plant, long_ago):
    foretell(plant, p30=0.9, made_at=long_ago, cutoff_at=long_ago)
    fail(plant, long_ago + timedelta(days=20))
    outcome = close_and_score()
    assert (outcome.outcome, outcome.lead_time) == (Outcome.TRUE_POSITIVE, timedelta(days=20))


def test_a_failure_after_a_repair_is_not_what_was_foretold(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    repair(plant, long_ago + timedelta(days=20))
    fail(plant, long_ago + timedelta(days=40))
    assert close_and_score().outcome == Outcome.CENSORED


def test_a_horizon_is_not_closed_while_a_task_is_open(plant, long_ago, manager):
    prediction = foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    task = propose_task(prediction).task
    assert close_and_score().outcome == ""
    assert str(PredictionOutcome.objects.get()).endswith("waits for the finding")

    reject_task(task=task, user=manager, reason="We stop that machine anyway")
    score_predictions()
    outcome = PredictionOutcome.objects.get()
    assert (outcome.outcome, outcome.verdict) == (Outcome.UNDECIDED, Verdict.NOT_INSPECTED)


def test_expecting_a_verdict_twice_or_after_one_changes_nothing(plant):
    prediction = foretell(plant)
    expect_verdict(prediction)
    expect_verdict(prediction)
    request_score(predictions=[prediction], verdict=Verdict.EARLY, happened_at=clock.now())
    expect_verdict(prediction)
    score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.TRUE_POSITIVE


def test_nothing_is_scored_before_it_happened(plant):
    expect_verdict(foretell(plant))
    with pytest.raises(IntegrityError, match="happened_before_scored"), transaction.atomic():
        PredictionOutcome.objects.update(due_at=clock.now())


def test_an_end_of_horizon_never_replaces_a_verdict(plant, long_ago):
    prediction = foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    assert close_past_horizons() == 1
    request_score(predictions=[prediction], verdict=Verdict.EARLY, happened_at=clock.now())
    assert close_past_horizons() == 0
    assert PredictionOutcome.objects.get().verdict == Verdict.EARLY


def test_a_failure_told_late_or_withdrawn_has_its_predictions_scored_again(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    assert close_and_score().outcome == Outcome.TRUE_NEGATIVE
    failure = fail(plant, long_ago + timedelta(days=20))
    score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.TRUE_POSITIVE

    withdraw_failure(failure=failure)
    score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.TRUE_NEGATIVE


def test_a_failure_that_is_told_twice_has_its_predictions_scored_again_once(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    close_and_score()
    for outcomes_due in (1, 0):
        fail(plant, long_ago + timedelta(days=20))
        assert PredictionOutcome.objects.due().count() == outcomes_due
        score_predictions()


def test_a_failure_outside_of_the_horizon_or_of_another_machine_changes_no_score(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    close_and_score()
    other = make_plant(plant.organization, name="pump-8")
    for machine, days in ((plant, -1), (plant, 90.5), (other, 20)):
        assert rescore_for_failure(fail(machine, long_ago + timedelta(days=days))) == 0


@pytest.mark.parametrize(
    ("p90", "days", "is_missed"),
    [(0.9, 20, False), (0.49, 20, True), (0.9, -1, True), (0.9, 90.5, True)],
)
def test_a_failure_is_missed_when_nothing_foretold_it(
    plant, other_organization, long_ago, p90, days, is_missed
):
    foretell(plant, p30=0.1, p_90d=p90, made_at=long_ago, cutoff_at=long_ago)
    failure = fail(plant, long_ago + timedelta(days=days))
    assert list(missed_failures(plant.organization)) == ([failure] if is_missed else [])
    assert not missed_failures(other_organization).exists()


def test_a_failure_that_people_confirmed_is_not_missed(plant, long_ago):
    prediction = foretell(plant, p30=0.3, p_90d=0.4, made_at=long_ago, cutoff_at=long_ago)
    failure = fail(plant, long_ago + timedelta(days=20))
    assert list(missed_failures(plant.organization)) == [failure]
    request_score(
        predictions=[prediction], verdict=Verdict.FAILED_BEFORE_REPAIR, happened_at=failure.failed_at
    )
    score_predictions()
    assert not missed_failures(plant.organization).exists()


def test_what_was_foretold_before_a_repair_does_not_count_after_it(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    repair(plant, long_ago + timedelta(days=10))
    failure = fail(plant, long_ago + timedelta(days=20))
    assert list(missed_failures(plant.organization)) == [failure]
