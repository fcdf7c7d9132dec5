"""MaintenanceLog: what was found flows back. Marks only, in one transaction; agents do the computing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from equipment.models import Failure, FailureMode, Verdict
from equipment.services import record_failure, withdraw_failure
from maintenance.models import MaintenanceLog, MaintenanceTask, TaskStatus
from maintenance.services.tasks import (
    Actor,
    TaskRefused,
    become,
    let_alarms_call,
    lock_task,
    release_booking,
    require_own,
)
from maintenance.signals import task_completed
from predictions.models import Prediction
from predictions.services.scoring import request_score
from sensors.services.baselines import (
    lock_open_anomalies,
    record_finding,
    restart_baseline,
    restart_sensor_baselines,
    withdraw_baseline,
)
from smartmaint import clock


@dataclass(frozen=True)
class Finding:
    """What a technician tells. Times in minutes; None means that it is not known."""

    verdict: Verdict
    failure_mode: FailureMode
    cause: str = ""
    remedy: str = ""
    notes: str = ""
    downtime_minutes: int | None = None
    labour_minutes: int | None = None


@transaction.atomic
def complete_task(
    *, task: MaintenanceTask, actor: Actor, finding: Finding, completed_at: datetime | None = None
) -> MaintenanceLog:
    """Close a task with its finding, and hand that back to sensors and predictions.

    Raises TaskRefused for a task that is not being worked on, is another's, or was completed already, and
    ValidationError, by field, for a finding that contradicts itself. `completed_at` is now, unless the work was done
    earlier.
    """
    lock_open_anomalies(equipment=task.equipment)
    locked = lock_task(task)
    require_own(locked, actor)
    completed_at = completed_at or clock.now()
    if completed_at > clock.now():
        raise TaskRefused("It cannot have been completed in the future.")
    become(locked, TaskStatus.COMPLETED)
    if completed_at < locked.started_at:
        raise TaskRefused("It cannot have been completed before it was started.")
    locked.closed_at = completed_at
    locked.due_at = None
    locked.save()
    release_booking(locked)
    let_alarms_call(locked)
    log = _write_log(locked, actor, finding, completed_at)
    _hand_back(log)
    task_completed.send(sender=MaintenanceLog, log=log)
    return log


@transaction.atomic
def correct_log(*, log: MaintenanceLog, actor: Actor, finding: Finding) -> MaintenanceLog:
    """Put a finding right by a new entry; the old one stays.

    Raises TaskRefused for one that was corrected already, and ValidationError like `complete_task`.
    """
    lock_open_anomalies(equipment=log.equipment)
    task = lock_task(log.task)
    require_own(task, actor)
    if MaintenanceLog.objects.filter(corrects=log).exists():
        raise TaskRefused("This entry was corrected already: correct the newer one.")
    _take_back(log, finding.verdict)
    corrected = _write_log(task, actor, finding, log.completed_at, corrects=log)
    _hand_back(corrected)
    return corrected


def _write_log(
    task: MaintenanceTask,
    actor: Actor,
    finding: Finding,
    completed_at: datetime,
    corrects: MaintenanceLog | None = None,
) -> MaintenanceLog:
    _require_agreement(task, finding)
    log = MaintenanceLog(
        organization=task.organization,
        task=task,
        equipment=task.equipment,
        corrects=corrects,
        completed_at=completed_at,
        technician=task.technician,
        written_by=actor.user,
        verdict=finding.verdict,
        failure_mode=finding.failure_mode,
        cause=finding.cause,
        remedy=finding.remedy,
        notes=finding.notes,
        downtime_minutes=finding.downtime_minutes,
        labour_minutes=finding.labour_minutes,
    )
    log.full_clean()
    log.save()
    return log


def _require_agreement(task: MaintenanceTask, finding: Finding) -> None:
    """The verdict and the mode must say the same of a prediction: it is scored by them."""
    if not task.proposals.exists():
        return
    if task.failure_mode.is_unknown:
        # What fails after an anomaly is not foretold; whatever it was, it was as predicted.
        if finding.verdict == Verdict.CONFIRMED_ANOTHER_MODE:
            words = "No mode was predicted: choose the verdict “confirmed as predicted”."
            raise ValidationError({"verdict": words})
        return
    is_foretold = finding.failure_mode == task.failure_mode
    if finding.verdict == Verdict.CONFIRMED_ANOTHER_MODE and is_foretold:
        raise ValidationError(
            {"failure_mode": "This is the mode that was predicted. Choose the one you found."}
        )
    if finding.verdict == Verdict.CONFIRMED_AS_PREDICTED and not is_foretold:
        words = f"Predicted was {task.failure_mode}. Choose that, or the verdict “confirmed another mode”."
        raise ValidationError({"failure_mode": words})


def _hand_back(log: MaintenanceLog) -> None:
    """Restart the baseline, teach validation, have the predictions scored, keep the failure."""
    verdict = Verdict(log.verdict)
    predictions = list(
        Prediction.objects.filter(proposal__task=log.task).select_related("anomaly", "sensor").order_by("pk")
    )
    reason = f"{_reason_prefix(log)}{verdict.label.lower()}"
    if verdict.restores:
        restart_baseline(equipment=log.equipment, started_at=log.completed_at, reason=reason)
    elif verdict == Verdict.SENSOR_FAULT:
        restart_sensor_baselines(
            sensors={prediction.sensor for prediction in predictions},
            started_at=log.completed_at,
            reason=reason,
        )
    for anomaly in {prediction.anomaly for prediction in predictions if prediction.anomaly}:
        record_finding(anomaly=anomaly, verdict=verdict, found_at=log.completed_at)
    request_score(
        predictions=predictions,
        verdict=_verdict_on_what_was_foretold(log),
        happened_at=_failed_at(log) or log.completed_at,
    )
    if failed_at := _failed_at(log):
        record_failure(equipment=log.equipment, failure_mode=log.failure_mode, failed_at=failed_at)


def _verdict_on_what_was_foretold(log: MaintenanceLog) -> Verdict:
    """That another mode than the task's failed, or was about to, is not what its predictions said."""
    verdict, foretold, found = Verdict(log.verdict), log.task.failure_mode, log.failure_mode
    is_another = found != foretold and not (found.is_unknown or foretold.is_unknown)
    return Verdict.CONFIRMED_ANOTHER_MODE if is_another and verdict.restores else verdict


def _take_back(log: MaintenanceLog, corrected: Verdict) -> None:
    """Undo what a finding had marked, unless its correction or another task's finding that holds says the same."""
    others = list(MaintenanceLog.objects.current().filter(equipment=log.equipment).exclude(task=log.task))
    failed_at = _failed_at(log)
    is_told_elsewhere = any(
        other.failure_mode_id == log.failure_mode_id and _failed_at(other) == failed_at for other in others
    )
    if failed_at and not is_told_elsewhere:
        # One that was recorded before this finding was somebody else's word: it stays.
        for failure in Failure.objects.filter(
            equipment=log.equipment,
            failure_mode=log.failure_mode,
            failed_at=failed_at,
            recorded_at__gte=log.written_at,
        ):
            withdraw_failure(failure=failure)
    is_restored = corrected.restores or any(
        other.completed_at == log.completed_at and Verdict(other.verdict).restores for other in others
    )
    if not is_restored:
        withdraw_baseline(
            equipment=log.equipment, started_at=log.completed_at, reason_prefix=_reason_prefix(log)
        )


def _reason_prefix(log: MaintenanceLog) -> str:
    """How the reason of every baseline begins that a task's findings mark."""
    return f"{log.task.number}: "


def _failed_at(log: MaintenanceLog) -> datetime | None:
    """When the machine failed, if it did: as long before the end of the work as it stood."""
    if not Verdict(log.verdict).is_failure:
        return None
    return log.completed_at - timedelta(minutes=log.downtime_minutes or 0)
