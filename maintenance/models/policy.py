"""When a prediction becomes a task, and why one did not."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from maintenance.models.tasks import MaintenanceTask
from predictions.models import Prediction
from smartmaint import clock
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization


class MaintenancePolicy(OrganizationOwned):
    """One organisation's policy on tasks that predictions propose."""

    class Approval(models.TextChoices):
        MANUAL = "manual", "a manager approves each"
        AUTOMATIC = "automatic", "approved by itself"

    class Horizon(models.IntegerChoices):
        WEEK = 7, "7 days"
        FORTNIGHT = 14, "14 days"
        MONTH = 30, "30 days"

    approval = models.CharField(max_length=10, choices=Approval, default=Approval.MANUAL)
    propose_from_probability = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="A task is proposed from this probability of failure within the horizon.",
    )
    inspect_from_probability = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="After a credible anomaly an inspection is proposed from this probability of failure within the "
        "horizon: looking costs less than mending.",
    )
    propose_within_days = models.PositiveSmallIntegerField("horizon", choices=Horizon, default=Horizon.MONTH)
    daily_budget = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=10,
        help_text="Most tasks that predictions may propose a day; empty: no limit.",
    )
    cooldown_hours = models.PositiveSmallIntegerField(
        "cooldown (h)",
        default=48,
        help_text="No new task for the same machine and failure mode after one was closed.",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "maintenance policies"
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="maintenancepolicy_once"),
            models.CheckConstraint(
                condition=Q(propose_from_probability__gt=0, propose_from_probability__lte=1),
                name="maintenancepolicy_probability",
            ),
            models.CheckConstraint(
                condition=Q(inspect_from_probability__gt=0, inspect_from_probability__lte=1),
                name="maintenancepolicy_inspect_probability",
            ),
            models.CheckConstraint(
                condition=Q(propose_within_days__in=[7, 14, 30]), name="maintenancepolicy_horizon"
            ),
        ]

    def __str__(self) -> str:
        return f"policy of {self.organization}"


class Decision(models.TextChoices):
    PROPOSED = "proposed", "a task was proposed"
    MERGED = "merged", "an open task has it already"
    LOW_RISK = "low_risk", "the risk is too low"
    COOLDOWN = "cooldown", "work was closed a short time ago"
    SUPERSEDED = "superseded", "the machine was repaired since"
    OVER_BUDGET = "over_budget", "the day's budget of tasks is used up"


class Proposal(OrganizationOwned):
    """What was decided on a prediction, once: a task, or why there is none."""

    prediction = models.OneToOneField(Prediction, on_delete=models.PROTECT, related_name="proposal")
    decision = models.CharField(max_length=20, choices=Decision)
    reason = models.CharField(max_length=300)
    task = models.ForeignKey(
        MaintenanceTask, null=True, blank=True, on_delete=models.PROTECT, related_name="proposals"
    )
    decided_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decision__in=[Decision.PROPOSED, Decision.MERGED], task__isnull=False)
                | (~Q(decision__in=[Decision.PROPOSED, Decision.MERGED]) & Q(task__isnull=True)),
                name="proposal_task_by_decision",
            ),
            SameOrganization(field="prediction", name="proposal_prediction_same_organization"),
            SameOrganization(field="task", name="proposal_task_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.get_decision_display()}: {self.prediction}"
