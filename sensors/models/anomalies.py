"""What detection remembers and what it noticed, and how that was judged."""

import sys
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.timezone import localtime
from simple_history.models import HistoricalRecords

from equipment.models import Verdict
from sensors.models.readings import ReadingBatch
from sensors.models.sensors import Direction, Level, Limit, Sensor
from sensors.validation import FACTS, Operator, read_condition_value
from smartmaint import clock
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


class Baseline(OrganizationOwned):
    """From when on a sensor's readings tell of the machine as it is now, since it was repaired."""

    sensor = models.ForeignKey(Sensor, on_delete=models.CASCADE, related_name="baselines")
    started_at = models.DateTimeField()
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ["sensor", "started_at"]
        constraints = [
            models.UniqueConstraint(fields=["sensor", "started_at"], name="baseline_once"),
            SameOrganization(field="sensor", name="baseline_sensor_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.sensor} since {localtime(self.started_at):%Y-%m-%d %H:%M}"


class DetectorState(OrganizationOwned):
    """What detection remembers of one sensor between batches; never touched by ingest."""

    sensor = models.OneToOneField(
        Sensor, primary_key=True, on_delete=models.CASCADE, related_name="detector_state"
    )
    version = models.CharField(max_length=10)
    baseline_started_at = models.DateTimeField(null=True)
    last_ts = models.DateTimeField(null=True, help_text="The newest reading that was scored.")
    memory = models.BinaryField()
    has_late = models.BooleanField(default=False, help_text="Late readings wait for being scored.")
    rescored_at = models.DateTimeField(null=True, help_text="When late readings had all scored anew.")

    class Meta:
        constraints = [SameOrganization(field="sensor", name="detectorstate_same_organization")]

    def __str__(self) -> str:
        return f"detector of {self.sensor}"


class AnomalyStatus(models.TextChoices):
    DETECTED = "detected"
    CREDIBLE = "credible"
    SUSPECTED_FALSE = "suspected_false", "Suspected false"
    NEEDS_A_LOOK = "needs_a_look", "Needs a look"


class AnomalyQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    def open(self) -> "AnomalyQuerySet":
        return self.filter(ended_at__isnull=True)

    def going_on(self, *, at: datetime) -> "AnomalyQuerySet":
        """Excursions, not known to be false, that had begun by `at` and were not over."""
        excursions = self.exclude(kind=Anomaly.Kind.NO_DATA).exclude(status=AnomalyStatus.SUSPECTED_FALSE)
        return excursions.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=at), started_at__lte=at)

    def to_settle(self) -> "AnomalyQuerySet":
        """What the validation agent left to a person."""
        return self.filter(status=AnomalyStatus.NEEDS_A_LOOK)


class Pattern(models.TextChoices):
    """What an excursion from a sensor's own past looks like."""

    SPIKE = "spike", "spike"
    SHIFT = "shift", "level shift"
    DRIFT = "drift", "slow drift"
    NOISE = "noise", "change of noise"
    COURSE = "course", "unusual at this hour"
    STUCK = "stuck", "stuck value"
    RATE = "rate", "faster than it can change"


class Anomaly(OrganizationOwned, PendingWork):
    """An excursion of one sensor, and the judgement on it. Pending until it is validated."""

    class Kind(models.TextChoices):
        LIMIT = "limit", "beyond a limit"
        PROFILE = "profile", "unlike its own past"
        NO_DATA = "no_data", "no data"

    sensor = models.ForeignKey(Sensor, on_delete=models.PROTECT, related_name="anomalies")
    batch = models.ForeignKey(
        ReadingBatch,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="anomalies",
        help_text="What brought it; nothing brings silence.",
    )
    limit = models.ForeignKey(
        Limit, null=True, blank=True, on_delete=models.PROTECT, related_name="anomalies"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    direction = models.CharField(max_length=4, choices=Direction, blank=True)
    level = models.CharField(max_length=2, choices=Level, blank=True)
    pattern = models.CharField(
        max_length=10,
        choices=Pattern,
        blank=True,
        help_text="What it looks like, where it is unlike its own past.",
    )
    started_at = models.DateTimeField()
    peak_at = models.DateTimeField(help_text="Of silence: when the last reading was measured.")
    ended_at = models.DateTimeField(null=True, blank=True)
    peak_value = models.FloatField(null=True)
    expected_value = models.FloatField(
        null=True,
        help_text="The limit, what the sensor's own past would have, or the furthest it could have come.",
    )
    score = models.FloatField(help_text="From 0 to 1: how far from normal.")
    detector_version = models.CharField(max_length=10)
    noticed_at = models.DateTimeField(
        default=clock.now,
        help_text="Of an excursion: when that reading was measured at which it was certain enough; it may have come "
        "later.",
    )
    detected_at = models.DateTimeField(default=clock.now)

    status = models.CharField(max_length=20, choices=AnomalyStatus, default=AnomalyStatus.DETECTED)
    confidence = models.FloatField(null=True, blank=True)
    rule_sum = models.FloatField(
        null=True, blank=True, editable=False, help_text="The confidence before it was calibrated."
    )
    is_corroborated = models.BooleanField(
        null=True,
        blank=True,
        help_text="Whether the machine's controller reported an error around it; empty where it reports none.",
    )
    reasons = models.JSONField(
        default=list, blank=True, help_text="Each rule that counted: its words and its adjustment."
    )
    validated_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = AnomalyQuerySet.as_manager()

    JUDGEMENT_FIELDS = (
        "status",
        "confidence",
        "validated_at",
        "reasons",
        "settled_by",
        "due_at",
        "attempts",
        "parked_at",
        "last_error",
    )
    """What `judge_again` changes."""

    class Meta:
        ordering = ["-started_at", "-id"]
        verbose_name_plural = "anomalies"
        indexes = [
            *queue_indexes(),
            models.Index(fields=["ended_at", "sensor"], condition=Q(kind="no_data"), name="anomaly_silence"),
        ]
        constraints = [
            one_place(),
            models.UniqueConstraint(
                fields=["sensor", "kind", "direction"],
                condition=Q(ended_at__isnull=True) & ~Q(pattern="rate"),
                name="anomaly_open_once",
            ),
            # A value may jump while its level has shifted already: two things that go on at once.
            models.UniqueConstraint(
                fields=["sensor"],
                condition=Q(ended_at__isnull=True, pattern="rate"),
                name="anomaly_open_rate_once",
            ),
            models.UniqueConstraint(
                fields=["sensor", "kind", "direction", "started_at"], name="anomaly_once"
            ),
            models.CheckConstraint(condition=Q(status__in=AnomalyStatus.values), name="anomaly_status"),
            models.CheckConstraint(
                condition=Q(pattern="") | Q(kind="profile", pattern__in=Pattern.values),
                name="anomaly_pattern",
            ),
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=1), name="anomaly_score"),
            # NaN is the greatest of all numbers to PostgreSQL.
            models.CheckConstraint(
                condition=Q(expected_value__isnull=True) | Q(expected_value__lte=sys.float_info.max),
                name="anomaly_expects_a_number",
            ),
            models.CheckConstraint(
                condition=Q(status=AnomalyStatus.DETECTED, validated_at__isnull=True, confidence__isnull=True)
                | (
                    ~Q(status=AnomalyStatus.DETECTED)
                    & Q(validated_at__isnull=False, confidence__gte=0, confidence__lte=1)
                ),
                name="anomaly_judged_with_confidence",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=models.F("started_at")),
                name="anomaly_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="no_data",
                    direction="",
                    level="",
                    batch__isnull=True,
                    limit__isnull=True,
                    peak_value__isnull=True,
                    expected_value__isnull=True,
                )
                | (
                    ~Q(kind="no_data")
                    & Q(
                        direction__in=Direction.values,
                        batch__isnull=False,
                        peak_value__isnull=False,
                        expected_value__isnull=False,
                    )
                ),
                name="anomaly_has_a_peak_unless_silent",
            ),
            SameOrganization(field="sensor", name="anomaly_sensor_same_organization"),
            SameOrganization(field="batch", name="anomaly_batch_same_organization"),
            SameOrganization(field="limit", name="anomaly_limit_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.sensor} {self.get_kind_display()}, {localtime(self.started_at):%Y-%m-%d %H:%M}"

    def judge_again(self) -> None:
        """Put it back to be judged: what was said of it no longer holds (the caller saves it)."""
        self.status, self.confidence, self.validated_at = AnomalyStatus.DETECTED, None, None
        self.reasons, self.settled_by = [], None
        self.mark_due()


class AnomalyFinding(OrganizationOwned):
    """What people found at the machine when they followed an anomaly up: validation learns from it."""

    anomaly = models.OneToOneField(Anomaly, on_delete=models.PROTECT, related_name="finding")
    verdict = models.CharField(max_length=30, choices=Verdict)
    found_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(verdict__in=Verdict.values), name="anomalyfinding_verdict"),
            SameOrganization(field="anomaly", name="anomalyfinding_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.anomaly}: {self.get_verdict_display()}"


class ValidationRule(OrganizationOwned):
    """When a fact about an anomaly meets the condition, confidence in it moves by the adjustment."""

    name = models.CharField(max_length=100)
    fact = models.CharField(max_length=30, choices=[(fact.name, fact.label) for fact in FACTS.values()])
    operator = models.CharField(
        max_length=10, choices=[(operator.value, operator.label) for operator in Operator]
    )
    value = models.CharField(max_length=100)
    adjustment = models.FloatField(validators=[MinValueValidator(-1), MaxValueValidator(1)])
    reason = models.CharField(max_length=200, help_text="Words for those who read the judgement.")
    is_active = models.BooleanField(default=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="validationrule_name_once"),
            models.CheckConstraint(condition=Q(fact__in=list(FACTS)), name="validationrule_fact"),
            models.CheckConstraint(
                condition=Q(operator__in=[operator.value for operator in Operator]),
                name="validationrule_operator",
            ),
            models.CheckConstraint(
                condition=Q(adjustment__gte=-1, adjustment__lte=1), name="validationrule_adjustment"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.fact in FACTS and self.operator:
            try:
                read_condition_value(self.fact, Operator(self.operator), self.value)
            except ValueError as error:
                raise ValidationError({"value": str(error)}) from error
