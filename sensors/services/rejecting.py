"""What was not stored is kept: refused readings with the reason, held ones until their sensor is assigned."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from django.db import connection

from sensors.ingest.parsed import ParsedReadings, Refusal, readable
from sensors.models import IngestPolicy, RejectedReading
from sensors.services.inbox import note_unknown
from sensors.services.origins import Origin, kept_of, lock_rejected
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization

UNKNOWN_SENSOR = "unknown_sensor"
INBOX_FULL = "inbox_full"

_MOST_PLACE = 2**31 - 1
# The years that can be read back and shown in every zone.
_FIRST_US, _LAST_US = -62_100_000_000_000_000, 253_300_000_000_000_000

# The lines travel as one JSON text: of arrays the driver writes every element as an expression to be parsed.
# What waits is kept once for each fingerprint; sent again, it is counted, and the last value wins as in the store.
_KEEP = """
    INSERT INTO sensors_rejectedreading AS kept
        (organization_id, api_key_id, received_at, format, index, code, detail, is_held, sensor_key, ts, value,
         quality, unit, raw, fingerprint, times)
    SELECT %(organization)s, %(api_key)s, %(received_at)s, %(format)s, place, code, detail, is_held, sensor_key,
           'epoch'::timestamptz + ts_us * interval '1 microsecond', value, quality, unit, raw, fingerprint, times
    FROM ROWS FROM (json_to_recordset(%(lines)s) AS (
        place integer, code text, detail text, is_held boolean, sensor_key text, ts_us bigint, value float8,
        quality smallint, unit text, raw text, fingerprint uuid, times integer
    )) WITH ORDINALITY AS row(place, code, detail, is_held, sensor_key, ts_us, value, quality, unit, raw, fingerprint,
                              times, nth)
    ORDER BY nth
    ON CONFLICT (organization_id, fingerprint) WHERE stored_at IS NULL DO UPDATE
    SET received_at = excluded.received_at, format = excluded.format, index = excluded.index, code = excluded.code,
        detail = excluded.detail, value = excluded.value, quality = excluded.quality, unit = excluded.unit,
        raw = excluded.raw, times = kept.times + excluded.times
"""


class _Fields(NamedTuple):
    """What could be read of a refused reading."""

    sensor_key: str = ""
    ts_us: int | None = None
    value: float | None = None
    quality: int | None = None
    unit: str = ""


class _Line(NamedTuple):
    """A refused reading as it is kept."""

    place: int
    code: str
    detail: str
    is_held: bool
    sensor_key: str
    ts_us: int | None
    value: float | None
    quality: int | None
    unit: str
    raw: str
    fingerprint: str


def keep_rejected(
    *,
    organization: Organization,
    api_key: ApiKey | None,
    parsed: ParsedReadings,
    refusals: list[Refusal],
    format: str,
) -> tuple[list[Refusal], int]:
    """Keep a request's refused readings; return the refusals that its sender is told of, and how many are held instead.

    Of each key at most the policy's `rejected_kept` stay: the oldest go first, and of a larger request the last are
    kept. Readings of unknown sensors are held where the policy says so, and never go; those that find no room are
    refused with `inbox_full`. Belongs into the transaction of the ingest, as its last lock.
    """
    policy = IngestPolicy.objects.get(organization=organization)
    origin = Origin(organization.pk, api_key.pk if api_key else None)
    lock_rejected(*origin)
    fields = _fields(parsed, refusals)
    unknown = [refusal for refusal in refusals if refusal.code == UNKNOWN_SENSOR and refusal.row in fields]
    held: dict[int, _Line] = {}
    if policy.unknown_sensors == IngestPolicy.UnknownSensors.HOLD:
        held = _hold(origin, unknown, fields, most=policy.rejected_kept)
        no_room = {refusal.row: _no_room(refusal, fields) for refusal in unknown}
        refusals = [no_room.get(refusal.row, refusal) for refusal in refusals if refusal.row not in held]
    _keep(
        origin,
        format,
        held=list(held.values()),
        refused=[_line(origin, refusal, fields, is_held=False) for refusal in refusals],
        most=policy.rejected_kept,
    )
    if unknown:
        note_unknown(origin, [fields[refusal.row] for refusal in unknown])
    return refusals, len(held)


def _fields(parsed: ParsedReadings, refusals: list[Refusal]) -> dict[int, _Fields]:
    """What was read of each refused row that could be read, by its row."""
    rows = [refusal.row for refusal in refusals if refusal.row >= 0]
    columns = zip(
        rows,
        parsed.key_of_row[rows].tolist(),
        parsed.ts_us[rows].tolist(),
        parsed.values[rows].tolist(),
        parsed.quality[rows].tolist(),
        parsed.unit_of_row[rows].tolist(),
        strict=True,
    )
    return {
        row: _Fields(
            parsed.keys[key],
            ts_us,
            value if math.isfinite(value) else None,
            quality,
            parsed.units[unit] or "",
        )
        for row, key, ts_us, value, quality, unit in columns
    }


def _line(origin: Origin, refusal: Refusal, fields: dict[int, _Fields], *, is_held: bool) -> _Line:
    read, raw = fields.get(refusal.row), ""
    if read is None:
        read, raw = _Fields(), readable(refusal.raw)
        # What a format did not hand on is told apart by its place.
        identity: tuple = (refusal.code, raw) if raw else (refusal.code, refusal.detail, refusal.index)
    else:
        identity = (read.sensor_key, read.ts_us)
        if not _FIRST_US <= read.ts_us <= _LAST_US:
            read, raw = read._replace(ts_us=None), f"{read.ts_us} µs since 1970"
    fingerprint = repr((origin.api_key_id, is_held, identity)).encode()
    return _Line(
        min(refusal.index, _MOST_PLACE),
        refusal.code,
        readable(refusal.detail)[:300],
        is_held,
        *read,
        raw,
        hashlib.blake2b(fingerprint, digest_size=16).hexdigest(),
    )


def _hold(
    origin: Origin, unknown: list[Refusal], fields: dict[int, _Fields], *, most: int
) -> dict[int, _Line]:
    """The lines to hold, by their row, as far as there is room. What is held already needs none."""
    lines = {refusal.row: _line(origin, refusal, fields, is_held=True) for refusal in unknown}
    distinct = dict.fromkeys(line.fingerprint for line in lines.values())
    waiting = kept_of(origin).held()
    room = max(most - waiting.count(), 0)
    if len(distinct) <= room:
        return lines
    again = waiting.filter(fingerprint__in=list(distinct)).values_list("fingerprint", flat=True)
    held_already = {fingerprint.hex for fingerprint in again}
    fits = held_already.union(islice((one for one in distinct if one not in held_already), room))
    return {row: line for row, line in lines.items() if line.fingerprint in fits}


def _no_room(refusal: Refusal, fields: dict[int, _Fields]) -> Refusal:
    key = fields[refusal.row].sensor_key
    detail = f'There is no sensor "{key}", and the inbox holds as many readings of this API key as it may.'
    return replace(refusal, code=INBOX_FULL, detail=detail)


def _keep(origin: Origin, format: str, *, held: list[_Line], refused: list[_Line], most: int) -> None:
    lines = _last_of_each(held)
    if room := max(most - len(lines), 0):
        lines += _last_of_each(refused)[-room:]
    if lines:
        times = Counter(line.fingerprint for line in (*held, *refused))
        kept: dict[str, int | str | datetime | None] = {
            "organization": origin.organization_id,
            "api_key": origin.api_key_id,
            "received_at": clock.now(),
            "format": format[:20],
            "lines": _json(line._asdict() | {"times": times[line.fingerprint]} for line in lines),
        }
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, kept)
    may_go = kept_of(origin).evictable()
    if (excess := may_go.count() + kept_of(origin).held().count() - most) > 0:
        oldest = may_go.order_by("received_at").values("pk")[:excess]
        RejectedReading.objects.filter(pk__in=oldest).delete()


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return msgspec.json.encode(list(rows)).decode()


def _last_of_each(lines: Iterable[_Line]) -> list[_Line]:
    return list({line.fingerprint: line for line in lines}.values())
