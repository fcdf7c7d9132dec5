"""What an organisation and its integrators' keys are allowed, and what became of readings that were not stored."""

from datetime import timedelta
from typing import Self
from uuid import uuid4

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.timezone import localtime
from simple_history.models import HistoricalRecords

from sensors.ingest.checks import DEFAULT_WINDOW_PAST_US
from sensors.models.readings import Quality
from sensors.models.sensors import Sensor
from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization, ScopedQuerySet

LONGEST_LOOK_BACK_DAYS = 365
"""Forecasts look back a year; no organisation may keep its readings for less."""
LONGEST_RETENTION_DAYS = 36_500
MOST_REJECTED_KEPT = 100_000
"""No organisation may fill the others' disk with what was refused."""


class IngestPolicy(OrganizationOwned):
    """One organisation's choices about its readings."""

    class UnknownSensors(models.TextChoices):
        REFUSE = "refuse", "refuse their readings, and say so to the sender"
        HOLD = "hold", "hold their readings in the inbox until a sensor is assigned"

    unknown_sensors = models.CharField(max_length=10, choices=UnknownSensors, default=UnknownSensors.REFUSE)
    retention_days = models.PositiveIntegerField(
        "retention (days)",
        default=2 * LONGEST_LOOK_BACK_DAYS,
        validators=[MinValueValidator(LONGEST_LOOK_BACK_DAYS), MaxValueValidator(LONGEST_RETENTION_DAYS)],
        help_text="How long readings are kept; forecasts look back a year.",
    )
    rejected_kept = models.PositiveIntegerField(
        "rejected readings kept",
        default=10_000,
        validators=[MaxValueValidator(MOST_REJECTED_KEPT)],
        help_text="Of each key; the oldest go first. Held ones never go: when they fill it, more are refused.",
    )
    silence_factor = models.FloatField(
        default=3,
        validators=[MinValueValidator(1)],
        help_text="A sensor is silent when nothing came for so many of its expected intervals.",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = "ingest policy"
        verbose_name_plural = "ingest policies"
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="ingestpolicy_once"),
            models.CheckConstraint(
                condition=Q(
                    retention_days__gte=LONGEST_LOOK_BACK_DAYS, retention_days__lte=LONGEST_RETENTION_DAYS
                ),
                name="ingestpolicy_retention",
            ),
            models.CheckConstraint(
                condition=Q(rejected_kept__lte=MOST_REJECTED_KEPT), name="ingestpolicy_rejected_kept"
            ),
            models.CheckConstraint(condition=Q(silence_factor__gte=1), name="ingestpolicy_silence_factor"),
        ]

    def __str__(self) -> str:
        return f"ingest policy of {self.organization}"


class KeyAllowance(OrganizationOwned):
    """How much a key may send; without one the settings INGEST_REQUESTS_PER_S and INGEST_READINGS_PER_S hold."""

    api_key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, related_name="allowance", verbose_name="API key"
    )
    requests_per_s = models.FloatField(
        "requests a second", null=True, blank=True, validators=[MinValueValidator(0.01)]
    )
    readings_per_s = models.FloatField(
        "readings a second", null=True, blank=True, validators=[MinValueValidator(0.01)]
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "how much keys may send"
        constraints = [
            models.CheckConstraint(
                condition=Q(requests_per_s__isnull=True) | Q(requests_per_s__gt=0),
                name="keyallowance_requests",
            ),
            models.CheckConstraint(
                condition=Q(readings_per_s__isnull=True) | Q(readings_per_s__gt=0),
                name="keyallowance_readings",
            ),
            SameOrganization(field="api_key", name="keyallowance_same_organization"),
        ]

    def __str__(self) -> str:
        return f"allowance of {self.api_key}"


class KeyMeter(models.Model):
    """When a key's past requests and readings are paid off (the generic cell rate algorithm's arrival time).

    In seconds since 1970. The table is unlogged: after a crash of the database every key starts anew.
    """

    api_key = models.OneToOneField(ApiKey, primary_key=True, on_delete=models.CASCADE, related_name="meter")
    requests_paid_at = models.FloatField(default=0)
    readings_paid_at = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"meter of {self.api_key}"


class KeyUsage(ApiKey):
    """An API key, seen by what came with it; the key itself is made and changed where accounts are."""

    class Meta:
        proxy = True
        ordering = ["name"]
        verbose_name = "sender"


class RefusedRequests(OrganizationOwned):
    """How many requests of a key were refused as a whole, by hour and code."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    code = models.CharField(max_length=40)
    count = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "refused requests"
        constraints = [
            models.UniqueConstraint(fields=["api_key", "hour", "code"], name="refusedrequests_once"),
            SameOrganization(field="api_key", name="refusedrequests_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.count} × {self.code}"


class SensorNaming(OrganizationOwned):
    """How a key's line protocol and MQTT payloads, which name no sensor, come to a sensor's key."""

    class TextFields(models.TextChoices):
        REFUSE = "refuse", "refuse them"
        IGNORE = "ignore", "leave them out"

    api_key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, related_name="naming", verbose_name="API key"
    )
    template = models.CharField(
        "key of the sensor",
        max_length=300,
        help_text="Tags, {measurement} and {field} in braces. With {site}/{machine}/{field} the point "
        "pump,site=north,machine=p-7 vibration=4.2 is a reading of north/p-7/vibration.",
    )
    text_fields = models.CharField(
        "values that are text",
        max_length=10,
        choices=TextFields,
        default=TextFields.REFUSE,
        help_text='Such as status="ok": they are no readings.',
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = "naming of readings"
        verbose_name_plural = "how readings are named"
        constraints = [SameOrganization(field="api_key", name="sensornaming_same_organization")]

    def __str__(self) -> str:
        return self.template


class SensorAlias(OrganizationOwned):
    """Another key under which a sensor's readings come."""

    key = models.CharField(max_length=200)
    sensor = models.ForeignKey(Sensor, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ["key"]
        verbose_name_plural = "sensor aliases"
        constraints = [
            models.UniqueConstraint(fields=["organization", "key"], name="sensoralias_key_once"),
            SameOrganization(field="sensor", name="sensoralias_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.key} → {self.sensor}"


class UnknownSensor(OrganizationOwned):
    """A key that readings came for and that no sensor has: a line of the inbox."""

    key = models.CharField(max_length=200)
    api_key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    readings = models.PositiveBigIntegerField(help_text="How many came, kept or not.")
    last_value = models.FloatField(null=True)
    unit = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "key"], name="unknownsensor_key_once"),
            SameOrganization(field="api_key", name="unknownsensor_same_organization"),
        ]

    def __str__(self) -> str:
        return self.key


IS_HELD = Q(is_held=True, stored_at__isnull=True)


class RejectedReadingQuerySet(ScopedQuerySet):
    def waiting(self) -> Self:
        """Those that were not stored since."""
        return self.filter(stored_at__isnull=True)

    def held(self) -> Self:
        """Those that wait and whose sender was told 2xx."""
        return self.filter(IS_HELD)

    def evictable(self) -> Self:
        """Those that may go when others need their room."""
        return self.filter(~IS_HELD)

    def replayable(self) -> Self:
        """Those whose fields could be read."""
        return self.waiting().exclude(sensor_key="").filter(ts__isnull=False)

    def storable(self) -> Self:
        """Those that can be stored once their cause is mended: of what is too old, nothing can be."""
        oldest = clock.now() - timedelta(microseconds=DEFAULT_WINDOW_PAST_US)
        return self.replayable().filter(ts__gte=oldest)


class RejectedReading(OrganizationOwned):
    """A reading that came and was not stored, and why. A held one waits for its sensor; its sender was told 2xx."""

    # Of ten thousand rows a request every index and every key that is checked costs: that of the key is held with
    # the organisation's below, and the indexes below find it.
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
    format = models.CharField(max_length=20)
    index = models.PositiveIntegerField(help_text="Its place in the request.")
    code = models.CharField(max_length=40)
    detail = models.CharField(max_length=300)
    is_held = models.BooleanField("held", default=False)
    sensor_key = models.CharField(max_length=200, blank=True)
    ts = models.DateTimeField("time", null=True, blank=True)
    value = models.FloatField(null=True, blank=True)
    quality = models.SmallIntegerField(choices=Quality, null=True, blank=True)
    unit = models.CharField(max_length=40, blank=True)
    raw = models.TextField("as sent", blank=True, help_text="Where its fields could not be read.")
    stored_at = models.DateTimeField(null=True, blank=True)
    times = models.PositiveIntegerField("came", default=1, help_text="How many times the same was sent.")
    # Of key, sensor and time; of the row as it was sent where those could not be read.
    fingerprint = models.UUIDField(default=uuid4, editable=False)

    objects = RejectedReadingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # Together they count what is kept of a key without a look at the rows.
            models.Index(
                fields=["api_key", "received_at"], name="rejectedreading_evictable", condition=~IS_HELD
            ),
            models.Index(fields=["api_key"], name="rejectedreading_held", condition=IS_HELD),
            models.Index(fields=["organization", "sensor_key", "id"], name="rejectedreading_of_sensor"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "fingerprint"],
                condition=Q(stored_at__isnull=True),
                name="rejectedreading_waiting_once",
            ),
            SameOrganization(field="api_key", name="rejectedreading_same_organization"),
        ]

    def __str__(self) -> str:
        return (
            f"{self.sensor_key or 'reading'} of {localtime(self.received_at):%Y-%m-%d %H:%M:%S}: {self.code}"
        )
