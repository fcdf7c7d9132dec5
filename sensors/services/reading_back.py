"""Reading back: a sensor's readings of a time, or their rollups where the readings are too many to look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from sensors import storage
from sensors.models import DailyRollup, FiveMinuteRollup, HourlyRollup, Reading
from sensors.models.readings import ReadingQuerySet, Rollup

# As many points as a plot shows and a person can make use of: a week of five minutes, and a few more.
MAX_POINTS = 2_020
# So many rows at a time: a year of readings then takes no more memory than a day of them.
BLOCK_ROWS = 20_000


class Resolution(StrEnum):
    """From the finest to the coarsest."""

    RAW = "raw"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def width(self) -> timedelta:
        """The length of a bucket; nothing of a reading, which is a moment."""
        return _WIDTHS[self]


_WIDTHS = {
    Resolution.RAW: timedelta(0),
    Resolution.FIVE_MINUTES: timedelta(minutes=5),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}
_ROLLUPS: dict[Resolution, type[Rollup]] = {
    Resolution.FIVE_MINUTES: FiveMinuteRollup,
    Resolution.HOUR: HourlyRollup,
    Resolution.DAY: DailyRollup,
}


@dataclass(frozen=True, eq=False)
class Buckets:
    """Rollups as arrays of one length, in order of time; `ts_us` (microseconds since 1970) is where a bucket starts."""

    ts_us: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]
    minima: npt.NDArray[np.float64]
    maxima: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts_us)


def choose_resolution(sensor_id: int, *, after: datetime | None, until: datetime) -> Resolution:
    """The finest with at most MAX_POINTS rows in (after, until]; days where even these are more."""
    for resolution in Resolution:
        if count_rows(sensor_id, resolution, after=after, until=until, most=MAX_POINTS + 1) <= MAX_POINTS:
            return resolution
    return Resolution.DAY


def count_rows(
    sensor_id: int,
    resolution: Resolution,
    *,
    after: datetime | None,
    until: datetime,
    most: int | None = None,
) -> int:
    """How many rows there are in (after, until]; it stops counting at `most`."""
    return _rows(sensor_id, resolution, after=after, until=until)[:most].count()


def read_buckets(
    sensor_id: int,
    resolution: Resolution,
    *,
    after: datetime | None,
    until: datetime,
    most: int | None = None,
) -> Buckets:
    """The rollups that start in (after, until], in order of time; the first `most` of them."""
    rows = _rows(sensor_id, resolution, after=after, until=until).order_by("started_at")
    columns = rows.values_list("started_at", "count", "mean", "minimum", "maximum")[:most]
    figures = np.array(
        # Buckets start on whole seconds.
        [(int(started_at.timestamp()) * 1_000_000, *others) for started_at, *others in columns],
        dtype=[("ts_us", "i8"), ("count", "i8"), ("mean", "f8"), ("minimum", "f8"), ("maximum", "f8")],
    )
    return Buckets(*(figures[name] for name in figures.dtype.names or ()))


def read_rows_in_blocks(
    sensor_id: int,
    resolution: Resolution,
    *,
    after: datetime | None,
    until: datetime,
    most: int | None = None,
) -> Iterator[storage.Rows | Buckets]:
    """The rows in (after, until] in blocks, none of them empty; the first `most` of them.

    Each block is a query of its own: a client that reads slowly holds no transaction open.
    """
    left = most
    while left is None or left > 0:
        wanted = BLOCK_ROWS if left is None else min(BLOCK_ROWS, left)
        block: storage.Rows | Buckets
        if resolution == Resolution.RAW:
            block = storage.read_readings(sensor_id, after=after, until=until, most=wanted)
        else:
            block = read_buckets(sensor_id, resolution, after=after, until=until, most=wanted)
        if len(block):
            yield block
        if len(block) < wanted:
            return
        after, left = storage.moment(block.ts_us[-1]), None if left is None else left - wanted


def _rows(
    sensor_id: int, resolution: Resolution, *, after: datetime | None, until: datetime
) -> ReadingQuerySet:
    table, at = (Reading, "ts") if resolution == Resolution.RAW else (_ROLLUPS[resolution], "started_at")
    rows = table.objects.filter(**{"sensor_id": sensor_id, f"{at}__lte": until})
    return rows if after is None else rows.filter(**{f"{at}__gt": after})
