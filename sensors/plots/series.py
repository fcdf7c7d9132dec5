"""What a plot draws of a sensor: single readings, or means with their range where readings are too many."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from sensors import storage
from sensors.models import HourlyRollup, Quality, Reading, Sensor

MAX_POINTS = 2_000
HOUR_US = 3_600_000_000
# A line is not drawn across a silence of more than so many intervals.
SILENT_INTERVALS = 4


@dataclass(frozen=True, eq=False)
class Series:
    """At most MAX_POINTS points in order of time: epoch microseconds (int64) and values in the sensor's unit.

    `low` and `high` are the range of the readings behind each mean, None for single readings. `step_us` is the
    usual distance of two points.
    """

    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64] | None
    high: npt.NDArray[np.float64] | None
    step_us: int

    def __len__(self) -> int:
        return len(self.ts_us)

    @property
    def is_of_means(self) -> bool:
        return self.low is not None

    def extremes(self) -> list[float]:
        """Lowest and highest value; nothing for an empty series."""
        if not len(self):
            return []
        low, high = (self.low, self.high) if self.is_of_means else (self.values, self.values)
        return [float(low.min()), float(high.max())]

    def gaps(self) -> npt.NDArray[np.int64]:
        """Positions of the points that come after a silence."""
        return np.flatnonzero(np.diff(self.ts_us) > SILENT_INTERVALS * self.step_us) + 1


def read_series(sensor: Sensor, *, begin: datetime, end: datetime) -> Series:
    """A sensor's usable readings in (begin, end], thinned by the hour or more where they are too many."""
    readings = (
        Reading.objects.filter(sensor=sensor, ts__gt=begin, ts__lte=end)
        .exclude(quality=Quality.BAD)
        .order_by("ts")
        .values_list("ts", "value")
    )
    rows = list(readings[: MAX_POINTS + 1])
    if len(rows) > MAX_POINTS:
        return _read_means(sensor, begin, end)
    return Series(
        ts_us=np.array([storage.microseconds(ts) for ts, _ in rows], dtype=np.int64),
        values=np.array([value for _, value in rows], dtype=np.float64),
        low=None,
        high=None,
        step_us=int(sensor.expected_interval_s * 1_000_000),
    )


def _read_means(sensor: Sensor, begin: datetime, end: datetime) -> Series:
    hours = HourlyRollup.objects.filter(sensor=sensor, hour__gt=begin, hour__lte=end).order_by("hour")
    figures = np.array(
        [
            (storage.microseconds(hour), *rest)
            for hour, *rest in hours.values_list("hour", "count", "mean", "minimum", "maximum")
        ],
        dtype=[("ts_us", "i8"), ("count", "i8"), ("mean", "f8"), ("minimum", "f8"), ("maximum", "f8")],
    )
    return merge_hours(
        figures["ts_us"], figures["count"], figures["mean"], figures["minimum"], figures["maximum"]
    )


def merge_hours(
    ts_us: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    means: npt.NDArray[np.float64],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> Series:
    """Join hours, arrays of one length, to as many at a time as MAX_POINTS needs; a mean weighs by its count."""
    if not len(ts_us):
        return Series(ts_us, means, low, high, step_us=HOUR_US)
    span_hours = int((ts_us[-1] - ts_us[0]) // HOUR_US) + 1
    step_us = -(-span_hours // MAX_POINTS) * HOUR_US
    bucket = (ts_us - ts_us[0]) // step_us
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    return Series(
        ts_us=ts_us[0] + bucket[starts] * step_us,
        values=np.add.reduceat(means * counts, starts) / np.add.reduceat(counts, starts),
        low=np.minimum.reduceat(low, starts),
        high=np.maximum.reduceat(high, starts),
        step_us=step_us,
    )
