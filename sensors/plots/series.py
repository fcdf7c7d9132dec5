"""What a plot draws of a sensor: single readings, or means with their range where readings are too many."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from sensors import storage
from sensors.models import Quality, Sensor
from sensors.services.reading_back import MAX_POINTS, Resolution, choose_resolution, read_buckets

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
    """A sensor's usable readings in (begin, end], or the finest means of them that are not too many."""
    resolution = choose_resolution(sensor.pk, after=begin, until=end)
    interval_us = int(sensor.expected_interval_s * 1_000_000)
    if resolution == Resolution.RAW:
        rows = storage.read_readings(sensor.pk, after=begin, until=end, most=MAX_POINTS)
        usable = rows.quality != Quality.BAD
        return Series(rows.ts_us[usable], rows.values[usable], None, None, step_us=interval_us)
    means = read_buckets(sensor.pk, resolution, after=begin, until=end, most=MAX_POINTS)
    width_us = resolution.width // timedelta(microseconds=1)
    return Series(means.ts_us, means.means, means.minima, means.maxima, step_us=max(width_us, interval_us))
