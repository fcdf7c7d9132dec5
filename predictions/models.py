"""The ledger of predictions, and what became of each."""

from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.timezone import localtime

from equipment.models import FailureMode, Verdict
from sensors.models import Anomaly, Direction, Limit, Sensor
from smartmaint import clock
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


class PredictionStatus(models.TextChoices):
    PENDING = "pending"
    MADE = "made"
    NOT_POSSIBLE = "not_possible", "Not possible"


class Trigger(models.TextChoices):
    """Why a prediction was asked for; the order is the order in which they are made."""

    ANOMALY = "anomaly"
    PERSON = "person"
    PERIOD = "period"

    @property
    def rank(self) -> int:
        """0 for what comes first."""
        return list(Trigger).index(self)


class PredictionQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    def made(self) -> "PredictionQuerySet":
        return self.filter(status=PredictionStatus.MADE)

    def settled(self) -> "PredictionQuerySet":
        """Answered: made, or found to be not possible."""
        return self.exclude(status=PredictionStatus.PENDING)

    def newest_per_limit(self) -> "PredictionQuerySet":
        """The last word on each limit: that none is possible any more makes an older probability void."""
        newest = (
            self.settled()
            .order_by("sensor_id", "limit_id", "-made_at", "-id")
            .distinct("sensor_id", "limit_id")
            .values("pk")
        )
        return self.filter(pk__in=newest)


class Prediction(OrganizationOwned, PendingWork):
    """When one sensor will pass one limit, as it was foretold; or, without a limit, that its machine will fail.

    One that was asked for by an anomaly counts what people found after such anomalies too. Where the sensor has no
    failure limit it is that alone, and the failure mode is unknown.

    Once `status` is no longer pending a database trigger refuses every change: what was said stays said.
    Probabilities are of passing the limit within so many days after `cutoff_at`; times of passing are null when they
    lie beyond the horizon. `path` holds at most 64 points: epoch microseconds and quantiles of the observed value.
    """

    sensor = models.ForeignKey(Sensor, on_delete=models.PROTECT, related_name="predictions")
    limit = models.ForeignKey(
        Limit, null=True, blank=True, on_delete=models.PROTECT, related_name="predictions"
    )
    anomaly = models.ForeignKey(
        Anomaly, null=True, blank=True, on_delete=models.PROTECT, related_name="predictions"
    )
    trigger = models.CharField(max_length=10, choices=Trigger)
    requested_at = models.DateTimeField(default=clock.now)
    status = models.CharField(max_length=20, choices=PredictionStatus, default=PredictionStatus.PENDING)

    made_at = models.DateTimeField(null=True, blank=True)
    not_possible_because = models.TextField(blank=True)
    limit_value = models.FloatField(null=True, blank=True)
    direction = models.CharField(max_length=4, choices=Direction, blank=True)
    cutoff_at = models.DateTimeField(null=True, blank=True, help_text="No reading after this was used.")
    data_from_at = models.DateTimeField(null=True, blank=True)
    data_to_at = models.DateTimeField(null=True, blank=True)
    horizon_days = models.PositiveSmallIntegerField(null=True, blank=True)
    is_already_beyond = models.BooleanField(default=False)
    p_1d = models.FloatField("P(failure) 1 d", null=True, blank=True)
    p_7d = models.FloatField("P(failure) 7 d", null=True, blank=True)
    p_14d = models.FloatField("P(failure) 14 d", null=True, blank=True)
    p_30d = models.FloatField("P(failure) 30 d", null=True, blank=True)
    p_90d = models.FloatField("P(failure) 90 d", null=True, blank=True)
    passes_p10_at = models.DateTimeField(null=True, blank=True)
    passes_p50_at = models.DateTimeField(null=True, blank=True)
    passes_p90_at = models.DateTimeField(null=True, blank=True)
    path = models.JSONField(null=True, blank=True)
    model_name = models.CharField(max_length=50, blank=True)
    model_version = models.CharField(max_length=50, blank=True)
    settings = models.JSONField(null=True, blank=True)
    input_quality = models.JSONField(null=True, blank=True)
    explanation = models.JSONField(null=True, blank=True)

    objects = PredictionQuerySet.as_manager()
    leaves_with_its_result = True

    class Meta:
        ordering = ["-id"]
        indexes = [
            *queue_indexes(),
            models.Index(fields=["limit", "-made_at"], name="prediction_limit_made"),
            models.Index(
                fields=["sensor", "-made_at"], condition=Q(limit__isnull=True), name="prediction_sensor_made"
            ),
        ]
        constraints = [
            one_place(),
            models.CheckConstraint(condition=Q(status__in=PredictionStatus.values), name="prediction_status"),
            # In no queue it would wait for ever, and its limit would never be foretold again.
            models.CheckConstraint(
                condition=~Q(status=PredictionStatus.PENDING)
                | Q(due_at__isnull=False)
                | Q(parked_at__isnull=False),
                name="prediction_pending_is_in_its_queue",
            ),
            models.CheckConstraint(
                condition=~Q(status=PredictionStatus.MADE)
                | Q(
                    made_at__isnull=False,
                    cutoff_at__isnull=False,
                    # A comparison with null would pass.
                    p_7d__isnull=False,
                    p_14d__isnull=False,
                    p_30d__isnull=False,
                    p_90d__isnull=False,
                    p_1d__isnull=False,
                    p_1d__gte=0,
                    p_7d__gte=models.F("p_1d"),
                    p_14d__gte=models.F("p_7d"),
                    p_30d__gte=models.F("p_14d"),
                    p_90d__gte=models.F("p_30d"),
                    p_90d__lte=1,
                ),
                name="prediction_made_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(status=PredictionStatus.NOT_POSSIBLE) | ~Q(not_possible_because=""),
                name="prediction_not_possible_says_why",
            ),
            # The newest word on a limit is found by its moment.
            models.CheckConstraint(
                condition=~Q(status=PredictionStatus.NOT_POSSIBLE)
                | Q(made_at__isnull=False, cutoff_at__isnull=False),
                name="prediction_not_possible_has_time",
            ),
            models.CheckConstraint(condition=Q(trigger__in=Trigger.values), name="prediction_trigger"),
            models.CheckConstraint(
                condition=Q(direction__in=["", *Direction.values]), name="prediction_direction"
            ),
            models.CheckConstraint(
                condition=Q(anomaly__isnull=False) | ~Q(trigger=Trigger.ANOMALY),
                name="prediction_names_its_anomaly",
            ),
            models.CheckConstraint(
                condition=~Q(status=PredictionStatus.MADE)
                | Q(limit__isnull=True, limit_value__isnull=True)
                | Q(limit__isnull=False, limit_value__isnull=False),
                name="prediction_made_has_its_limit",
            ),
            models.CheckConstraint(
                condition=Q(limit__isnull=False) | Q(anomaly__isnull=False),
                name="prediction_without_limit_has_its_anomaly",
            ),
            models.UniqueConstraint(
                fields=["limit"], condition=Q(status=PredictionStatus.PENDING), name="prediction_pending_once"
            ),
            models.UniqueConstraint(
                fields=["sensor"],
                condition=Q(status=PredictionStatus.PENDING, limit__isnull=True),
                name="prediction_pending_once_without_limit",
            ),
            SameOrganization(field="sensor", name="prediction_sensor_same_organization"),
            SameOrganization(field="limit", name="prediction_limit_same_organization"),
            SameOrganization(field="anomaly", name="prediction_anomaly_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        level = self.limit.get_level_display() if self.limit else "after an anomaly"
        return f"{self.sensor} {level}, {localtime(self.requested_at):%Y-%m-%d %H:%M}"

    @cached_property
    def failure_mode(self) -> FailureMode:
        """That of the limit; without one what the limit that the anomaly passed tells of, such as a count of events of
        its rule's; else "unknown".
        """
        passed = self.limit or (self.anomaly and self.anomaly.limit)
        if passed is not None:
            return passed.failure_mode
        return FailureMode.objects.unknown_of(self.organization_id)

    def risk_after_anomaly(self, days: int) -> float | None:
        """P(failure) within so many days by what people found after such anomalies; None where none asked for it."""
        found = (self.explanation or {}).get("after_anomaly")
        return None if found is None else found["probabilities"][str(days)]

    def probability_within(self, days: int) -> float | None:
        """P(failure) within 1, 7, 14, 30 or 90 days."""
        return getattr(self, f"p_{days}d")


class Outcome(models.TextChoices):
    TRUE_POSITIVE = "true_positive", "True positive"
    FALSE_POSITIVE = "false_positive", "False positive"
    TRUE_NEGATIVE = "true_negative", "True negative"
    FALSE_NEGATIVE = "false_negative", "Missed"
    CENSORED = "censored"
    UNDECIDED = "undecided"


class PredictionOutcomeQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    def scored(self) -> "PredictionOutcomeQuerySet":
        return self.exclude(outcome="")


class PredictionOutcome(OrganizationOwned, PendingWork):
    """What became of a prediction: pending until an agent has scored it.

    A row without `happened_at` is in no queue yet: a task was made from the prediction, and its finding will tell.
    """

    prediction = models.OneToOneField(Prediction, on_delete=models.PROTECT, related_name="outcome")
    verdict = models.CharField(
        max_length=30,
        choices=Verdict,
        blank=True,
        help_text="What people found; empty when the horizon passed.",
    )
    happened_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was found, or when the horizon passed; empty while a task is open for it.",
    )
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    is_date_censored = models.BooleanField(
        default=False, help_text="The work came before the failure: its date is not known."
    )
    lead_time = models.DurationField(
        null=True, blank=True, help_text="From the prediction to what was found or failed."
    )
    brier_30d = models.FloatField(null=True, blank=True, help_text="Squared error of the 30-day probability.")
    reason = models.CharField(max_length=200, blank=True)
    scored_at = models.DateTimeField(null=True, blank=True)

    objects = PredictionOutcomeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = queue_indexes()
        constraints = [
            one_place(),
            models.CheckConstraint(
                condition=Q(outcome="", scored_at__isnull=True)
                | Q(outcome__in=Outcome.values, scored_at__isnull=False),
                name="predictionoutcome_scored_has_time",
            ),
            models.CheckConstraint(
                condition=Q(happened_at__isnull=False) | Q(outcome="", due_at__isnull=True),
                name="predictionoutcome_happened_before_scored",
            ),
            models.CheckConstraint(
                condition=Q(verdict="") | Q(verdict__in=Verdict.values), name="predictionoutcome_verdict"
            ),
            SameOrganization(field="prediction", name="predictionoutcome_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.prediction}: {self.get_outcome_display() or self.waiting_for}"

    @property
    def waiting_for(self) -> str:
        """What an outcome that has no score still needs, in words."""
        return "waits for the finding" if self.happened_at is None else "to be scored"


class ClosedHorizons(OrganizationOwned):
    """How far an organisation's ledger is closed: what was made until then has its outcome, or people look after it.
    What nothing counts of it has gone.

    So closing goes on where it was, and looks at no row twice.
    """

    made_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="closedhorizons_once"),
        ]

    def __str__(self) -> str:
        return f"closed until {localtime(self.made_until):%Y-%m-%d %H:%M}"
