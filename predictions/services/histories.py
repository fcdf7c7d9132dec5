"""What a fleet's sensors measured, read from the database many at a time and within bounds of memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db.models import Sum
from numpy.typing import NDArray

from sensors import storage
from sensors.models import HourlyRollup, Quality

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


def in_portions(since: Mapping[int, datetime], *, until: datetime) -> Iterator[dict[int, datetime]]:
    """Divide sensors (id, and from when on) into parts whose recent readings are few enough to be read at once."""
    recent = HourlyRollup.objects.filter(sensor__in=since, started_at__gte=_raw_from(until))
    counts = dict(recent.order_by().values_list("sensor").annotate(Sum("count")))
    portion: dict[int, datetime] = {}
    readings = 0
    for sensor_id, begin in since.items():
        count = counts.get(sensor_id, 0)
        if portion and readings + count > READINGS_AT_ONCE:
            yield portion
            portion, readings = {}, 0
        portion[sensor_id] = begin
        readings += count
    if portion:
        yield portion


def read_histories(since: Mapping[int, datetime], *, until: datetime) -> dict[int, Measured]:
    """Readings of sensors, each in its own (since, until]: hourly means, then each reading of the last two days."""
    raw_from = {sensor_id: max(begin, _raw_from(until)) for sensor_id, begin in since.items()}
    hours = storage.read_hours(
        [(sensor_id, _next_hour(begin), raw_from[sensor_id]) for sensor_id, begin in since.items()]
    )
    # `after` leaves its own moment out, and so does the last rollup: a reading on the hour belongs to this part.
    spans = [
        (sensor_id, max(raw_from[sensor_id] - timedelta(microseconds=1), begin), until)
        for sensor_id, begin in since.items()
    ]
    recent = storage.read_many(spans, most=None)
    return {
        sensor_id: _join(
            hours.get(sensor_id, storage.NO_ROWS), _usable(recent.get(sensor_id, storage.NO_ROWS))
        )
        for sensor_id in since
    }


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
