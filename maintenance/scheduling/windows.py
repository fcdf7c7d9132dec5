"""Windows of time: weekly shifts in local time made absolute, and what is left of them.

A window is a half-open pair ``(start_us, end_us)`` of microseconds since 1970-01-01 UTC.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

Window = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WeeklyShift:
    """A shift that comes back every week, in the wall-clock time of the technician's zone.

    `weekday` is that of its start, Monday is 0. A shift whose `end` is not after its `start` ends on the next
    day; equal times make 24 hours.
    """

    weekday: int
    start: time
    end: time

    def __post_init__(self) -> None:
        if not 0 <= self.weekday <= 6:
            raise ValueError(f"weekday must be 0 (Monday) to 6 (Sunday), not {self.weekday}")

    @property
    def passes_midnight(self) -> bool:
        return self.end <= self.start


def instant_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def local_datetime(us: int, zone: tzinfo) -> datetime:
    """The datetime in `zone` of an instant in microseconds."""
    return (_EPOCH + us * _MICROSECOND).astimezone(zone)


def shift_windows(shifts: Iterable[WeeklyShift], zone: tzinfo, from_us: int, to_us: int) -> list[Window]:
    """The merged windows of the weekly shifts between two instants, cut to them.

    People follow the wall clock, so a night shift is an hour shorter or longer when the clocks change. A
    wall-clock time that a change skips is read with the offset before the change, one that comes twice is its
    first occurrence; a shift left without length by that does not take place.
    """
    by_weekday: dict[int, list[WeeklyShift]] = {}
    for shift in shifts:
        by_weekday.setdefault(shift.weekday, []).append(shift)
    found = []
    for day in _days(from_us, to_us, zone):
        for shift in by_weekday.get(day.weekday(), ()):
            start_us, end_us = _absolute(shift, day, zone)
            start_us, end_us = max(start_us, from_us), min(end_us, to_us)
            if start_us < end_us:
                found.append((start_us, end_us))
    return merged_windows(found)


def free_windows(
    shifts: Iterable[Window], absences: Iterable[Window] = (), busy: Iterable[Window] = ()
) -> list[Window]:
    """The shifts minus absences (leave, training) minus what is booked: sorted windows that do not touch."""
    taken = merged_windows([*absences, *busy])
    free: list[Window] = []
    first = 0
    for start_us, end_us in merged_windows(shifts):
        while first < len(taken) and taken[first][1] <= start_us:
            first += 1
        free.extend(_left_over(start_us, end_us, taken[first:]))
    return free


def merged_windows(windows: Iterable[Window]) -> list[Window]:
    """The same time as sorted windows that neither overlap nor touch; empty windows vanish."""
    merged: list[Window] = []
    for start_us, end_us in sorted(window for window in windows if window[0] < window[1]):
        if merged and start_us <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_us))
        else:
            merged.append((start_us, end_us))
    return merged


def _left_over(start_us: int, end_us: int, taken: Sequence[Window]) -> Iterator[Window]:
    for taken_from_us, taken_to_us in taken:
        if taken_from_us >= end_us:
            break
        if start_us < taken_from_us:
            yield start_us, taken_from_us
        start_us = max(start_us, taken_to_us)
    if start_us < end_us:
        yield start_us, end_us


def _days(from_us: int, to_us: int, zone: tzinfo) -> Iterator[date]:
    """Local dates whose shifts can reach into the span: the eve too, because of night shifts."""
    day = local_datetime(from_us, zone).date() - _DAY
    last = local_datetime(to_us, zone).date()
    while day <= last:
        yield day
        day += _DAY


def _absolute(shift: WeeklyShift, day: date, zone: tzinfo) -> Window:
    end_day = day + _DAY if shift.passes_midnight else day
    return (
        instant_us(datetime.combine(day, shift.start, zone)),
        instant_us(datetime.combine(end_day, shift.end, zone)),
    )
