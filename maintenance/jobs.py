"""What technicians see of their work. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Prefetch, Q

from maintenance.models import Booking, MaintenanceLog, MaintenanceTask, Priority, TaskStatus, Technician
from smartmaint import clock
from smartmaint.accounts.models import Organization, User

RECENTLY_DONE = 5
WORKING, LATE, TODAY = "Working on it", "Should have begun", "Today"
LATER, HELD, UNBOOKED = "Later", "On hold", "Without a time yet"
HEADINGS = (WORKING, LATE, TODAY, LATER, HELD, UNBOOKED)


@dataclass(frozen=True)
class JobGroup:
    """Jobs under one heading."""

    title: str
    jobs: list[MaintenanceTask]


@dataclass(frozen=True)
class Hold:
    """Why and how long a job waited; `ends_at` is None while it does."""

    reason: str
    begins_at: datetime
    by: User | None
    ends_at: datetime | None = None


def technician_of(user: User, organization: Organization) -> Technician | None:
    return Technician.objects.for_organization(organization).filter(user=user, is_active=True).first()


def open_jobs(organization: Organization, technician: Technician | None) -> list[MaintenanceTask]:
    """Approved work that is not done: the technician's, or everybody's for None. In the order of doing it."""
    tasks = MaintenanceTask.objects.for_organization(organization).filter(
        status__in=[TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD]
    )
    if technician is not None:
        tasks = tasks.of_technician(technician)
    active = Booking.objects.filter(is_active=True)
    with_links = tasks.select_related("equipment__site", "failure_mode", "technician__user").prefetch_related(
        Prefetch("bookings", active)
    )
    return sorted(with_links, key=_order)


def _order(task: MaintenanceTask) -> tuple[bool, datetime, int, int]:
    never = clock.now() + timedelta(days=36_500)
    booking = task.active_booking
    begins_at = booking.period.lower if booking else never
    return task.status != TaskStatus.IN_PROGRESS, begins_at, -Priority(task.priority).rank, task.pk


def group_jobs(jobs: Iterable[MaintenanceTask], organization: Organization) -> list[JobGroup]:
    """The headings of the page; those with nothing under them are left out."""
    groups: dict[str, list[MaintenanceTask]] = {heading: [] for heading in HEADINGS}
    now = clock.now().astimezone(organization.zone)
    for job in jobs:
        groups[_heading(job, now)].append(job)
    return [JobGroup(title, found) for title, found in groups.items() if found]


def _heading(job: MaintenanceTask, now: datetime) -> str:
    booking = job.active_booking
    if job.status == TaskStatus.IN_PROGRESS:
        return WORKING
    if job.status == TaskStatus.ON_HOLD:
        return HELD
    if booking is None:
        return UNBOOKED
    begins_at = booking.period.lower.astimezone(now.tzinfo)
    if begins_at.date() == now.date():
        return TODAY
    return LATER if begins_at > now else LATE


def recently_done(organization: Organization, technician: Technician | None) -> list[MaintenanceLog]:
    """The newest findings, each as it was last corrected."""
    logs = MaintenanceLog.objects.for_organization(organization).current()
    if technician is not None:
        logs = logs.filter(Q(technician=technician) | Q(written_by=technician.user_id))
    return list(
        logs.select_related("task", "equipment", "failure_mode", "written_by").order_by(
            "-completed_at", "-id"
        )[:RECENTLY_DONE]
    )


def newest_entry(task: MaintenanceTask) -> MaintenanceLog | None:
    """What holds now of a task's log: the entry that nobody has corrected."""
    return task.logs.current().select_related("written_by", "failure_mode", "corrects").first()


def holds_of(task: MaintenanceTask) -> list[Hold]:
    """When a task was held and when it went on, the oldest first."""
    holds: list[Hold] = []
    is_held = False
    for step in task.history.select_related("history_user").order_by("history_date", "history_id"):
        if step.status == TaskStatus.ON_HOLD and not is_held:
            holds.append(Hold(reason=step.hold_reason, begins_at=step.history_date, by=step.history_user))
        if step.status != TaskStatus.ON_HOLD and is_held:
            holds[-1] = replace(holds[-1], ends_at=step.history_date)
        is_held = step.status == TaskStatus.ON_HOLD
    return holds
