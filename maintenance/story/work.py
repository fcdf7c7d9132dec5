"""The part of a story that people and agents add: decisions, tasks, bookings, findings, and what they led to."""

from collections.abc import Iterable

from django.db.models import Case, Count, F, Min, Q, QuerySet, When, Window
from django.db.models.functions import Lag

from equipment.models import Failure, Verdict
from maintenance.models import Booking, Decision, MaintenanceLog, MaintenanceTask, Proposal, TaskStatus
from maintenance.story.entries import Cause, Entry, Kind, Place
from maintenance.story.signs import Machines, newest, prediction_place, told_predictions
from maintenance.wording import in_words, minutes_in_words, window_in_words
from predictions.models import Outcome, PredictionOutcome
from sensors.models import Baseline

HistoricalTask = MaintenanceTask.history.model
_OUTCOME_LEVEL = {
    Outcome.TRUE_POSITIVE: "good",
    Outcome.FALSE_POSITIVE: "medium",
    Outcome.FALSE_NEGATIVE: "high",
}


def decisions(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = (
        _decisions()
        .filter(prediction__in=told_predictions(machines))
        .select_related("prediction__sensor", "task")
    )
    return [
        Entry(
            place=_decision_place(proposal),
            title=f"Decided: {proposal.get_decision_display()}",
            words=proposal.reason,
            level="info" if proposal.decision == Decision.PROPOSED else "low",
            machine=machines[proposal.prediction.sensor.equipment_id],
            because=Cause(
                f"the prediction for {proposal.prediction.sensor.key}", prediction_place(proposal.prediction)
            ),
            task_id=proposal.task_id,
        )
        for proposal in newest(rows, Kind.DECISION, "told_at", start, most)
    ]


def _decisions() -> QuerySet:
    """A decision stands before the task that it made, though its row was written after it."""
    told_at = Case(When(decision=Decision.PROPOSED, then=F("task__created_at")), default=F("decided_at"))
    return Proposal.objects.annotate(told_at=told_at)


def _decision_place(proposal: Proposal) -> Place:
    return Place.of(proposal.told_at, Kind.DECISION, proposal.pk)


def task_steps(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    """Each change of a task's status but its completion, which the log tells."""
    before = Window(Lag("status"), partition_by=F("id"), order_by=[F("history_date"), F("history_id")])
    steps = (
        HistoricalTask.objects.filter(equipment__in=list(machines))
        .annotate(status_before=before)
        .filter(Q(status_before__isnull=True) | ~Q(status=F("status_before")))
        .exclude(status=TaskStatus.COMPLETED)
        .select_related("history_user", "created_by", "approved_by")
    )
    told = list(newest(steps, Kind.TASK, "history_date", start, most, "history_id"))
    origins = _decisions_behind(step.id for step in told)
    return [_task_step(step, machines, origins.get(step.id)) for step in told]


def _decisions_behind(task_ids: Iterable[int]) -> dict[int, Proposal]:
    made_task = _decisions().filter(task__in=set(task_ids), decision=Decision.PROPOSED)
    return {proposal.task_id: proposal for proposal in made_task}


def _task_step(step: "HistoricalTask", machines: Machines, origin: Proposal | None) -> Entry:
    is_new = step.status_before is None
    number = f"WO-{step.id}"
    titles = {
        TaskStatus.PROPOSED: f"{number} proposed",
        TaskStatus.PENDING: f"{number} made and approved" if is_new else f"{number} approved",
        TaskStatus.IN_PROGRESS: f"{number} started"
        if step.status_before != TaskStatus.ON_HOLD
        else f"{number} goes on",
        TaskStatus.ON_HOLD: f"{number} on hold",
        TaskStatus.CANCELLED: f"{number} cancelled",
    }
    return Entry(
        place=Place.of(step.history_date, Kind.TASK, step.history_id),
        title=titles[step.status],
        words=_step_words(step, is_new),
        level="medium" if step.status == TaskStatus.ON_HOLD else "info",
        machine=machines[step.equipment_id],
        because=Cause("the decision on the prediction", _decision_place(origin))
        if origin and is_new
        else None,
        task_id=step.id,
    )


def _step_words(step: "HistoricalTask", is_new: bool) -> str:
    match step.status:
        case TaskStatus.ON_HOLD:
            return step.hold_reason
        case TaskStatus.CANCELLED:
            return step.cancel_reason
        case TaskStatus.IN_PROGRESS:
            return f"By {step.history_user.display_name}." if step.history_user else ""
    person = step.created_by if is_new else step.approved_by
    by = (
        f", by {person.display_name}"
        if person
        else ", by the policy"
        if step.status == TaskStatus.PENDING
        else ""
    )
    return f"{step.title}{by}."


def task_origins(task_ids: Iterable[int]) -> dict[int, Place]:
    """Where the making of each task stands in the story."""
    made = HistoricalTask.objects.filter(id__in=set(task_ids), history_type="+")
    return {step.id: Place.of(step.history_date, Kind.TASK, step.history_id) for step in made}


def _caused_by_task(task_id: int, origins: dict[int, Place]) -> Cause | None:
    return Cause(f"WO-{task_id}", origins[task_id]) if task_id in origins else None


def bookings(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = Booking.objects.filter(task__equipment__in=list(machines)).select_related(
        "technician__user", "task"
    )
    told = list(newest(rows, Kind.BOOKING, "booked_at", start, most))
    origins = task_origins(booking.task_id for booking in told)
    return [
        Entry(
            place=Place.of(booking.booked_at, Kind.BOOKING, booking.pk),
            title=f"{booking.technician} booked for {booking.task.number}",
            words=f"{window_in_words(booking.period)}.",
            details=tuple(filter(None, [booking.reason])),
            level="info",
            machine=machines[booking.task.equipment_id],
            because=_caused_by_task(booking.task_id, origins),
            task_id=booking.task_id,
        )
        for booking in told
    ]


def failures(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = Failure.objects.filter(equipment__in=list(machines)).select_related("failure_mode")
    return [
        Entry(
            place=Place.of(failure.failed_at, Kind.FAILURE, failure.pk),
            title=f"Failure: {failure.failure_mode}",
            words=f"Recorded {in_words(failure.recorded_at)}.",
            level="critical",
            machine=machines[failure.equipment_id],
        )
        for failure in newest(rows, Kind.FAILURE, "failed_at", start, most)
    ]


def _logs() -> QuerySet:
    """Findings stand where the work ended, corrections where they were written."""
    told_at = Case(When(corrects__isnull=True, then=F("completed_at")), default=F("written_at"))
    return MaintenanceLog.objects.annotate(told_at=told_at)


def _log_place(log: MaintenanceLog) -> Place:
    at = log.completed_at if log.corrects_id is None else log.written_at
    return Place.of(at, Kind.LOG, log.pk)


def logs(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = (
        _logs()
        .filter(equipment__in=list(machines))
        .select_related("task", "written_by", "failure_mode", "corrects")
    )
    told = list(newest(rows, Kind.LOG, "told_at", start, most))
    origins = task_origins(log.task_id for log in told)
    return [_log_entry(log, machines, origins) for log in told]


def _log_entry(log: MaintenanceLog, machines: Machines, origins: dict[int, Place]) -> Entry:
    verdict = Verdict(log.verdict)
    because = _caused_by_task(log.task_id, origins)
    title = f"{log.task.number} completed: {verdict.label.lower()}"
    if log.corrects is not None:
        because = Cause("the entry before", _log_place(log.corrects))
        title = f"{log.task.number} corrected: {verdict.label.lower()}"
    return Entry(
        place=_log_place(log),
        title=title,
        words=f"{log.failure_mode}, told by {log.written_by.display_name}.",
        details=tuple(
            f"{label}: {text}"
            for label, text in (
                ("Cause", log.cause),
                ("Remedy", log.remedy),
                ("Notes", log.notes),
                ("Downtime", minutes_in_words(log.downtime_minutes)),
            )
            if text
        ),
        level="medium" if verdict.is_false_alarm else "good",
        machine=machines[log.equipment_id],
        because=because,
        task_id=log.task_id,
    )


def baselines(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    """New baselines; those of one repair are one entry."""
    rows = (
        Baseline.objects.filter(sensor__equipment__in=list(machines))
        .values("started_at", "reason", "organization")
        .annotate(first=Min("pk"), sensors=Count("pk"))
    )
    told = list(newest(rows, Kind.BASELINE, "started_at", start, most, "first"))
    causes = _logs_behind(told)
    return [
        Entry(
            place=Place.of(baseline["started_at"], Kind.BASELINE, baseline["first"]),
            title="Baseline restarted",
            words=f"{baseline['sensors']} sensor{'s' if baseline['sensors'] > 1 else ''} learn anew what is normal.",
            details=(baseline["reason"],),
            level="info",
            because=causes.get((baseline["started_at"], baseline["reason"].casefold())),
        )
        for baseline in told
    ]


def _logs_behind(told: list[dict]) -> dict[tuple, Cause]:
    """The findings that restarted baselines: of the same moment, and named in the reason with their verdict."""
    found = (
        _logs()
        .filter(
            completed_at__in={baseline["started_at"] for baseline in told},
            organization__in={baseline["organization"] for baseline in told},
        )
        .select_related("task")
        .order_by("-pk")
    )
    return {
        (log.completed_at, f"{log.task.number}: {log.get_verdict_display()}".casefold()): Cause(
            f"what was found in {log.task.number}", _log_place(log)
        )
        for log in found
    }


def scores(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = (
        PredictionOutcome.objects.scored()
        .filter(prediction__in=told_predictions(machines))
        .select_related("prediction__sensor", "prediction__proposal")
    )
    told = list(newest(rows, Kind.SCORE, "scored_at", start, most))
    findings = _findings_behind(told)
    return [
        Entry(
            place=Place.of(outcome.scored_at, Kind.SCORE, outcome.pk),
            title=f"Prediction scored: {outcome.get_outcome_display().lower()}",
            words=outcome.reason,
            details=(
                f"It was the prediction for {outcome.prediction.sensor.key} of {in_words(outcome.prediction.made_at)}.",
            ),
            level=_OUTCOME_LEVEL.get(outcome.outcome, "low"),
            machine=machines[outcome.prediction.sensor.equipment_id],
            because=findings.get(_task_of(outcome))
            or Cause("the prediction's horizon", prediction_place(outcome.prediction)),
        )
        for outcome in told
    ]


def _task_of(outcome: PredictionOutcome) -> int | None:
    """The task whose finding scored a prediction; None where the horizon passed."""
    proposal = getattr(outcome.prediction, "proposal", None)
    return proposal.task_id if proposal and outcome.verdict else None


def _findings_behind(told: list[PredictionOutcome]) -> dict[int | None, Cause]:
    """By task its newest finding."""
    tasks = {task_id for outcome in told if (task_id := _task_of(outcome)) is not None}
    found = _logs().filter(task__in=tasks).select_related("task").order_by("pk")
    return {log.task_id: Cause(f"what was found in {log.task.number}", _log_place(log)) for log in found}
