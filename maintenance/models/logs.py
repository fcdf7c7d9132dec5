"""What was found and done: append-only."""

from django.db import models
from django.db.models import F, Q

from equipment.models import Equipment, FailureMode, Verdict
from maintenance.models.tasks import MaintenanceTask
from maintenance.models.workforce import Technician
from smartmaint import clock
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)


class MaintenanceLogQuerySet(ScopedQuerySet):
    def originals(self) -> "MaintenanceLogQuerySet":
        return self.filter(corrects__isnull=True)

    def current(self) -> "MaintenanceLogQuerySet":
        """What holds: each task's newest entry."""
        return self.filter(correction__isnull=True)


class MaintenanceLog(OrganizationOwned):
    """The record of a finished job. A database trigger refuses changes: a correction is a new entry."""

    task = models.ForeignKey(MaintenanceTask, on_delete=models.PROTECT, related_name="logs")
    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="maintenance_logs")
    corrects = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="correction"
    )
    completed_at = models.DateTimeField()
    technician = models.ForeignKey(
        Technician, null=True, blank=True, on_delete=models.PROTECT, related_name="logs"
    )
    written_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    written_at = models.DateTimeField(default=clock.now)
    verdict = models.CharField(max_length=30, choices=Verdict)
    failure_mode = models.ForeignKey(
        FailureMode, on_delete=models.PROTECT, related_name="+", help_text="The mode that was found."
    )
    cause = models.TextField(blank=True)
    remedy = models.TextField(blank=True)
    notes = models.TextField(blank=True)
    downtime_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long the machine stood; empty: not known."
    )
    labour_minutes = models.PositiveIntegerField(null=True, blank=True)

    objects = MaintenanceLogQuerySet.as_manager()

    class Meta:
        ordering = ["-completed_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["task"], condition=Q(corrects__isnull=True), name="maintenancelog_one_original"
            ),
            models.CheckConstraint(condition=Q(verdict__in=Verdict.values), name="maintenancelog_verdict"),
            models.CheckConstraint(
                condition=~Q(corrects=F("id")), name="maintenancelog_not_its_own_correction"
            ),
            SameOrganization(field="task", name="maintenancelog_task_same_organization"),
            SameOrganization(field="equipment", name="maintenancelog_equipment_same_organization"),
            SameOrganization(field="technician", name="maintenancelog_technician_same_organization"),
            SameOrganization(field="failure_mode", name="maintenancelog_mode_same_organization"),
            inside_organization(),
            SameOrganization(field="corrects", name="maintenancelog_corrects_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.task.number}: {self.get_verdict_display()}"
