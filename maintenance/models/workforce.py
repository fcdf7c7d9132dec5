"""Technicians: what they can do and when they are there; and the jobs they know how to do."""

from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from equipment.models import FailureMode, Site
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)


class Skill(OrganizationOwned):
    """Something that a job may need and a technician may have."""

    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="skill_name_once"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.name


class TechnicianQuerySet(ScopedQuerySet):
    def active(self) -> Self:
        return self.filter(
            is_active=True,
            user__is_active=True,
            user__memberships__organization=F("organization"),
            user__memberships__is_active=True,
        )


class Technician(OrganizationOwned):
    """A member who does maintenance work."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="technicians")
    home_site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_active = models.BooleanField(default=True)

    objects = TechnicianQuerySet.as_manager()

    class Meta:
        ordering = ["user__last_name", "user__first_name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="technician_once"),
            SameOrganization(field="home_site", name="technician_site_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.user.display_name


class Certificate(OrganizationOwned):
    """That a technician has a skill, until a date if it runs out."""

    technician = models.ForeignKey(Technician, on_delete=models.CASCADE, related_name="certificates")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="certificates")
    valid_until = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["technician", "skill"]
        constraints = [
            models.UniqueConstraint(fields=["technician", "skill"], name="certificate_once"),
            SameOrganization(field="technician", name="certificate_technician_same_organization"),
            SameOrganization(field="skill", name="certificate_skill_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.technician}: {self.skill}"


class Shift(OrganizationOwned):
    """When a technician works each week, by local time; one that ends before it starts passes midnight."""

    class Weekday(models.IntegerChoices):
        MONDAY = 0
        TUESDAY = 1
        WEDNESDAY = 2
        THURSDAY = 3
        FRIDAY = 4
        SATURDAY = 5
        SUNDAY = 6

    technician = models.ForeignKey(Technician, on_delete=models.CASCADE, related_name="shifts")
    weekday = models.SmallIntegerField(choices=Weekday)
    starts_at = models.TimeField()
    ends_at = models.TimeField()

    class Meta:
        ordering = ["technician", "weekday", "starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["technician", "weekday", "starts_at"], name="shift_once"),
            models.CheckConstraint(condition=Q(weekday__range=(0, 6)), name="shift_weekday"),
            models.CheckConstraint(
                condition=~Q(starts_at=F("ends_at")),
                name="shift_has_a_length",
                violation_error_message="A shift ends at another time than it starts.",
            ),
            SameOrganization(field="technician", name="shift_technician_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.starts_at:%H:%M}-{self.ends_at:%H:%M}"


class Absence(OrganizationOwned):
    """Leave, illness, training: the technician cannot be booked."""

    technician = models.ForeignKey(Technician, on_delete=models.CASCADE, related_name="absences")
    period = DateTimeRangeField()
    reason = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["technician", "period"]
        constraints = [
            models.CheckConstraint(condition=Q(period__isempty=False), name="absence_has_a_length"),
            ExclusionConstraint(
                name="absence_no_overlap",
                expressions=[("technician", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
                violation_error_message="This technician is away then already.",
            ),
            SameOrganization(field="technician", name="absence_technician_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.technician} away"


class StandardJob(OrganizationOwned):
    """What is usually done about a failure mode: how long it takes and what one must be able to do."""

    title = models.CharField(max_length=100)
    failure_mode = models.OneToOneField(
        FailureMode, null=True, blank=True, on_delete=models.PROTECT, related_name="standard_job"
    )
    instructions = models.TextField(blank=True)
    duration_minutes = models.PositiveIntegerField(default=60, validators=[MinValueValidator(5)])
    skills = models.ManyToManyField(Skill, through="StandardJobSkill", blank=True, related_name="+")

    class Meta:
        ordering = ["title"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "title"], name="standardjob_title_once"),
            models.CheckConstraint(condition=Q(duration_minutes__gte=5), name="standardjob_duration"),
            SameOrganization(field="failure_mode", name="standardjob_mode_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.title


class StandardJobSkill(OrganizationOwned):
    """That a standard job needs a skill; a row of its own, so that the database keeps both in one organisation."""

    standard_job = models.ForeignKey(StandardJob, on_delete=models.CASCADE, related_name="needs")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["standard_job", "skill"]
        verbose_name = "skill needed"
        verbose_name_plural = "skills needed"
        constraints = [
            models.UniqueConstraint(fields=["standard_job", "skill"], name="standardjobskill_once"),
            SameOrganization(field="standard_job", name="standardjobskill_job_same_organization"),
            SameOrganization(field="skill", name="standardjobskill_skill_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.standard_job} needs {self.skill}"
