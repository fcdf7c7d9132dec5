"""Rules that make machine events countable; what is counted of a machine is a sensor of its own."""

import re
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from equipment.models import Equipment, EquipmentClass, FailureMode
from sensors.models.events import MachineEvent
from sensors.models.sensors import Sensor
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes

LONGEST_WINDOW_HOURS = 720
MOST_TIMES = 10_000
ANY = "*"


class Reported(models.TextChoices):
    """Which kinds of events a rule counts."""

    FAULT = "fault", "faults"
    ERROR = "error", "errors and faults"
    WARNING = "warning", "warnings, errors and faults"
    STATE = "state", "changes of state"
    OTHER = "other", "other events"
    ANY = "any", "events of any kind"

    @property
    def kinds(self) -> tuple[str, ...]:
        by_severity = (MachineEvent.Kind.WARNING, MachineEvent.Kind.ERROR, MachineEvent.Kind.FAULT)
        if self == Reported.ANY:
            return tuple(MachineEvent.Kind.values)
        kind = MachineEvent.Kind(self.value)
        at_least = by_severity[by_severity.index(kind) :] if kind in by_severity else (kind,)
        return tuple(one.value for one in at_least)


class EventRule(OrganizationOwned):
    """So many events of a kind within so many hours are an anomaly of their machine."""

    name = models.CharField(max_length=100)
    equipment_class = models.ForeignKey(
        EquipmentClass,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose machines are watched; empty: all machines.",
    )
    code = models.CharField(
        max_length=100,
        default=ANY,
        validators=[RegexValidator(r"^[^\x00-\x1f\x7f]+$")],
        help_text="As the controller calls it. * stands for anything: E1* is all that begins with E1.",
    )
    reported = models.CharField("what", max_length=10, choices=Reported, default=Reported.ERROR)
    times = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TIMES)],
        help_text="From so many events on it is an anomaly.",
    )
    within_hours = models.FloatField(
        "within (hours)",
        default=24,
        validators=[MinValueValidator(0.01), MaxValueValidator(LONGEST_WINDOW_HOURS)],
        help_text="For so long an event counts, and so long the anomaly lasts after the last one.",
    )
    failure_mode = models.ForeignKey(
        FailureMode, on_delete=models.PROTECT, related_name="+", help_text="What the events tell of."
    )
    is_active = models.BooleanField(default=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="eventrule_name_once"),
            models.CheckConstraint(condition=Q(reported__in=Reported.values), name="eventrule_reported"),
            models.CheckConstraint(condition=Q(times__gte=1, times__lte=MOST_TIMES), name="eventrule_times"),
            models.CheckConstraint(
                condition=Q(within_hours__gt=0, within_hours__lte=LONGEST_WINDOW_HOURS),
                name="eventrule_within",
            ),
            models.CheckConstraint(condition=~Q(code=""), name="eventrule_has_a_code"),
            SameOrganization(field="equipment_class", name="eventrule_class_same_organization"),
            SameOrganization(field="failure_mode", name="eventrule_mode_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.failure_mode_id is None or self.failure_mode.equipment_class_id is None:
            return
        if self.failure_mode.equipment_class_id != self.equipment_class_id:
            whose = self.failure_mode.equipment_class
            raise ValidationError({"failure_mode": f"Only machines of the class {whose} fail like that."})

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.within_hours)

    @property
    def kinds(self) -> tuple[str, ...]:
        return Reported(self.reported).kinds

    @property
    def code_pattern(self) -> str:
        """The codes that are meant as a regular expression of PostgreSQL's, which does not go back and try again."""
        return f"^{'.*'.join(map(re.escape, self.code.split(ANY)))}$"

    @property
    def counted(self) -> Q:
        """The condition on a machine's events."""
        code = Q(code__regex=self.code_pattern) if ANY in self.code else Q(code=self.code)
        return code & Q(kind__in=self.kinds)

    def has_code(self, code: str) -> bool:
        """Whether the rule means this code; `counted` asks the same of the database.

        Piece by piece: as a regular expression of Python's, a code of many stars could take minutes.
        """
        first, *rest = self.code.split(ANY)
        if not rest:
            return code == first
        *middle, last = rest
        at, end = len(first), len(code) - len(last)
        if at > end or not (code.startswith(first) and code.endswith(last)):
            return False
        for piece in middle:
            found = code.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    def watches(self, equipment_class_id: int) -> bool:
        return self.is_active and self.equipment_class_id in (None, equipment_class_id)


class EventCountQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    pass


class EventCount(OrganizationOwned, PendingWork):
    """What a rule counts of one machine. Pending while the count has to be told anew, from `recount_from` on."""

    rule = models.ForeignKey(EventRule, on_delete=models.PROTECT, related_name="counts")
    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="event_counts")
    sensor = models.OneToOneField(
        Sensor,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="event_count",
        help_text="Whose readings are the count; made with the first event.",
    )
    recount_from = models.DateTimeField(null=True, blank=True, editable=False)
    next_change_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When an event no longer counts, or begins to."
    )

    objects = EventCountQuerySet.as_manager()

    class Meta:
        ordering = ["rule", "equipment"]
        indexes = [
            *queue_indexes(),
            models.Index(
                fields=["next_change_at"],
                condition=Q(next_change_at__isnull=False),
                name="eventcount_next_change",
            ),
        ]
        constraints = [
            one_place(),
            models.UniqueConstraint(fields=["rule", "equipment"], name="eventcount_once"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(recount_from__isnull=False),
                name="eventcount_due_from_a_moment",
            ),
            SameOrganization(field="rule", name="eventcount_rule_same_organization"),
            SameOrganization(field="equipment", name="eventcount_equipment_same_organization"),
            SameOrganization(field="sensor", name="eventcount_sensor_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} of {self.equipment.tag}"

    def last_repair(self, *, until: datetime) -> datetime | None:
        """When its machine was repaired last by then: what came before counts no longer."""
        if self.sensor is None:
            return None
        repairs = self.sensor.baselines.filter(started_at__lte=until).order_by("-started_at")
        return repairs.values_list("started_at", flat=True).first()
