"""Replays that a manager started: a past in files, how far it was told, and what it came to."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from smartmaint import clock
from smartmaint.accounts.models import Organization, User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


class ReplayRunQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    pass


class ReplayRun(OrganizationOwned, PendingWork):
    """A plant's past that an agent tells to a scratch organisation, a stretch at a time. Pending until it is through.

    `told_until_us` is how far it is, in microseconds since 1970; `begins_us` and `ends_us` are those of the readings.
    """

    name = models.CharField(max_length=100)
    with_events = models.BooleanField(
        default=True, help_text="Without them it shows what the readings alone would have told."
    )
    open_hours = models.PositiveSmallIntegerField(
        "close tasks after (h)",
        default=72,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 90)],
        help_text="A task that no failure followed is closed after so many hours, as not inspected.",
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    readings = models.PositiveBigIntegerField(editable=False)
    begins_us = models.BigIntegerField(editable=False)
    ends_us = models.BigIntegerField(editable=False)
    told_until_us = models.BigIntegerField(null=True, blank=True, editable=False)
    is_being_told = models.BooleanField(
        default=False,
        editable=False,
        help_text="A stretch began; of one that breaks off nobody knows how far it was.",
    )
    scratch = models.OneToOneField(
        Organization,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    failed_because = models.TextField(blank=True, editable=False)
    report = models.JSONField(default=list, blank=True, editable=False, help_text="The figures in words.")
    failures = models.JSONField(
        default=list,
        blank=True,
        editable=False,
        help_text="Each failure: how early it was foreseen, or why not.",
    )
    tasks_csv = models.TextField(blank=True, editable=False)
    plots_page = models.TextField(blank=True, editable=False, help_text="HTML that needs nothing else.")

    objects = ReplayRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "replay"
        indexes = queue_indexes()
        constraints = [
            one_place(),
            models.CheckConstraint(
                condition=Q(ends_us__gte=F("begins_us")), name="replayrun_ends_after_it_begins"
            ),
            models.CheckConstraint(
                condition=Q(open_hours__gte=1, open_hours__lte=24 * 90), name="replayrun_open_hours"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(due_at__isnull=True),
                name="replayrun_finished_is_over",
            ),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def progress(self) -> float:
        """The share of the past that was told, from 0 to 1."""
        if self.finished_at is not None:
            return 1.0
        if self.told_until_us is None or self.ends_us == self.begins_us:
            return 0.0
        return min(1.0, (self.told_until_us - self.begins_us) / (self.ends_us - self.begins_us))


class ReplayFile(OrganizationOwned):
    """One file of a past, as it was uploaded."""

    run = models.ForeignKey(ReplayRun, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=100)
    content = models.BinaryField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["run", "name"], name="replayfile_name_once"),
            SameOrganization(field="run", name="replayfile_run_same_organization"),
        ]

    def __str__(self) -> str:
        return self.name
