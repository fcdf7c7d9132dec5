"""Readings as they are stored, what is known of each sensor's newest one, and the receipts of requests."""

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime

from sensors.models.sensors import Sensor
from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.work import PendingWork, PendingWorkQuerySet, queue_indexes


class Quality(models.IntegerChoices):
    """How far a reading can be trusted; the numbers are ours and never part of the API."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class ReadingQuerySet(models.QuerySet):
    def for_organization(self, organization: models.Model | None) -> "ReadingQuerySet":
        return self.filter(sensor__organization=organization) if organization is not None else self.none()


class Reading(models.Model):
    """One value of one sensor, in the sensor's unit. NaN only with bad quality.

    The table is partitioned by month (see the migration) and has no foreign key in the database, which would halve the
    speed of COPY; sensors that have readings are deactivated, not deleted.
    """

    pk = models.CompositePrimaryKey("sensor_id", "ts")
    sensor = models.ForeignKey(Sensor, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    ts = models.DateTimeField()
    value = models.FloatField()
    quality = models.SmallIntegerField(choices=Quality, default=Quality.GOOD)

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ["sensor_id", "ts"]

    def __str__(self) -> str:
        return f"{self.sensor_id} {self.ts:%Y-%m-%dT%H:%M:%S}: {self.value:g}"


class SensorLatest(OrganizationOwned):
    """The reading of a sensor that was measured last, which is not always the one that came last."""

    sensor = models.OneToOneField(Sensor, primary_key=True, on_delete=models.CASCADE, related_name="latest")
    ts = models.DateTimeField()
    value = models.FloatField()
    quality = models.SmallIntegerField(choices=Quality)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "latest readings"
        constraints = [SameOrganization(field="sensor", name="sensorlatest_same_organization")]

    def __str__(self) -> str:
        return f"{self.value:g} at {self.ts:%Y-%m-%d %H:%M:%S}"


class HourlyRollup(models.Model):
    """What the usable readings (good or uncertain) of one hour amount to."""

    pk = models.CompositePrimaryKey("sensor_id", "hour")
    sensor = models.ForeignKey(Sensor, on_delete=models.CASCADE, db_index=False, related_name="+")
    hour = models.DateTimeField()
    count = models.PositiveIntegerField()
    mean = models.FloatField()
    minimum = models.FloatField()
    maximum = models.FloatField()

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ["sensor_id", "hour"]

    def __str__(self) -> str:
        return f"{self.sensor_id} {self.hour:%Y-%m-%dT%H}: {self.mean:g}"


class ReadingBatchQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    pass


class ReadingBatch(OrganizationOwned, PendingWork):
    """One accepted request: its receipt, and its place in the queue of detection."""

    api_key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    received_at = models.DateTimeField(default=clock.now)
    is_historical = models.BooleanField(default=False)
    received = models.PositiveIntegerField()
    inserted = models.PositiveIntegerField()
    updated = models.PositiveIntegerField()
    unchanged = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    spans = models.JSONField(
        help_text="Per sensor the first and last moment it has readings for, in epoch microseconds."
    )

    objects = ReadingBatchQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "reading batches"
        indexes = queue_indexes()
        constraints = [
            models.CheckConstraint(
                # Rows of one request that repeat a (sensor, ts) are accepted and count as unchanged.
                condition=Q(received=F("inserted") + F("updated") + F("unchanged") + F("rejected")),
                name="readingbatch_counts",
            ),
            SameOrganization(field="api_key", name="readingbatch_key_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk} of {localtime(self.received_at):%Y-%m-%d %H:%M:%S}"

    @property
    def accepted(self) -> int:
        return self.received - self.rejected
