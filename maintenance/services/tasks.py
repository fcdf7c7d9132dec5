"""The life of a task: made by hand, approved, started, held, cancelled. Completion has its own module."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from equipment.models import Equipment, FailureMode, Verdict
from maintenance.models import Booking, MaintenanceTask, Priority, StandardJob, TaskStatus, TaskType
from predictions.models import Prediction
from predictions.services.scoring import request_score
from sensors.services.alarms.suppressing import lift_suppression, suppress_alarms
from smartmaint import clock
from smartmaint.accounts.models import Membership, Role, User

VERBS = {
    TaskStatus.PROPOSED: "propose",
    TaskStatus.PENDING: "approve",
    TaskStatus.IN_PROGRESS: "start",
    TaskStatus.ON_HOLD: "hold",
    TaskStatus.COMPLETED: "complete",
    TaskStatus.CANCELLED: "cancel",
}


class TaskRefused(Exception):
    """What was asked of a task cannot be done; the message says why, in words for the person."""


class NotAllowed(TaskRefused):
    """Somebody else's task."""


@dataclass(frozen=True)
class Actor:
    """Who does something with a task: a person, and what they are in the task's organisation."""

    user: User
    is_manager: bool

    @classmethod
    def of(cls, user: User, membership: Membership | None) -> "Actor":
        is_manager = user.is_superuser or (membership is not None and membership.allows(Role.MANAGER))
        return cls(user=user, is_manager=is_manager)


def create_task(
    *,
    equipment: Equipment,
    failure_mode: FailureMode,
    type: TaskType,
    title: str,
    created_by: User,
    priority: Priority = Priority.MEDIUM,
    description: str = "",
    standard_job: StandardJob | None = None,
    duration_minutes: int | None = None,
    required_by: datetime | None = None,
) -> MaintenanceTask:
    """A manager's own task: approved by being made, and waiting for a booking. Raises ValidationError."""
    if duration_minutes is None:
        duration_minutes = standard_job.duration_minutes if standard_job else 60
    task = MaintenanceTask(
        organization_id=equipment.organization_id,
        equipment=equipment,
        failure_mode=failure_mode,
        standard_job=standard_job,
        type=type,
        priority=priority,
        status=TaskStatus.PENDING,
        title=title,
        description=description,
        duration_minutes=duration_minutes,
        required_by=required_by,
        created_by=created_by,
        approved_by=created_by,
        approved_at=clock.now(),
    )
    task.mark_due()
    task.full_clean()
    task.save()
    return task


@transaction.atomic
def approve_task(*, task: MaintenanceTask, user: User) -> MaintenanceTask:
    """Let a proposed task be booked; raises TaskRefused unless it is one."""
    locked = lock_task(task)
    _require(locked, TaskStatus.PROPOSED, "approve")
    locked.status, locked.approved_by, locked.approved_at = TaskStatus.PENDING, user, clock.now()
    locked.mark_due()
    locked.save()
    return locked


@transaction.atomic
def reject_task(*, task: MaintenanceTask, user: User, reason: str) -> MaintenanceTask:
    """Close a proposed task without work; raises TaskRefused unless it is one."""
    locked = lock_task(task)
    _require(locked, TaskStatus.PROPOSED, "reject")
    return _cancel(locked, user, reason)


@transaction.atomic
def cancel_task(*, task: MaintenanceTask, user: User, reason: str) -> MaintenanceTask:
    """Close a task without a finding and free its technician; raises TaskRefused for a closed one."""
    return _cancel(lock_task(task), user, reason)


def _cancel(task: MaintenanceTask, user: User, reason: str) -> MaintenanceTask:
    if not reason.strip():
        raise TaskRefused("Say why: those who wonder later will read it.")
    become(task, TaskStatus.CANCELLED)
    task.cancel_reason = f"{reason.strip()} ({user.display_name})"
    task.due_at = None
    task.save()
    release_booking(task)
    let_alarms_call(task)
    request_score(
        predictions=list(Prediction.objects.filter(proposal__task=task)),
        verdict=Verdict.NOT_INSPECTED,
        happened_at=task.closed_at,
    )
    return task


@transaction.atomic
def start_task(*, task: MaintenanceTask, actor: Actor) -> MaintenanceTask:
    """Begin, or go on after a hold; raises TaskRefused."""
    locked = lock_task(task)
    require_own(locked, actor)
    become(locked, TaskStatus.IN_PROGRESS)
    locked.started_at = locked.started_at or clock.now()
    locked.hold_reason = locked.not_booked_because = ""
    locked.due_at = None
    locked.save()
    silence_alarms(locked)
    return locked


@transaction.atomic
def hold_task(*, task: MaintenanceTask, actor: Actor, reason: str) -> MaintenanceTask:
    """Stop for now, say for a part, and free the rest of the booked time; raises TaskRefused."""
    locked = lock_task(task)
    require_own(locked, actor)
    if not reason.strip():
        raise TaskRefused("Say what it waits for.")
    become(locked, TaskStatus.ON_HOLD)
    locked.hold_reason = reason.strip()
    locked.save()
    release_booking(locked)
    let_alarms_call(locked)
    return locked


def lock_task(task: MaintenanceTask) -> MaintenanceTask:
    """The task as it is now, held until the transaction ends: two people at once become one after the other."""
    return (
        MaintenanceTask.objects.select_for_update(no_key=True, of=("self",))
        .select_related("technician", "equipment", "organization")
        .get(pk=task.pk)
    )


def may_work_on(task: MaintenanceTask, actor: Actor) -> bool:
    """It is the actor's own task, or the actor is a manager."""
    return actor.is_manager or (task.technician is not None and task.technician.user_id == actor.user.pk)


def require_own(task: MaintenanceTask, actor: Actor) -> None:
    """Raise NotAllowed unless `may_work_on`."""
    if not may_work_on(task, actor):
        raise NotAllowed(f"{task.number} is not yours: it is {task.technician or 'nobody'}'s.")


def _require(task: MaintenanceTask, status: TaskStatus, verb: str) -> None:
    if task.status != status:
        raise _refusal(task, verb)


def _refusal(task: MaintenanceTask, verb: str) -> TaskRefused:
    return TaskRefused(f"You cannot {verb} {task.number}: it is {task.get_status_display().lower()}.")


def become(task: MaintenanceTask, status: TaskStatus) -> None:
    """The one way to another status; the transition table decides."""
    if task.status == status:
        raise TaskRefused(f"{task.number} is {status.label.lower()} already.")
    if not task.may_become(status):
        raise _refusal(task, VERBS[status])
    task.status = status
    if task.is_closed:
        task.closed_at = clock.now()


def silence_alarms(task: MaintenanceTask) -> None:
    """While somebody works on a machine its alarms call nobody."""
    suppress_alarms(equipment=task.equipment, key=f"task {task.pk}", reason=str(task))


def let_alarms_call(task: MaintenanceTask) -> None:
    """Nobody works on it any more, as far as this task goes."""
    lift_suppression(equipment=task.equipment, key=f"task {task.pk}")


def release_booking(task: MaintenanceTask) -> None:
    """Free the booked time that is still to come; time that was worked stays in the diary."""
    now = clock.now()
    booking = Booking.objects.filter(task=task, is_active=True).first()
    if booking is None:
        return
    if booking.period.lower < now < booking.period.upper:
        booking.period = type(booking.period)(booking.period.lower, now, "[)")
    elif now <= booking.period.lower:
        booking.is_active = False
    booking.save(update_fields=["period", "is_active"])
