"""Readings as they are stored, what is known of each sensor's newest one, and the receipts of requests."""

from collections.abc import Iterator
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime

from sensors.models.arrays import IntegerArrayField
from sensors.models.sensors import Sensor
from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


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
    is_historical = models.BooleanField(
        db_default=False, help_text="It came as history: the sensor is not known to be live."
    )

    class Meta:
        verbose_name_plural = "latest readings"
        constraints = [SameOrganization(field="sensor", name="sensorlatest_same_organization")]

    def __str__(self) -> str:
        return f"{self.value:g} at {self.ts:%Y-%m-%d %H:%M:%S}"


class Rollup(models.Model):
    """What the usable readings (good or uncertain) of one bucket of time amount to."""

    pk = models.CompositePrimaryKey("sensor_id", "started_at")
    sensor = models.ForeignKey(Sensor, on_delete=models.CASCADE, db_index=False, related_name="+")
    started_at = models.DateTimeField()
    count = models.PositiveIntegerField()
    mean = models.FloatField()
    minimum = models.FloatField()
    maximum = models.FloatField()

    objects = ReadingQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["sensor_id", "started_at"]

    def __str__(self) -> str:
        return f"{self.sensor_id} {self.started_at:%Y-%m-%dT%H:%M}: {self.mean:g}"


class FiveMinuteRollup(Rollup):
    """Five minutes, made of readings."""


class HourlyRollup(Rollup):
    """One hour, made of twelve times five minutes."""


class DailyRollup(Rollup):
    """One day of UTC, made of 24 hours."""


class ReadingBatchQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    def bringing_live(self) -> Self:
        """Those that brought something new, and not as history: their sender is alive."""
        return self.filter(Q(inserted__gt=0) | Q(updated__gt=0), is_historical=False)


class ReadingBatch(OrganizationOwned, PendingWork):
    """One accepted request: its receipt, and its place in the queue of detection."""

    # That the key is there is held with its organisation below: one look less for each request.
    api_key = models.ForeignKey(
        ApiKey,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    received_at = models.DateTimeField(default=clock.now)
    is_historical = models.BooleanField(default=False)
    received = models.PositiveIntegerField()
    inserted = models.PositiveIntegerField()
    updated = models.PositiveIntegerField()
    unchanged = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    held = models.PositiveIntegerField(default=0, help_text="Kept in the inbox until their sensor is known.")
    refused_by_code = models.JSONField(default=dict, blank=True)
    format = models.CharField(max_length=20, blank=True)
    newest_at = models.DateTimeField(null=True, help_text="The newest moment it has a reading for.")
    # Of each sensor in it the first and last moment, in microseconds since 1970: three arrays of one length. A sensor
    # whose readings are apart, late ones beside live ones, stands there once for each span.
    sensor_ids = IntegerArrayField(default=list)
    first_us = IntegerArrayField(default=list)
    last_us = IntegerArrayField(default=list)

    objects = ReadingBatchQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "reading batches"
        indexes = [
            *queue_indexes(),
            models.Index(fields=["api_key", "received_at"], name="readingbatch_of_key"),
            models.Index(fields=["received_at"], name="readingbatch_received"),
            # A gateway whose readings are all refused leaves a million receipts that say nothing of when it last sent.
            models.Index(
                fields=["api_key", "received_at"],
                name="readingbatch_live",
                condition=Q(is_historical=False) & (Q(inserted__gt=0) | Q(updated__gt=0)),
            ),
        ]
        constraints = [
            one_place(),
            models.CheckConstraint(
                # Rows of one request that repeat a (sensor, ts) are accepted and count as unchanged.
                condition=Q(
                    received=F("inserted") + F("updated") + F("unchanged") + F("rejected") + F("held")
                ),
                name="readingbatch_counts",
            ),
            SameOrganization(field="api_key", name="readingbatch_key_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk} of {localtime(self.received_at):%Y-%m-%d %H:%M:%S}"

    @property
    def accepted(self) -> int:
        return self.received - self.rejected - self.held

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Sensors with the first and last moment of a span of their readings, in microseconds since 1970."""
        return zip(self.sensor_ids, self.first_us, self.last_us, strict=True)
