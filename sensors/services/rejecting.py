"""What was not stored is kept: refused readings with the reason, held ones until their sensor is assigned."""

import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from sensors.ingest.parsed import ParsedReadings, Refusal, readable
from sensors.models import IngestPolicy, RejectedReading, UnknownSensor
from sensors.models.ingest import RejectedReadingQuerySet
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization

UNKNOWN_SENSOR = "unknown_sensor"
INBOX_FULL = "inbox_full"
MOST_UNKNOWN_SENSORS = 10_000
"""Lines of an organisation's inbox. A client that makes keys up pushes out the oldest of which nothing is held."""

_LOCK = "rejected readings of a key"
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


class Sender(NamedTuple):
    """Whose readings these are; without a key the service's own, which commands load."""

    organization_id: int
    api_key_id: int | None


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
    sender = Sender(organization.pk, api_key.pk if api_key else None)
    lock_rejected(*sender)
    fields = _fields(parsed, refusals)
    unknown = [refusal for refusal in refusals if refusal.code == UNKNOWN_SENSOR and refusal.row in fields]
    held: dict[int, _Line] = {}
    if policy.unknown_sensors == IngestPolicy.UnknownSensors.HOLD:
        held = _hold(sender, unknown, fields, most=policy.rejected_kept)
        no_room = {refusal.row: _no_room(refusal, fields) for refusal in unknown}
        refusals = [no_room.get(refusal.row, refusal) for refusal in refusals if refusal.row not in held]
    _keep(
        sender,
        format,
        held=list(held.values()),
        refused=[_line(sender, refusal, fields, is_held=False) for refusal in refusals],
        most=policy.rejected_kept,
    )
    if unknown:
        _note_unknown(sender, [fields[refusal.row] for refusal in unknown])
    return refusals, len(held)


def forget_rejected(rejected: RejectedReadingQuerySet) -> int:
    """Delete kept readings, held ones too; returns how many."""
    forgotten = 0
    for organization_id, api_key_id in senders(rejected):
        with transaction.atomic():
            lock_rejected(organization_id, api_key_id)
            of_key = rejected.filter(organization=organization_id, api_key=api_key_id).values("pk")
            forgotten += RejectedReading.objects.filter(
                pk__in=list(of_key.values_list("pk", flat=True))
            ).delete()[0]
    return forgotten


def forget_unknown_sensor(unknown: UnknownSensor) -> int:
    """Delete a line of the inbox with what is kept for it, until its sender comes again; returns how many readings.

    The line stays where its sender came again meanwhile.
    """
    forgotten = forget_rejected(kept_for(unknown))
    with transaction.atomic():
        line = UnknownSensor.objects.select_for_update(of=("self",)).filter(pk=unknown.pk).first()
        if line is not None and not kept_for(line).exists():
            line.delete()
    return forgotten


def kept_for(unknown: UnknownSensor) -> RejectedReadingQuerySet:
    """The readings that wait for a line of the inbox."""
    of_organization = RejectedReading.objects.filter(organization=unknown.organization_id)
    return of_organization.filter(sensor_key=unknown.key).replayable()


def senders(rejected: RejectedReadingQuerySet) -> list[Sender]:
    """Whose readings these are: organisation and key (None: the service itself), in one order for all."""
    pairs = rejected.order_by().values_list("organization_id", "api_key_id").distinct()
    return [Sender(*pair) for pair in sorted(pairs, key=lambda pair: (pair[0], pair[1] or 0))]


def lock_rejected(organization_id: int, api_key_id: int | None) -> None:
    """Let nobody else change what is kept of this key until the transaction ends.

    Requests take it after the locks of their sensors, so nobody may wait for a sensor while holding it.
    """
    number = -organization_id if api_key_id is None else api_key_id
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [zlib.crc32(_LOCK.encode()) - 2**31, number % 2**31]
        )


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


def _line(sender: Sender, refusal: Refusal, fields: dict[int, _Fields], *, is_held: bool) -> _Line:
    read, raw = fields.get(refusal.row), ""
    if read is None:
        read, raw = _Fields(), readable(refusal.raw)
        # What a format did not hand on is told apart by its place.
        identity: tuple = (refusal.code, raw) if raw else (refusal.code, refusal.detail, refusal.index)
    else:
        identity = (read.sensor_key, read.ts_us)
        if not _FIRST_US <= read.ts_us <= _LAST_US:
            read, raw = read._replace(ts_us=None), f"{read.ts_us} µs since 1970"
    fingerprint = repr((sender.api_key_id, is_held, identity)).encode()
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
    sender: Sender, unknown: list[Refusal], fields: dict[int, _Fields], *, most: int
) -> dict[int, _Line]:
    """The lines to hold, by their row, as far as there is room. What is held already needs none."""
    lines = {refusal.row: _line(sender, refusal, fields, is_held=True) for refusal in unknown}
    distinct = dict.fromkeys(line.fingerprint for line in lines.values())
    waiting = _of_sender(sender).held()
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


def _keep(sender: Sender, format: str, *, held: list[_Line], refused: list[_Line], most: int) -> None:
    lines = _last_of_each(held)
    if room := max(most - len(lines), 0):
        lines += _last_of_each(refused)[-room:]
    if lines:
        times = Counter(line.fingerprint for line in (*held, *refused))
        kept: dict[str, int | str | datetime | None] = {
            "organization": sender.organization_id,
            "api_key": sender.api_key_id,
            "received_at": clock.now(),
            "format": format[:20],
            "lines": _json(line._asdict() | {"times": times[line.fingerprint]} for line in lines),
        }
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, kept)
    may_go = _of_sender(sender).evictable()
    if (excess := may_go.count() + _of_sender(sender).held().count() - most) > 0:
        oldest = may_go.order_by("received_at").values("pk")[:excess]
        RejectedReading.objects.filter(pk__in=oldest).delete()


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return msgspec.json.encode(list(rows)).decode()


def _last_of_each(lines: Iterable[_Line]) -> list[_Line]:
    return list({line.fingerprint: line for line in lines}.values())


def _of_sender(sender: Sender) -> RejectedReadingQuerySet:
    if sender.api_key_id is None:
        return RejectedReading.objects.filter(organization=sender.organization_id, api_key=None)
    return RejectedReading.objects.filter(api_key=sender.api_key_id)


def _note_unknown(sender: Sender, seen: list[_Fields]) -> None:
    """Keep the inbox: one line for each key, with its last value."""
    last = {one.sensor_key: one for one in seen}
    readings = Counter(one.sensor_key for one in seen)
    keys = sorted(last)  # in one order, so that requests that name the same keys wait and do not deadlock
    lines = [
        {"key": key, "readings": readings[key], "value": last[key].value, "unit": last[key].unit}
        for key in keys
    ]
    noted: dict[str, int | str | datetime | None] = {
        "organization": sender.organization_id,
        "api_key": sender.api_key_id,
        "seen_at": clock.now(),
        "lines": _json(lines),
    }
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_UNKNOWN, noted)
        has_new = any(is_new for (is_new,) in cursor.fetchall())
    if has_new:
        _forget_the_oldest_unknown(sender.organization_id)


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
