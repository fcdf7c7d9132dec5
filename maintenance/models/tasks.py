"""Maintenance tasks (work orders), their one transition table, and the bookings of technicians."""

from datetime import datetime

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.timezone import localtime
from simple_history.models import HistoricalRecords

from equipment.models import Equipment, FailureMode
from maintenance.models.workforce import StandardJob, Technician
from predictions.models import Prediction
from smartmaint import clock
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


class TaskStatus(models.TextChoices):
    PROPOSED = "proposed"
    PENDING = "pending"
    IN_PROGRESS = "in_progress", "In progress"
    ON_HOLD = "on_hold", "On hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[str, frozenset[str]] = {
    TaskStatus.PROPOSED: frozenset({TaskStatus.PENDING, TaskStatus.CANCELLED}),
    TaskStatus.PENDING: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.CANCELLED}),
    TaskStatus.IN_PROGRESS: frozenset({TaskStatus.ON_HOLD, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.ON_HOLD: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}
CLOSED = (TaskStatus.COMPLETED, TaskStatus.CANCELLED)


class TaskType(models.TextChoices):
    CORRECTIVE = "corrective"
    PREVENTIVE = "preventive"
    PREDICTIVE = "predictive"
    INSPECTION = "inspection"
    CALIBRATION = "calibration"
    IMPROVEMENT = "improvement"


class Priority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Priority).index(self)


class MaintenanceTaskQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    def open(self) -> "MaintenanceTaskQuerySet":
        return self.exclude(status__in=CLOSED)

    def to_approve(self) -> "MaintenanceTaskQuerySet":
        return self.filter(status=TaskStatus.PROPOSED)

    def overdue(self) -> "MaintenanceTaskQuerySet":
        return self.open().filter(required_by__lt=clock.now())

    def not_booked(self) -> "MaintenanceTaskQuerySet":
        """Approved, and nobody could be booked so far."""
        return self.filter(status=TaskStatus.PENDING).exclude(not_booked_because="")

    def of_technician(self, technician: Technician) -> "MaintenanceTaskQuerySet":
        return self.filter(technician=technician)


class MaintenanceTask(OrganizationOwned, PendingWork):
    """One piece of work on one machine. Pending work of the engine until a technician is booked."""

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="tasks")
    failure_mode = models.ForeignKey(FailureMode, on_delete=models.PROTECT, related_name="tasks")
    prediction = models.ForeignKey(
        Prediction, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks"
    )
    standard_job = models.ForeignKey(
        StandardJob, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks"
    )
    type = models.CharField(max_length=20, choices=TaskType)
    priority = models.CharField(max_length=10, choices=Priority, default=Priority.MEDIUM)
    status = models.CharField(max_length=20, choices=TaskStatus, default=TaskStatus.PROPOSED)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    duration_minutes = models.PositiveIntegerField(default=60, validators=[MinValueValidator(5)])
    required_by = models.DateTimeField(null=True, blank=True)
    technician = models.ForeignKey(
        Technician, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks"
    )
    not_booked_because = models.TextField(blank=True, editable=False)
    hold_reason = models.TextField(blank=True)
    cancel_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    approved_by = models.ForeignKey(
        User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = MaintenanceTaskQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["due_at", "attempts", "parked_at", "last_error"])

    class Meta:
        ordering = ["-id"]
        indexes = queue_indexes()
        constraints = [
            one_place(),
            models.UniqueConstraint(
                fields=["equipment", "failure_mode"],
                condition=Q(type=TaskType.PREDICTIVE) & ~Q(status__in=CLOSED),
                name="task_one_open_predictive",
            ),
            models.CheckConstraint(condition=Q(status__in=TaskStatus.values), name="task_status"),
            models.CheckConstraint(condition=Q(type__in=TaskType.values), name="task_type"),
            models.CheckConstraint(condition=Q(priority__in=Priority.values), name="task_priority"),
            models.CheckConstraint(condition=Q(duration_minutes__gte=5), name="task_duration"),
            models.CheckConstraint(
                condition=Q(status__in=CLOSED, closed_at__isnull=False)
                | (~Q(status__in=CLOSED) & Q(closed_at__isnull=True)),
                name="task_closed_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[TaskStatus.IN_PROGRESS, TaskStatus.ON_HOLD, TaskStatus.COMPLETED])
                | Q(started_at__isnull=False),
                name="task_started_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=TaskStatus.ON_HOLD) | ~Q(hold_reason=""), name="task_hold_has_reason"
            ),
            models.CheckConstraint(
                condition=~Q(status=TaskStatus.CANCELLED) | ~Q(cancel_reason=""),
                name="task_cancel_has_reason",
            ),
            SameOrganization(field="equipment", name="task_equipment_same_organization"),
            SameOrganization(field="failure_mode", name="task_mode_same_organization"),
            SameOrganization(field="prediction", name="task_prediction_same_organization"),
            SameOrganization(field="standard_job", name="task_job_same_organization"),
            SameOrganization(field="technician", name="task_technician_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    @property
    def number(self) -> str:
        return f"WO-{self.pk}"

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED

    @property
    def _history_date(self) -> datetime:
        """When simple-history says that a change was made: domain time, so that a replay's history is in order."""
        return clock.now()

    @property
    def active_booking(self) -> "Booking | None":
        return next((booking for booking in self.bookings.all() if booking.is_active), None)

    def may_become(self, status: TaskStatus) -> bool:
        return status in TRANSITIONS[self.status]


class Booking(OrganizationOwned):
    """A technician's time for a task. Two active ones of the same technician cannot overlap."""

    task = models.ForeignKey(MaintenanceTask, on_delete=models.PROTECT, related_name="bookings")
    technician = models.ForeignKey(Technician, on_delete=models.PROTECT, related_name="bookings")
    period = DateTimeRangeField()
    is_active = models.BooleanField(default=True)
    reason = models.TextField(blank=True, help_text="Why this technician at this time.")
    booked_at = models.DateTimeField(default=clock.now, editable=False)
    booked_by = models.ForeignKey(
        User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["period"]
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(is_active=True), name="booking_active_once"),
            models.CheckConstraint(condition=Q(period__isempty=False), name="booking_has_a_length"),
            ExclusionConstraint(
                name="booking_no_overlap",
                expressions=[("technician", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
                condition=Q(is_active=True),
                violation_error_message="This technician has another job at that time.",
            ),
            SameOrganization(field="task", name="booking_task_same_organization"),
            SameOrganization(field="technician", name="booking_technician_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.technician}, {localtime(self.period.lower):%Y-%m-%d %H:%M}"
