"""What a fleet's sensors measured, read from the database many at a time and within bounds of memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from sensors import storage
from sensors.models import Quality

# Recent readings count one by one, older ones by the hour: a year of a sensor is then read in no time.
RAW = timedelta(days=2)
# Of a sensor that reports each second two days are 170,000: some hundred of them would fill the memory.
READINGS_AT_ONCE = 2_000_000

HOUR = timedelta(hours=1)


@dataclass(frozen=True, eq=False)
class Measured:
    """Usable values (n,) of one sensor, in its unit, at epoch microseconds `ts_us` (n,), in order of time."""

    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """What to read of a sensor: hours after `since`, and each reading from `raw_from` on, which is not before."""

    since: datetime
    raw_from: datetime


def in_portions(since: Mapping[int, datetime], *, until: datetime) -> Iterator[dict[int, Reach]]:
    """Divide sensors (id, and from when on) into parts whose recent readings are few enough to be read at once.

    Of a sensor that has too many by itself only the newest count one by one.
    """
    if not since:
        return
    raw_from = {sensor_id: max(begin, _raw_from(until)) for sensor_id, begin in since.items()}
    counted = storage.count_newest(_spans(since, raw_from, until), most=READINGS_AT_ONCE)
    portion: dict[int, Reach] = {}
    readings = 0
    for sensor_id, begin in since.items():
        count, newest_from = counted[sensor_id]
        if portion and readings + count > READINGS_AT_ONCE:
            yield portion
            portion, readings = {}, 0
        has_all = count < READINGS_AT_ONCE or newest_from is None
        portion[sensor_id] = Reach(begin, raw_from[sensor_id] if has_all else newest_from)
        readings += count
    yield portion


def read_histories(portion: Mapping[int, Reach], *, until: datetime) -> dict[int, Measured]:
    """Readings of sensors, each in its own (since, until]: hourly means, then each reading of the last two days."""
    since = {sensor_id: reach.since for sensor_id, reach in portion.items()}
    raw_from = {sensor_id: reach.raw_from for sensor_id, reach in portion.items()}
    hours = storage.read_hours(
        [(sensor_id, _next_hour(begin), raw_from[sensor_id]) for sensor_id, begin in since.items()]
    )
    recent = storage.read_many(_spans(since, raw_from, until), most=None)
    return {
        sensor_id: _join(
            hours.get(sensor_id, storage.NO_ROWS), _usable(recent.get(sensor_id, storage.NO_ROWS))
        )
        for sensor_id in since
    }


def _spans(
    since: Mapping[int, datetime], raw_from: Mapping[int, datetime], until: datetime
) -> list[tuple[int, datetime | None, datetime]]:
    """Those of single readings. What begins leaves its own moment out, and so does the last rollup: a reading on the
    hour belongs here.
    """
    return [
        (sensor_id, max(raw_from[sensor_id] - timedelta(microseconds=1), begin), until)
        for sensor_id, begin in since.items()
    ]


def _raw_from(until: datetime) -> datetime:
    return (until - RAW).replace(minute=0, second=0, microsecond=0)


def _next_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR


def _usable(rows: storage.Rows) -> storage.Rows:
    return rows[(rows.quality != Quality.BAD) & ~np.isnan(rows.values)]


def _join(hours: storage.Rows, readings: storage.Rows) -> Measured:
    return Measured(
        np.concatenate([hours.ts_us, readings.ts_us]), np.concatenate([hours.values, readings.values])
    )
