"""Sensors and their limits."""

from collections.abc import Iterable
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from equipment.models import Equipment, FailureMode
from sensors.ingest.units import UnknownUnit, unit
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)


def validate_unit(code: str) -> None:
    try:
        unit(code)
    except UnknownUnit as error:
        raise ValidationError(str(error), code="unknown_unit") from error


class SensorQuerySet(ScopedQuerySet):
    def active(self) -> Self:
        return self.filter(is_active=True)


class Sensor(OrganizationOwned):
    """One measured quantity of one machine."""

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="sensors")
    key = models.CharField(
        max_length=200,
        validators=[RegexValidator(r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")],
        help_text="What integrators call it, such as pump-7/vibration.",
    )
    name = models.CharField(max_length=100, blank=True)
    quantity = models.CharField(max_length=50, help_text="What is measured, such as vibration velocity.")
    unit = models.CharField(max_length=20, validators=[validate_unit], help_text="UCUM code, such as mm/s.")
    physical_min = models.FloatField(
        null=True, blank=True, help_text="Below this the sensor itself is wrong."
    )
    physical_max = models.FloatField(
        null=True, blank=True, help_text="Above this the sensor itself is wrong."
    )
    max_change_per_min = models.FloatField(
        "fastest change (per min)",
        null=True,
        blank=True,
        help_text="In the sensor's unit. What moves faster is told and is not learned from.",
    )
    expected_interval_s = models.FloatField(
        "expected interval (s)", default=300, validators=[MinValueValidator(0.001)]
    )
    is_active = models.BooleanField(default=True)

    objects = SensorQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "key"], name="sensor_key_once"),
            models.CheckConstraint(
                condition=Q(physical_min__isnull=True)
                | Q(physical_max__isnull=True)
                | Q(physical_min__lt=F("physical_max")),
                name="sensor_physical_range",
                violation_error_message="The physical range ends below its beginning.",
            ),
            models.CheckConstraint(
                condition=Q(max_change_per_min__isnull=True)
                | Q(max_change_per_min__gt=0, max_change_per_min__lt=float("inf")),
                name="sensor_fastest_change",
                violation_error_message="The fastest change is a number above 0.",
            ),
            models.CheckConstraint(condition=Q(expected_interval_s__gt=0), name="sensor_expected_interval"),
            SameOrganization(field="equipment", name="sensor_equipment_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.key


class Direction(models.TextChoices):
    HIGH = "high"
    LOW = "low"


class Level(models.TextChoices):
    """Limits from the lowest to the highest; the outermost of a side is where the machine counts as failed."""

    LOW_LOW = "LL", "low-low"
    LOW = "L", "low"
    HIGH = "H", "high"
    HIGH_HIGH = "HH", "high-high"

    @property
    def direction(self) -> Direction:
        return Direction.HIGH if self in {Level.HIGH, Level.HIGH_HIGH} else Direction.LOW


class LimitQuerySet(ScopedQuerySet):
    def active(self) -> Self:
        return self.filter(is_active=True, sensor__is_active=True)

    def outermost(self) -> Self:
        """The failure limits: LL and HH, and L or H where there is nothing beyond them.

        A count of events has none: it does not move towards a failure, but tells of one (docs/adr/0023).
        """
        beyond = {Level.LOW: Level.LOW_LOW, Level.HIGH: Level.HIGH_HIGH}
        hidden = Q()
        for level, further in beyond.items():
            hidden |= Q(
                models.Exists(
                    Limit.objects.filter(sensor=models.OuterRef("sensor"), level=further, is_active=True)
                ),
                level=level,
            )
        return self.active().filter(sensor__event_count=None).exclude(hidden)


class Limit(OrganizationOwned):
    """A value that a sensor must not pass, and the failure mode that passing it tells of."""

    sensor = models.ForeignKey(Sensor, on_delete=models.PROTECT, related_name="limits")
    level = models.CharField(max_length=2, choices=Level)
    value = models.FloatField()
    dead_band = models.FloatField(
        default=0,
        validators=[MinValueValidator(0)],
        help_text="How far back inside before it counts as returned.",
    )
    on_delay_s = models.FloatField(
        "on-delay (s)",
        default=0,
        validators=[MinValueValidator(0)],
        help_text="How long beyond before it counts.",
    )
    failure_mode = models.ForeignKey(FailureMode, on_delete=models.PROTECT, related_name="+")
    is_latching = models.BooleanField(
        "latching", default=False, help_text="Its alarm stays until somebody resets it."
    )
    is_active = models.BooleanField(default=True)

    objects = LimitQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["sensor", "value"]
        constraints = [
            models.UniqueConstraint(fields=["sensor", "level"], name="limit_level_once"),
            models.CheckConstraint(condition=Q(level__in=Level.values), name="limit_level"),
            models.CheckConstraint(
                condition=Q(value__gt=float("-inf"), value__lt=float("inf")),  # NaN is above both
                name="limit_value",
                violation_error_message="The value is a number.",
            ),
            models.CheckConstraint(condition=Q(dead_band__gte=0), name="limit_dead_band"),
            models.CheckConstraint(condition=Q(on_delay_s__gte=0), name="limit_on_delay"),
            SameOrganization(field="sensor", name="limit_sensor_same_organization"),
            SameOrganization(field="failure_mode", name="limit_mode_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.get_level_display()} {self.value:g} {self.sensor.unit}"

    @property
    def direction(self) -> Direction:
        return Level(self.level).direction

    def validate_constraints(self, exclude: set[str] | None = None) -> None:
        """Check the order of the sensor's limits too, unless `exclude` names "order"."""
        super().validate_constraints(exclude=exclude)
        if self.value is not None and self.sensor_id is not None and "order" not in (exclude or ()):
            others = Limit.objects.filter(sensor_id=self.sensor_id, is_active=True).exclude(pk=self.pk)
            self.require_order(others)

    def require_order(self, others: Iterable["Limit"]) -> None:
        """Limits of one sensor stand in the order of their levels; raises ValidationError."""
        rank = list(Level).index
        for other in others:
            below = rank(Level(other.level)) < rank(Level(self.level))
            if other.level != self.level and below != (other.value < self.value):
                raise ValidationError(
                    {
                        "value": f"It must be {'above' if below else 'below'} the {other.get_level_display()} limit."
                    }
                )
