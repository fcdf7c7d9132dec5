"""Sites, the tree of equipment, its failure modes, and the failures that happened."""

from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime
from simple_history.models import HistoricalRecords

from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)


class Site(OrganizationOwned):
    """A place where equipment stands and technicians travel to."""

    name = models.CharField(max_length=100)
    address = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="site_name_once"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.name


class EquipmentClass(OrganizationOwned):
    """A kind of equipment after ISO 14224, such as pumps; it has its own failure modes."""

    code = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    weight_condition = models.PositiveSmallIntegerField(
        "condition", default=40, help_text="Of a machine's health: what its sensors say now."
    )
    weight_alarms = models.PositiveSmallIntegerField("alarms", default=20, help_text="Alarms that stand.")
    weight_forecast = models.PositiveSmallIntegerField(
        "forecast", default=25, help_text="What is foretold for the next 30 days."
    )
    weight_maintenance = models.PositiveSmallIntegerField(
        "maintenance", default=15, help_text="Work that is overdue."
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "equipment classes"
        constraints = [
            models.CheckConstraint(
                condition=Q(weight_condition__gt=0)
                | Q(weight_alarms__gt=0)
                | Q(weight_forecast__gt=0)
                | Q(weight_maintenance__gt=0),
                name="equipmentclass_weighs_something",
                violation_error_message="At least one part of a machine's health has a weight.",
            ),
            models.UniqueConstraint(fields=["organization", "code"], name="equipmentclass_code_once"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def health_weights(self) -> dict[str, int]:
        """By part of a machine's health."""
        return {
            "condition": self.weight_condition,
            "alarms": self.weight_alarms,
            "forecast": self.weight_forecast,
            "maintenance": self.weight_maintenance,
        }


class FailureModeQuerySet(ScopedQuerySet):
    def of_class(self, equipment_class: EquipmentClass | None) -> Self:
        """Modes that equipment of this class can have: its own, and those of every class."""
        return self.filter(Q(equipment_class=equipment_class) | Q(equipment_class=None))

    def unknown_of(self, organization_id: int) -> "FailureMode":
        """The organisation's row for "not known", made anew where somebody deleted it."""
        mode, _ = self.get_or_create(
            organization_id=organization_id,
            equipment_class=None,
            code=FailureMode.UNKNOWN,
            defaults={"name": "Unknown"},
        )
        return mode


class FailureMode(OrganizationOwned):
    """A way to fail, with its ISO 14224 code. "Unknown" is one of them."""

    UNKNOWN = "UNK"

    equipment_class = models.ForeignKey(
        EquipmentClass,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="failure_modes",
        help_text="Empty: a mode of every class.",
    )
    code = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)

    objects = FailureModeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "equipment_class", "code"],
                condition=Q(equipment_class__isnull=False),
                name="failuremode_code_once_in_class",
            ),
            models.UniqueConstraint(
                fields=["organization", "code"],
                condition=Q(equipment_class__isnull=True),
                name="failuremode_code_once_for_all",
            ),
            SameOrganization(field="equipment_class", name="failuremode_class_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    @property
    def is_unknown(self) -> bool:
        return self.code == self.UNKNOWN and self.equipment_class_id is None


class Criticality(models.TextChoices):
    A = "A", "A – stops production or endangers people"
    B = "B", "B – reduces production"
    C = "C", "C – can wait"


class State(models.TextChoices):
    """States of an item after EN 13306."""

    OPERATING = "operating"
    STANDBY = "standby"
    DOWN = "down", "Down (fault)"
    MAINTENANCE = "maintenance", "Down (maintenance)"
    OUT_OF_SERVICE = "out_of_service", "Out of service"


# People have said so, of a machine or of what it is part of.
PLANNED_STOPS = (State.MAINTENANCE, State.OUT_OF_SERVICE)


class EquipmentQuerySet(ScopedQuerySet):
    def with_descendants(self, *, of: "Equipment") -> Self:
        """A machine and all that stands below it in the tree."""
        return self.filter(pk__in=models.expressions.RawSQL(_DESCENDANTS, [of.pk]))


_DESCENDANTS = """
    WITH RECURSIVE below(id) AS (
        SELECT %s::bigint
        UNION
        SELECT child.id FROM equipment_equipment child JOIN below ON child.parent_id = below.id
    )
    SELECT id FROM below
"""
_ANCESTORS = """
    WITH RECURSIVE above(id, parent_id, height) AS (
        SELECT id, parent_id, 1 FROM equipment_equipment WHERE id = %s
        UNION ALL
        SELECT machine.id, machine.parent_id, height + 1
        FROM equipment_equipment machine JOIN above ON machine.id = above.parent_id
    ) CYCLE id SET is_circle USING path
    SELECT machine.* FROM equipment_equipment machine JOIN above USING (id)
    WHERE NOT is_circle ORDER BY height DESC
"""


class Equipment(OrganizationOwned):
    """A machine, or a group of them, at a site."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="equipment")
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    tag = models.CharField(max_length=50, help_text="The plant's own name for it, such as P-101.")
    name = models.CharField(max_length=100)
    equipment_class = models.ForeignKey(EquipmentClass, on_delete=models.PROTECT, related_name="equipment")
    criticality = models.CharField(max_length=1, choices=Criticality, default=Criticality.B)
    state = models.CharField(max_length=20, choices=State, default=State.OPERATING)
    manufacturer = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=100, blank=True)
    serial_number = models.CharField(max_length=100, blank=True)

    objects = EquipmentQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["tag"]
        verbose_name_plural = "equipment"
        constraints = [
            models.UniqueConstraint(fields=["organization", "tag"], name="equipment_tag_once"),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="equipment_not_its_own_parent"),
            models.CheckConstraint(
                condition=Q(criticality__in=Criticality.values), name="equipment_criticality"
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="equipment_state"),
            SameOrganization(field="site", name="equipment_site_same_organization"),
            SameOrganization(field="equipment_class", name="equipment_class_same_organization"),
            inside_organization(),
            SameOrganization(field="parent", name="equipment_parent_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.tag} {self.name}"

    def clean(self) -> None:
        if self.pk and self.parent_id:
            below = Equipment.objects.with_descendants(of=self)
            if below.filter(pk=self.parent_id).exists():
                raise ValidationError({"parent": "That stands below this machine: a tree has no circles."})

    def ancestors(self) -> list["Equipment"]:
        """The way up the tree, the top first, without the machine itself."""
        return list(Equipment.objects.raw(_ANCESTORS, [self.parent_id]))

    @property
    def state_as_part(self) -> str:
        """Its own state, but that of what it is part of where that stands by plan: its parts then do too."""
        if self.state in PLANNED_STOPS or self.parent_id is None:
            return self.state
        stopped = (above.state for above in reversed(self.ancestors()) if above.state in PLANNED_STOPS)
        return next(stopped, self.state)


class KeyRestriction(OrganizationOwned):
    """Equipment that an API key may post for. A key without any may post for all of its organisation."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="restrictions")
    # Protected: without its only machine a key would be restricted to nothing, and that means to all.
    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "equipment"], name="keyrestriction_once"),
            SameOrganization(field="api_key", name="keyrestriction_key_same_organization"),
            SameOrganization(field="equipment", name="keyrestriction_equipment_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.api_key} for {self.equipment.tag}"


class Verdict(models.TextChoices):
    """What people found when they looked."""

    CONFIRMED_AS_PREDICTED = "confirmed_as_predicted", "Confirmed as predicted"
    CONFIRMED_ANOTHER_MODE = "confirmed_another_mode", "Confirmed, another mode"
    EARLY = "early", "Early: a potential failure was found"
    NO_FAULT_FOUND = "no_fault_found", "No fault found"
    SENSOR_FAULT = "sensor_fault", "Sensor fault"
    DUPLICATE = "duplicate"
    DEFERRED = "deferred"
    NOT_INSPECTED = "not_inspected", "Not inspected"
    FAILED_BEFORE_REPAIR = "failed_before_repair", "Failed before repair"

    @property
    def is_failure(self) -> bool:
        """A functional failure of the machine had happened."""
        return self in {Verdict.FAILED_BEFORE_REPAIR, Verdict.CONFIRMED_ANOTHER_MODE}

    @property
    def is_false_alarm(self) -> bool:
        return self in {Verdict.NO_FAULT_FOUND, Verdict.SENSOR_FAULT}

    @property
    def restores(self) -> bool:
        """The machine was brought back to a known condition: the baselines of its sensors start anew."""
        return self in {
            Verdict.CONFIRMED_AS_PREDICTED,
            Verdict.CONFIRMED_ANOTHER_MODE,
            Verdict.EARLY,
            Verdict.FAILED_BEFORE_REPAIR,
        }


class Failure(OrganizationOwned):
    """A functional failure: the event at which a machine could no longer do what is required (EN 13306)."""

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="failures")
    failure_mode = models.ForeignKey(FailureMode, on_delete=models.PROTECT, related_name="+")
    failed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["-failed_at"]
        constraints = [
            models.UniqueConstraint(fields=["equipment", "failure_mode", "failed_at"], name="failure_once"),
            SameOrganization(field="equipment", name="failure_equipment_same_organization"),
            SameOrganization(field="failure_mode", name="failure_mode_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.equipment.tag} {self.failure_mode.code} {localtime(self.failed_at):%Y-%m-%d %H:%M}"
