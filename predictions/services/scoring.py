"""What became of predictions: rows that wait for a score, and the score itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef

from equipment.models import Failure, Verdict
from predictions.models import Outcome, Prediction, PredictionOutcome
from predictions.signals import prediction_scored
from sensors.models import Baseline
from smartmaint import clock

FORETOLD_FROM = 0.5
CLOSING_BATCH = 500

OF_VERDICT = {
    Verdict.CONFIRMED_AS_PREDICTED: (Outcome.TRUE_POSITIVE, "People found what was predicted."),
    Verdict.FAILED_BEFORE_REPAIR: (Outcome.TRUE_POSITIVE, "It failed as predicted, before the repair."),
    Verdict.EARLY: (Outcome.TRUE_POSITIVE, "A potential failure was found; its date will not be known."),
    Verdict.CONFIRMED_ANOTHER_MODE: (Outcome.FALSE_POSITIVE, "Another failure mode was found."),
    Verdict.NO_FAULT_FOUND: (Outcome.FALSE_POSITIVE, "No fault was found."),
    Verdict.SENSOR_FAULT: (Outcome.FALSE_POSITIVE, "The sensor was at fault, not the machine."),
    Verdict.DUPLICATE: (Outcome.UNDECIDED, "The work was a duplicate."),
    Verdict.DEFERRED: (Outcome.UNDECIDED, "The work was deferred."),
    Verdict.NOT_INSPECTED: (Outcome.UNDECIDED, "Nobody looked."),
}


@dataclass(frozen=True)
class Score:
    """The outcome of one prediction, with words."""

    outcome: Outcome
    reason: str
    is_date_censored: bool = False
    brier_30d: float | None = None


def request_score(*, predictions: list[Prediction], verdict: str, happened_at: datetime) -> None:
    """Mark predictions to be scored by what people found; a corrected finding has them scored again."""
    for prediction in predictions:
        outcome = (
            PredictionOutcome.objects.select_for_update(no_key=True).filter(prediction=prediction).first()
        )
        if outcome is None:
            outcome = PredictionOutcome(organization_id=prediction.organization_id, prediction=prediction)
        outcome.verdict, outcome.happened_at = verdict, happened_at
        outcome.outcome, outcome.scored_at = "", None
        outcome.mark_due()
        outcome.save()


def request_scores_of_past_horizons() -> int:
    """Mark predictions to be scored whose horizon passed without anybody's verdict."""
    horizon = ExpressionWrapper(timedelta(days=1) * F("horizon_days"), output_field=DurationField())
    ended = F("cutoff_at") + horizon
    unscored = (
        Prediction.objects.made()
        .exclude(Exists(PredictionOutcome.objects.filter(prediction=OuterRef("pk"))))
        .annotate(horizon_ends_at=ended)
        .filter(horizon_ends_at__lte=clock.now())
        .order_by("pk")[:CLOSING_BATCH]
    )
    outcomes = [
        PredictionOutcome(
            organization_id=prediction.organization_id,
            prediction=prediction,
            happened_at=prediction.horizon_ends_at,
        )
        for prediction in unscored
    ]
    for outcome in outcomes:
        outcome.mark_due()
    PredictionOutcome.objects.bulk_create(outcomes, ignore_conflicts=True)
    return len(outcomes)


def compute_score(outcome: PredictionOutcome) -> Score:
    """Compare a prediction with what happened. Writes nothing."""
    prediction = outcome.prediction
    if outcome.verdict:
        verdict = Verdict(outcome.verdict)
        result, reason = OF_VERDICT[verdict]
        return Score(
            outcome=result,
            reason=reason,
            is_date_censored=verdict in {Verdict.EARLY, Verdict.CONFIRMED_AS_PREDICTED},
            brier_30d=_brier_of_verdict(prediction, verdict, outcome.happened_at),
        )
    return _score_of_past_horizon(prediction, outcome.happened_at)


def _brier_of_verdict(prediction: Prediction, verdict: Verdict, happened_at: datetime) -> float | None:
    """Squared error of the 30-day probability; None where the work hides what would have happened."""
    if verdict == Verdict.FAILED_BEFORE_REPAIR:
        return (prediction.p_30d - float(happened_at - prediction.cutoff_at <= timedelta(days=30))) ** 2
    if verdict.is_false_alarm and happened_at - prediction.cutoff_at >= timedelta(days=30):
        return prediction.p_30d**2
    return None


def _score_of_past_horizon(prediction: Prediction, ended_at: datetime) -> Score:
    failure = (
        Failure.objects.filter(
            equipment=prediction.sensor.equipment_id,
            failure_mode=prediction.limit.failure_mode_id,
            failed_at__gt=prediction.cutoff_at,
            failed_at__lte=ended_at,
        )
        .order_by("failed_at")
        .first()
    )
    was_foretold = prediction.p_90d >= FORETOLD_FROM
    if failure is not None:
        within_30d = failure.failed_at - prediction.cutoff_at <= timedelta(days=30)
        return Score(
            outcome=Outcome.TRUE_POSITIVE if was_foretold else Outcome.FALSE_NEGATIVE,
            reason="It failed within the horizon.",
            brier_30d=(prediction.p_30d - within_30d) ** 2,
        )
    if Baseline.objects.filter(
        sensor=prediction.sensor_id, started_at__gt=prediction.cutoff_at, started_at__lte=ended_at
    ).exists():
        return Score(
            outcome=Outcome.CENSORED, reason="It was repaired within the horizon, for another reason."
        )
    return Score(
        outcome=Outcome.FALSE_POSITIVE if was_foretold else Outcome.TRUE_NEGATIVE,
        reason="The horizon passed without a failure.",
        brier_30d=prediction.p_30d**2,
    )


def score_prediction(outcome: PredictionOutcome, score: Score) -> None:
    """Keep a score, and tell the others. Runs in the outcome's transaction."""
    outcome.outcome, outcome.reason = score.outcome, score.reason
    outcome.is_date_censored, outcome.brier_30d = score.is_date_censored, score.brier_30d
    outcome.lead_time = outcome.happened_at - outcome.prediction.made_at
    outcome.scored_at = clock.now()
    outcome.save()
    prediction_scored.send(sender=PredictionOutcome, outcome=outcome)
