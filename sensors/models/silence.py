"""Who was away, so that their absence counts as no sensor's silence."""

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime

from equipment.models import Equipment
from sensors.models.anomalies import Anomaly
from sensors.models.arrays import IntegerArrayField
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization


class SilenceWatch(models.Model):
    """One row: when the service last looked for silence, so that it knows when it was away itself."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    looked_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="silencewatch_once")]

    def __str__(self) -> str:
        return f"looked at {localtime(self.looked_at):%Y-%m-%d %H:%M:%S}"


class ServiceAbsence(models.Model):
    """A time in which the service did not listen."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at__gte=F("began_at")), name="serviceabsence_ends_after_it_begins"
            )
        ]

    def __str__(self) -> str:
        return f"away {localtime(self.began_at):%Y-%m-%d %H:%M}–{localtime(self.ended_at):%H:%M}"


class SenderAbsence(OrganizationOwned):
    """A time in which nothing at all came with a key, or for the whole organisation; one anomaly tells of it."""

    api_key = models.ForeignKey(
        ApiKey,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="None: nothing came with any key.",
    )
    anomaly = models.ForeignKey(Anomaly, on_delete=models.CASCADE, related_name="absences")
    began_at = models.DateTimeField(help_text="When the last readings came.")
    ended_at = models.DateTimeField(null=True)
    sensor_ids = IntegerArrayField(default=list, help_text="The key's sensors.")

    class Meta:
        indexes = [models.Index(fields=["organization", "ended_at"], name="senderabsence_of")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")),
                name="senderabsence_ends_after_it_begins",
            ),
            models.UniqueConstraint(
                fields=["organization", "api_key"],
                condition=Q(ended_at__isnull=True),
                name="senderabsence_open_once",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(ended_at__isnull=True, api_key__isnull=True),
                name="senderabsence_of_all_open_once",
            ),
            SameOrganization(field="api_key", name="senderabsence_key_same_organization"),
            SameOrganization(field="anomaly", name="senderabsence_anomaly_same_organization"),
        ]

    def __str__(self) -> str:
        return f"nothing from {self.api_key or self.organization} since {localtime(self.began_at):%Y-%m-%d %H:%M}"


class PlannedStop(OrganizationOwned):
    """The newest planned stop of a machine, as the service saw it."""

    equipment = models.OneToOneField(
        Equipment, primary_key=True, on_delete=models.CASCADE, related_name="planned_stop"
    )
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            SameOrganization(field="equipment", name="plannedstop_equipment_same_organization"),
        ]

    def __str__(self) -> str:
        return f"planned stop of {self.equipment}"
