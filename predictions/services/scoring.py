"""What became of predictions: rows that wait for a verdict or a score, and the score itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet

from equipment.models import Failure, Verdict
from predictions.models import Outcome, Prediction, PredictionOutcome, PredictionOutcomeQuerySet
from predictions.signals import prediction_scored
from sensors.models import Baseline
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.queues import queue_now

FORETOLD_FROM = 0.5
MONTH = timedelta(days=30)
HORIZON = ExpressionWrapper(F("horizon_days") * timedelta(days=1), output_field=DurationField())

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
    lead_time: timedelta | None = None  # Of true positives alone: nothing else was ahead of anything.
    is_date_censored: bool = False
    brier_30d: float | None = None


def expect_verdict(prediction: Prediction) -> None:
    """Leave a prediction's score to people, who will look: the end of its horizon says nothing while a task is open.

    Whoever expects a verdict calls `request_score` in the end, with `not inspected` if nobody looked.
    """
    PredictionOutcome.objects.get_or_create(
        prediction=prediction, defaults={"organization_id": prediction.organization_id}
    )


@transaction.atomic
def request_score(*, predictions: list[Prediction], verdict: str, happened_at: datetime) -> None:
    """Mark predictions to be scored by what people found; a corrected finding has them scored again."""
    PredictionOutcome.objects.bulk_create(
        [
            PredictionOutcome(organization_id=prediction.organization_id, prediction=prediction)
            for prediction in predictions
        ],
        ignore_conflicts=True,
    )
    _mark_unscored(
        PredictionOutcome.objects.filter(prediction__in=predictions), verdict=verdict, happened_at=happened_at
    )


@transaction.atomic
def rescore_for_failure(failure: Failure) -> int:
    """Have scored again what was closed without knowing of a failure, or by one that is withdrawn; returns how many.

    These are the predictions of its equipment and mode whose horizon holds the failure and has passed; those without a
    limit are of any mode.
    """
    mode = Q(prediction__limit=None) | Q(prediction__limit__failure_mode=failure.failure_mode_id)
    return _mark_unscored(
        PredictionOutcome.objects.filter(
            mode,
            verdict="",
            happened_at__gte=failure.failed_at,
            prediction__cutoff_at__lt=failure.failed_at,
            prediction__sensor__equipment=failure.equipment_id,
        )
    )


def _mark_unscored(outcomes: PredictionOutcomeQuerySet, **found: object) -> int:
    """Put outcomes into their queue, all in one UPDATE; locked in the order of their keys, as by everybody."""
    locked = outcomes.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk", flat=True)
    return PredictionOutcome.objects.filter(pk__in=list(locked)).update(
        outcome="",
        scored_at=None,
        due_at=queue_now(),
        attempts=0,
        parked_at=None,
        last_error="",
        **found,
    )


def missed_failures(organization: Organization) -> QuerySet[Failure]:
    """Failures of an organisation that nothing foretold."""
    return not_foretold(Failure.objects.for_organization(organization), by_limits_alone=False)


def not_foretold(failures: QuerySet[Failure], *, by_limits_alone: bool) -> QuerySet[Failure]:
    """Those of the failures that no earlier prediction for that machine and mode foretold.

    One without a limit meant any mode; `by_limits_alone` leaves those out. A prediction foretold it by giving 50 % or
    more within its horizon, or because people confirmed it; not if the machine was repaired between the two.
    """
    repaired_between = Baseline.objects.filter(
        sensor=OuterRef("sensor"),
        started_at__gt=OuterRef("cutoff_at"),
        started_at__lt=OuterRef(OuterRef("failed_at")),
    )
    of_mode = Q(limit__failure_mode=OuterRef("failure_mode"))
    foretold = (
        Prediction.objects.made()
        .annotate(horizon_ends_at=F("cutoff_at") + HORIZON)
        .filter(
            Q(p_90d__gte=FORETOLD_FROM) | Q(outcome__outcome=Outcome.TRUE_POSITIVE),
            of_mode if by_limits_alone else of_mode | Q(limit=None),
            sensor__equipment=OuterRef("equipment"),
            cutoff_at__lt=OuterRef("failed_at"),
            horizon_ends_at__gte=OuterRef("failed_at"),
        )
        .exclude(Exists(repaired_between))
    )
    return failures.exclude(Exists(foretold))


def compute_score(outcome: PredictionOutcome) -> Score:
    """Compare a prediction with what happened. Writes nothing."""
    if not outcome.verdict:
        return _score_of_past_horizon(outcome.prediction, outcome.happened_at)
    return _score_of_verdict(outcome.prediction, Verdict(outcome.verdict), outcome.happened_at)


def _score_of_verdict(prediction: Prediction, verdict: Verdict, happened_at: datetime) -> Score:
    if happened_at <= prediction.cutoff_at:
        return Score(outcome=Outcome.UNDECIDED, reason="It was made after that had happened.")
    result, reason = OF_VERDICT[verdict]
    return Score(
        outcome=result,
        reason=reason,
        lead_time=_lead_time(prediction, happened_at) if result == Outcome.TRUE_POSITIVE else None,
        is_date_censored=verdict == Verdict.EARLY,
        brier_30d=_brier_of_verdict(prediction, verdict, happened_at),
    )


def _brier_of_verdict(prediction: Prediction, verdict: Verdict, happened_at: datetime) -> float | None:
    """Squared error of the 30-day probability (Brier 1950); None where the work hides what would have happened."""
    if verdict in {Verdict.CONFIRMED_AS_PREDICTED, Verdict.FAILED_BEFORE_REPAIR}:
        return _brier_of_event(prediction, happened_at)
    if verdict.is_false_alarm and happened_at - prediction.cutoff_at >= MONTH:
        return prediction.p_30d**2
    return None


def _brier_of_event(prediction: Prediction, happened_at: datetime) -> float:
    return (prediction.p_30d - float(happened_at - prediction.cutoff_at <= MONTH)) ** 2


def _lead_time(prediction: Prediction, happened_at: datetime) -> timedelta:
    return max(happened_at - prediction.made_at, timedelta())


def _score_of_past_horizon(prediction: Prediction, ended_at: datetime) -> Score:
    repaired_at = _first_repair(prediction, ended_at)
    failed_at = _first_failure(prediction, repaired_at or ended_at)
    if failed_at is not None:
        was_foretold = prediction.p_90d >= FORETOLD_FROM
        return Score(
            outcome=Outcome.TRUE_POSITIVE if was_foretold else Outcome.FALSE_NEGATIVE,
            reason="It failed within the horizon.",
            lead_time=_lead_time(prediction, failed_at) if was_foretold else None,
            brier_30d=_brier_of_event(prediction, failed_at),
        )
    if repaired_at is not None:
        return Score(
            outcome=Outcome.CENSORED, reason="It was repaired within the horizon, for another reason."
        )
    return Score(
        outcome=Outcome.TRUE_NEGATIVE,
        reason="The horizon passed without a failure.",
        brier_30d=prediction.p_30d**2,
    )


def _first_repair(prediction: Prediction, ended_at: datetime) -> datetime | None:
    return (
        Baseline.objects.filter(
            sensor=prediction.sensor_id, started_at__gt=prediction.cutoff_at, started_at__lte=ended_at
        )
        .order_by("started_at")
        .values_list("started_at", flat=True)
        .first()
    )


def _first_failure(prediction: Prediction, ended_at: datetime) -> datetime | None:
    """Of the limit's mode; without a limit any failure is what was meant."""
    mode = Q(failure_mode=prediction.limit.failure_mode_id) if prediction.limit else Q()
    return (
        Failure.objects.filter(
            mode,
            equipment=prediction.sensor.equipment_id,
            failed_at__gt=prediction.cutoff_at,
            failed_at__lte=ended_at,
        )
        .order_by("failed_at")
        .values_list("failed_at", flat=True)
        .first()
    )


def score_prediction(outcome: PredictionOutcome, score: Score) -> None:
    """Keep a score, and tell the others. Runs in the outcome's transaction."""
    outcome.outcome, outcome.reason = score.outcome, score.reason
    outcome.is_date_censored, outcome.brier_30d = score.is_date_censored, score.brier_30d
    outcome.lead_time = score.lead_time
    outcome.scored_at = clock.now()
    outcome.save()
    prediction_scored.send(sender=PredictionOutcome, outcome=outcome)
