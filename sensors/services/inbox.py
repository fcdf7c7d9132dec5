"""The inbox of unknown sensors: a line for each key that readings came for and that no sensor has."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from django.db import connection
from django.db.models import Exists, OuterRef

from sensors.models import RejectedReading, UnknownSensor
from sensors.models.ingest import RejectedReadingQuerySet
from sensors.services.origins import Origin
from smartmaint import clock

MOST_UNKNOWN_SENSORS = 10_000
"""Lines of an organisation's inbox. A client that makes keys up pushes out the oldest of which nothing is held."""

_NOTE_UNKNOWN = """
    INSERT INTO sensors_unknownsensor AS known
        (organization_id, key, api_key_id, first_seen_at, last_seen_at, readings, last_value, unit)
    SELECT %(organization)s, key, %(api_key)s, %(seen_at)s, %(seen_at)s, readings, value, unit
    FROM ROWS FROM (json_to_recordset(%(lines)s) AS (key text, readings bigint, value float8, unit text))
        WITH ORDINALITY AS row(key, readings, value, unit, nth)
    ORDER BY nth
    ON CONFLICT (organization_id, key) DO UPDATE
    SET api_key_id = excluded.api_key_id, last_seen_at = excluded.last_seen_at,
        readings = known.readings + excluded.readings, last_value = excluded.last_value, unit = excluded.unit
    RETURNING xmax = 0
"""


class Seen(Protocol):
    """A reading of an unknown sensor, as far as the inbox shows it."""

    @property
    def sensor_key(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def unit(self) -> str: ...


def kept_for(unknown: UnknownSensor) -> RejectedReadingQuerySet:
    """The readings that wait for a line of the inbox."""
    of_organization = RejectedReading.objects.filter(organization=unknown.organization_id)
    return of_organization.filter(sensor_key=unknown.key).replayable()


def note_unknown(origin: Origin, seen: Sequence[Seen]) -> None:
    """Keep the inbox: one line for each key, with its last value."""
    last = {one.sensor_key: one for one in seen}
    readings = Counter(one.sensor_key for one in seen)
    keys = sorted(last)  # in one order, so that requests that name the same keys wait and do not deadlock
    lines = [
        {"key": key, "readings": readings[key], "value": last[key].value, "unit": last[key].unit}
        for key in keys
    ]
    noted: dict[str, int | str | datetime | None] = {
        "organization": origin.organization_id,
        "api_key": origin.api_key_id,
        "seen_at": clock.now(),
        "lines": msgspec.json.encode(lines).decode(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_UNKNOWN, noted)
        has_new = any(is_new for (is_new,) in cursor.fetchall())
    if has_new:
        _forget_the_oldest_unknown(origin.organization_id)


def _forget_the_oldest_unknown(organization_id: int) -> None:
    lines = UnknownSensor.objects.filter(organization=organization_id)
    if (excess := lines.count() - MOST_UNKNOWN_SENSORS) <= 0:
        return
    held = RejectedReading.objects.held().filter(organization=organization_id, sensor_key=OuterRef("key"))
    oldest = lines.exclude(Exists(held)).order_by("last_seen_at", "pk")
    # Passing over what another request has locked: waiting for it out of order could deadlock.
    going = oldest.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:excess]
    # A line that was locked just now may have got something to hold since the look that chose it.
    lines.filter(pk__in=list(going)).exclude(Exists(held)).delete()
