"""Timestamps of readings: ISO 8601 text or epoch numbers, to whole microseconds since 1970 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sensors.ingest.parsed import RowProblem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Stricter than datetime.fromisoformat, which also takes week dates, dates alone and any separator.
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII
).fullmatch

# Epoch numbers below each bound (in magnitude) are seconds, milliseconds, microseconds, nanoseconds.
# Seconds reach to the year 5138, and the other units start in 1973: times that a plant sends are never
# ambiguous.
_SECONDS_BELOW = 10**11
_MILLISECONDS_BELOW = 10**14
_MICROSECONDS_BELOW = 10**17
_NANOSECONDS_BELOW = 10**20


def timestamp_us(raw: Any, *, zone: ZoneInfo | None = None) -> int:
    """Microseconds since 1970 in UTC. Digits beyond the microsecond are cut off.

    Text without an offset is read in `zone`: of a local time that occurs twice the first is taken, one
    that the clock change leaves out is refused. Raises `RowProblem` with `invalid_timestamp`, or with
    `timestamp_naive` where an offset is needed and neither the text nor `zone` gives one.
    """
    if isinstance(raw, str):
        return _from_text(raw, zone)
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return _from_epoch(raw)
    raise RowProblem(
        "invalid_timestamp",
        'The timestamp must be ISO 8601 text such as "2026-11-22T10:00:00.250Z", or an epoch number.',
    )


def _from_text(text: str, zone: ZoneInfo | None) -> int:
    if not _ISO_8601(text):
        raise RowProblem(
            "invalid_timestamp",
            'The timestamp is not ISO 8601 with date and time, such as "2026-11-22T10:00:00.250Z".',
        )
    try:
        moment = datetime.fromisoformat(text.upper() if text[-1] == "z" else text)
        if moment.tzinfo is None:
            moment = _in_zone(moment, zone)
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as error:
        if isinstance(error, RowProblem):
            raise
        raise RowProblem("invalid_timestamp", f"There is no such time: {error}.") from error


def _in_zone(naive: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        raise RowProblem(
            "timestamp_naive",
            "The timestamp has no offset from UTC, and the key has no time zone: write Z or +01:00.",
        )
    moment = naive.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise RowProblem("invalid_timestamp", f"The clock change in {zone.key} leaves this local time out.")
    return moment


def _from_epoch(number: int | float) -> int:
    magnitude = abs(number)
    if magnitude < _SECONDS_BELOW:
        return round(number * 1_000_000)
    if magnitude < _MILLISECONDS_BELOW:
        return round(number * 1_000)
    if magnitude < _MICROSECONDS_BELOW:
        return round(number)
    if magnitude < _NANOSECONDS_BELOW:
        return int(number // 1_000)
    raise RowProblem("invalid_timestamp", "The epoch number is too large, even for nanoseconds.")
