"""Timestamps of readings: ISO 8601 text or epoch numbers, to whole microseconds since 1970 in UTC."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sensors.ingest.parsed import Repeated, RowProblem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Stricter than datetime.fromisoformat, which also takes week dates, dates alone and any separator.
_ISO_8601 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
).fullmatch
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _FRACTION, _OFFSET = range(1, 9)

# Epoch numbers below each bound (in magnitude) are seconds, milliseconds, microseconds, nanoseconds.
# Seconds reach to the year 5138, and the other units start in 1973: times that a plant sends are never
# ambiguous.
_SECONDS_BELOW = 10**11
_MILLISECONDS_BELOW = 10**14
_MICROSECONDS_BELOW = 10**17
_NANOSECONDS_BELOW = 10**20
EPOCH_UNITS = {
    "s": _SECONDS_BELOW,
    "ms": _MILLISECONDS_BELOW,
    "us": _MICROSECONDS_BELOW,
    "ns": _NANOSECONDS_BELOW,
}

# Fewer values than this are read faster one by one. Of more than the other, the matrix product would be handed to
# several threads, which wait for a busy core.
_FEW, _MANY = 32, 2_000
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US

# The numbers that the digits of a column of ISO 8601 texts are summed up to.
_YYYYMMDD, _HH, _MM, _SS, _OF_DAY_US = range(5)
# Which of them each group of the pattern counts for, and in what unit.
_COUNTS_FOR = {
    _YEAR: {_YYYYMMDD: 10_000},
    _MONTH: {_YYYYMMDD: 100},
    _DAY: {_YYYYMMDD: 1},
    _HOUR: {_HH: 1, _OF_DAY_US: _HOUR_US},
    _MINUTE: {_MM: 1, _OF_DAY_US: 60_000_000},
    _SECOND: {_SS: 1, _OF_DAY_US: 1_000_000},
}
_LAST_OF_DAY = np.array([[23], [59], [59]])
_ALL_ZERO = str.maketrans("123456789", "0" * 9)


def timestamp_us(raw: Any, *, zone: ZoneInfo | None = None) -> int:
    """Microseconds since 1970 in UTC. Digits beyond the microsecond are cut off.

    Text without an offset is read in `zone`: a local time that occurs twice is `Repeated`, one that the clock change
    leaves out is refused. Raises `RowProblem` with `invalid_timestamp`, or with
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
            return _in_zone(moment, zone)
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as error:
        if isinstance(error, RowProblem):
            raise
        raise RowProblem("invalid_timestamp", f"There is no such time: {error}.") from error


def _in_zone(naive: datetime, zone: ZoneInfo | None) -> int:
    if zone is None:
        raise RowProblem(
            "timestamp_naive",
            "The timestamp has no offset from UTC, and the key has no time zone: write Z or +01:00.",
        )
    moment = naive.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise RowProblem("invalid_timestamp", f"The clock change in {zone.key} leaves this local time out.")
    first_us = (moment - _EPOCH) // _MICROSECOND
    again_us = (moment.replace(fold=1) - _EPOCH) // _MICROSECOND
    return Repeated(first_us, again_us) if again_us != first_us else first_us


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


def timestamps_us(raws: Sequence[Any], *, zone: ZoneInfo | None = None) -> npt.NDArray[np.int64]:
    """`timestamp_us` of every value of a column, shape (values,); those that are written alike are read at once.

    Raises `RowProblem` where one of them cannot be read or is `Repeated`, and does not tell which.
    """
    if len(raws) > _MANY:
        parts = [raws[start : start + _MANY] for start in range(0, len(raws), _MANY)]
        return np.concatenate([timestamps_us(part, zone=zone) for part in parts])
    if len(raws) < _FEW:
        return _one_by_one(raws, zone)
    if isinstance(raws[0], str):
        return _from_texts(raws, zone)
    return _from_epochs(raws) if set(map(type, raws)) in ({int}, {float}) else _one_by_one(raws, zone)


def _one_by_one(raws: Sequence[Any], zone: ZoneInfo | None) -> npt.NDArray[np.int64]:
    times = [timestamp_us(raw, zone=zone) for raw in raws]
    if Repeated in set(map(type, times)):
        raise RowProblem(
            "invalid_timestamp", "One of the local times occurs twice: it is to be read by itself."
        )
    return np.array(times, dtype=np.int64)


def _from_epochs(numbers: Sequence[int] | Sequence[float]) -> npt.NDArray[np.int64]:
    """Of numbers of one type."""
    try:
        epochs = np.array(numbers, dtype=np.int64 if isinstance(numbers[0], int) else np.float64)
    except OverflowError:  # nanoseconds after the year 2262
        return _one_by_one(numbers, None)

    def below(bound: int) -> npt.NDArray[np.bool_]:
        return (epochs > -bound) & (epochs < bound)

    if not below(_NANOSECONDS_BELOW).all():
        return _one_by_one(numbers, None)
    scaled = np.select(
        [below(_SECONDS_BELOW), below(_MILLISECONDS_BELOW), below(_MICROSECONDS_BELOW)],
        [epochs * 1_000_000, epochs * 1_000, epochs],
        epochs // 1_000,
    )
    whole = np.rint(scaled) if isinstance(numbers[0], float) else scaled
    return whole.astype(np.int64)


def _from_texts(texts: Sequence[str], zone: ZoneInfo | None) -> npt.NDArray[np.int64]:
    """Of one layout as a rule; of a few lengths where a writer leaves out zeros at the end of a fraction."""
    try:
        together = _written_alike(texts, zone)
    except TypeError:  # among the texts is something else
        return _one_by_one(texts, zone)
    if together is not None:
        return together
    of_length: dict[int, list[int]] = {}
    for row, text in enumerate(texts):
        of_length.setdefault(len(text), []).append(row)
    if len(of_length) == 1:
        return _one_by_one(texts, zone)
    times = np.empty(len(texts), dtype=np.int64)
    for rows in of_length.values():
        group = [texts[row] for row in rows]
        together = _written_alike(group, zone) if len(group) >= _FEW else None
        times[rows] = _one_by_one(group, zone) if together is None else together
    return times


def _written_alike(texts: Sequence[str], zone: ZoneInfo | None) -> npt.NDArray[np.int64] | None:
    """Of texts that differ from the first only in the digits of date, time and fraction; None where they do not, or
    where one of them is no such time.
    """
    joined = "\n".join(texts) + "\n"
    first = _ISO_8601(texts[0])
    width = len(texts[0]) + 1
    if first is None or len(joined) != len(texts) * width or not joined.isascii():
        return None
    offset = first[_OFFSET] or ""
    layout = _layout(texts[0][: width - 1 - len(offset)].translate(_ALL_ZERO), offset)
    # A line feed may stand in the last place only, and there is one for each text: all are as long as the first.
    above = np.frombuffer(joined.encode(), np.uint8).reshape(-1, width) - layout.lowest
    if (above > layout.most_above).any():
        return None
    numbers = (above.astype(np.float64) @ layout.weights).astype(np.int64).T
    midnights = _midnights_us(numbers[_YYYYMMDD])
    if midnights is None or (numbers[_HH : _SS + 1] > _LAST_OF_DAY).any():
        return None
    times = midnights + numbers[_OF_DAY_US]
    if offset:
        return times + timestamp_us(f"1970-01-01T00:00:00{offset}")
    return None if zone is None else _in_zone_by_the_hour(times, zone)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """How texts that are written alike are read; one element or row for each place, the last is the line feed's."""

    lowest: npt.NDArray[np.uint8]  # 0 where a digit stands, else the only character that may
    most_above: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float64]  # (places, numbers): what one in a place adds to each number


@lru_cache(maxsize=64)
def _layout(zeros: str, offset: str) -> _Layout:
    """Of a date and time of zeros, written as this layout does, and an offset."""
    places = f"{zeros}{offset}\n".encode()
    layout = _Layout(
        lowest=np.frombuffer(places, np.uint8),
        most_above=np.zeros(len(places), dtype=np.uint8),
        weights=np.zeros((len(places), 5)),
    )
    written = _ISO_8601(zeros)
    assert written is not None
    for group, counts_for in _COUNTS_FOR.items():
        for place in range(*written.span(group)):
            layout.most_above[place] = 9
            for number, unit in counts_for.items():
                layout.weights[place, number] = unit * 10 ** (written.end(group) - 1 - place)
    for place in range(*written.span(_FRACTION)):
        layout.most_above[place] = 9
        layout.weights[place, _OF_DAY_US] = 10**5 // 10 ** (place - written.start(_FRACTION))
    return layout


def _midnights_us(yyyymmdd: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """The moments in microseconds at which these days begin, or one for all; None where one is in no calendar."""
    is_one_day = (yyyymmdd == yyyymmdd[0]).all()
    days, day_of_row = (
        (yyyymmdd[:1], np.zeros(1, np.int64)) if is_one_day else np.unique(yyyymmdd, return_inverse=True)
    )
    try:
        ordinals = [date(day // 10_000, day // 100 % 100, day % 100).toordinal() for day in days.tolist()]
    except ValueError:
        return None
    return ((np.array(ordinals) - _EPOCH.toordinal()) * _DAY_US)[day_of_row]


def _in_zone_by_the_hour(local_us: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64] | None:
    """Local times in UTC; None where there are too many different hours, or the clocks change in one of them."""
    hours, hour_of_row = np.unique(local_us // _HOUR_US, return_inverse=True)
    if 4 * len(hours) > len(local_us):
        return None
    offsets = np.empty(len(hours), dtype=np.int64)
    for place, hour in enumerate(hours.tolist()):
        starts = datetime(1970, 1, 1) + timedelta(hours=hour)
        try:
            begin_us = timestamp_us(starts.isoformat(), zone=zone)
            end_us = timestamp_us(
                starts.replace(minute=59, second=59, microsecond=999_999).isoformat(), zone=zone
            )
        except RowProblem:
            return None
        if (
            isinstance(begin_us, Repeated)
            or isinstance(end_us, Repeated)
            or end_us - begin_us != _HOUR_US - 1
        ):
            return None
        offsets[place] = begin_us - hour * _HOUR_US
    return local_us + offsets[hour_of_row]
