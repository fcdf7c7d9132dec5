"""Senders: who sent a sensor's last reading, and whether the others that it sends still come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, Max, OuterRef

from sensors.models import Anomaly, ReadingBatch, SenderAbsence, SensorLatest
from sensors.storage.arrays import number_array
from smartmaint.accounts.models import ApiKey

REQUESTS_LOOKED_AT = 500
# A request's receipt is written just after its readings.
RECEIPT_WITHIN = timedelta(seconds=10)
IN_USE = timedelta(days=1)

# Each receipt is unpacked once, however many of its sensors are asked for.
_WHO_SENT = """
    WITH silent AS MATERIALIZED (
        SELECT silent.sensor_id, silent.received_at, sensor.organization_id
        FROM unnest(%(sensors)s::bigint[], %(received_at)s::timestamptz[]) AS silent (sensor_id, received_at)
        JOIN sensors_sensor sensor ON sensor.id = silent.sensor_id
    ),
    span AS MATERIALIZED (
        SELECT organization_id, unnest(range_agg(tstzrange(received_at, received_at + %(within)s, '[]'))) AS span
        FROM silent GROUP BY organization_id
    ),
    brought AS MATERIALIZED (
        SELECT batch.id, batch.api_key_id, batch.received_at, sensor_id
        FROM span
        -- Whatever the server believes of how long spans are, their receipts are few: found by the index, span by span.
        CROSS JOIN LATERAL (
            SELECT id, api_key_id, received_at, sensor_ids FROM sensors_readingbatch
            WHERE received_at BETWEEN lower(span.span) AND upper(span.span)
              AND organization_id = span.organization_id AND NOT is_historical
            ORDER BY received_at OFFSET 0
        ) batch
        CROSS JOIN LATERAL unnest(batch.sensor_ids) AS brought (sensor_id)
    ),
    sent AS MATERIALIZED (
        SELECT DISTINCT ON (silent.sensor_id) silent.sensor_id, brought.api_key_id
        FROM silent JOIN brought USING (sensor_id)
        WHERE brought.received_at BETWEEN silent.received_at AND silent.received_at + %(within)s
        ORDER BY silent.sensor_id, brought.received_at, brought.id
    ),
    newest AS MATERIALIZED (
        SELECT api_key.id AS api_key_id, batch.received_at
        FROM (SELECT DISTINCT api_key_id AS id FROM sent) api_key
        CROSS JOIN LATERAL (
            SELECT received_at FROM sensors_readingbatch
            WHERE (api_key_id, received_at) >= (api_key.id, '-infinity')
              AND (api_key_id, received_at) <= (api_key.id, 'infinity')
              AND NOT is_historical AND (inserted > 0 OR updated > 0)
            ORDER BY api_key_id DESC, received_at DESC LIMIT 1
        ) batch
    )
    SELECT sensor_id, api_key_id, received_at FROM sent JOIN newest USING (api_key_id)
"""
# Compared as rows: the server would else walk along all receipts since then, as if one of them were sure to fit.
_FIRST_SENT_AFTER = """
    SELECT received_at FROM sensors_readingbatch
    WHERE (api_key_id, received_at) > (%(key)s, %(after)s) AND (api_key_id, received_at) <= (%(key)s, 'infinity')
      AND NOT is_historical AND (inserted > 0 OR updated > 0)
    ORDER BY api_key_id, received_at LIMIT 1
"""


@dataclass(frozen=True)
class LastSent:
    """When readings last came with a key, or with any key of an organisation."""

    api_key_id: int | None
    at: datetime


@dataclass(frozen=True)
class Sender:
    """Who sent a sensor's last reading, and how many of the sensors that it sent then are silent now."""

    api_key: ApiKey
    sensors: int
    silent: int
    is_absent: bool
    """Nothing at all came from it."""

    @property
    def silent_share(self) -> float:
        return self.silent / self.sensors


def newest_of_organizations(organizations: Iterable[int]) -> dict[int, LastSent]:
    """When anything last came for an organisation, by its id; what the service counts itself does not come."""
    live = SensorLatest.objects.filter(
        organization__in=organizations, is_historical=False, sensor__event_count=None
    )
    newest = live.order_by().values("organization").annotate(at=Max("received_at"))
    return {pk: LastSent(None, at) for pk, at in newest.values_list("organization", "at")}


def who_sent(received: Mapping[int, datetime]) -> dict[int, LastSent]:
    """By sensor, the key that brought what arrived then, and when readings last came with it.

    Those whose receipt is gone, or that came without a key, are left out.
    """
    parameters: dict[str, Any] = {
        "sensors": number_array(list(received)),
        "received_at": list(received.values()),
        "within": RECEIPT_WITHIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WHO_SENT, parameters)
        return {sensor_id: LastSent(api_key_id, at) for sensor_id, api_key_id, at in cursor.fetchall()}


def first_sent_after(api_key_id: int, after: datetime) -> datetime | None:
    """When something new first came with a key after a moment."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_SENT_AFTER, {"key": api_key_id, "after": after})
        found = cursor.fetchone()
    return found and found[0]


def sensors_of_key(api_key_id: int, *, until: datetime) -> list[int]:
    """The sensors whose readings came with a key's last requests up to a moment."""
    batches = ReadingBatch.objects.filter(
        api_key_id=api_key_id, received_at__lte=until, is_historical=False
    ).order_by("-received_at")
    return sorted(set().union(*batches.values_list("sensor_ids", flat=True)[:REQUESTS_LOOKED_AT]))


def find_sender(silence: Anomaly) -> Sender | None:
    """Who sent the last reading of a silent sensor, and who else is silent; None where it came without a key."""
    sent = who_sent({silence.sensor_id: silence.started_at}).get(silence.sensor_id)
    if sent is None:
        return None
    sensors = sensors_of_key(sent.api_key_id, until=silence.started_at + RECEIPT_WITHIN)
    silent = Anomaly.objects.open().filter(
        organization_id=silence.organization_id, kind=Anomaly.Kind.NO_DATA, sensor__in=sensors
    )
    is_absent = SenderAbsence.objects.filter(anomaly=silence).exists()
    return Sender(
        api_key=ApiKey.objects.get(pk=sent.api_key_id),
        sensors=len(sensors),
        silent=len(sensors) if is_absent else silent.count(),
        is_absent=is_absent,
    )


@dataclass(frozen=True)
class Everybody:
    """How many keys and sensors of an organisation had sent within the day before nothing came any more."""

    keys: int
    sensors: int


def who_is_absent(silence: Anomaly) -> Everybody | None:
    """Whom a silence tells of that stands for the whole organisation; None where it is of one sender or sensor."""
    absence = SenderAbsence.objects.filter(anomaly=silence, api_key__isnull=True).order_by("id").first()
    if absence is None:
        return None
    sent = ReadingBatch.objects.bringing_live().filter(
        api_key=OuterRef("pk"), received_at__gt=absence.began_at - IN_USE
    )
    keys = ApiKey.objects.filter(Exists(sent), organization_id=silence.organization_id)
    everybody = Everybody(
        keys=keys.count(),
        sensors=SensorLatest.objects.filter(
            organization_id=silence.organization_id,
            is_historical=False,
            sensor__event_count=None,
            received_at__gt=absence.began_at - IN_USE,
        ).count(),
    )
    return everybody if everybody.keys > 1 else None
