"""The health of a machine: what each app says of its part, the whole, and how it was day by day."""

from django.db import models
from django.db.models import Q

from equipment.models.plant import Equipment
from smartmaint import clock
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization


class Part(models.TextChoices):
    """What a machine's health is made of; one app each says how it stands."""

    CONDITION = "condition", "Condition"
    ALARMS = "alarms", "Alarms"
    FORECAST = "forecast", "Forecast"
    MAINTENANCE = "maintenance", "Maintenance"


def _score_is_a_percentage(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=100), name=name
    )


class HealthPart(OrganizationOwned):
    """One part of a machine's health, from 0 to 100, and why; without a score it has nothing to say."""

    equipment = models.ForeignKey(Equipment, on_delete=models.CASCADE, related_name="health_parts")
    part = models.CharField(max_length=20, choices=Part)
    score = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    reported_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["equipment", "id"]
        constraints = [
            models.UniqueConstraint(fields=["equipment", "part"], name="healthpart_once"),
            models.CheckConstraint(condition=Q(part__in=Part.values), name="healthpart_part"),
            models.CheckConstraint(condition=~Q(reason=""), name="healthpart_says_why"),
            _score_is_a_percentage("healthpart_score"),
            SameOrganization(field="equipment", name="healthpart_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.get_part_display()} of {self.equipment}"


class Health(OrganizationOwned):
    """A machine's health as a whole, weighed as its class says; without a score too little is known."""

    equipment = models.OneToOneField(
        Equipment, primary_key=True, on_delete=models.CASCADE, related_name="health"
    )
    score = models.FloatField(null=True, blank=True)
    told_share = models.FloatField(
        default=0, help_text="How much of the weights belongs to parts that speak."
    )
    weighed_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "health"
        constraints = [
            _score_is_a_percentage("health_score"),
            models.CheckConstraint(
                condition=Q(told_share__gte=0, told_share__lte=1), name="health_told_share"
            ),
            SameOrganization(field="equipment", name="health_same_organization"),
        ]

    def __str__(self) -> str:
        return f"health of {self.equipment}"


class HealthDay(OrganizationOwned):
    """A machine's health as it stood at the end of a day of its organisation; days without a change have no row."""

    equipment = models.ForeignKey(Equipment, on_delete=models.CASCADE, related_name="health_days")
    day = models.DateField()
    score = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["equipment", "day"]
        constraints = [
            models.UniqueConstraint(fields=["equipment", "day"], name="healthday_once"),
            _score_is_a_percentage("healthday_score"),
            SameOrganization(field="equipment", name="healthday_same_organization"),
        ]

    def __str__(self) -> str:
        return f"health of {self.equipment} on {self.day}"
