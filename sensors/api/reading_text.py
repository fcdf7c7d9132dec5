"""Readings and rollups as text, block by block, so that a stream of any length takes little memory."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from sensors import storage
from sensors.models import Quality, Sensor
from sensors.services.reading_back import Buckets, Resolution, count_rows, read_rows_in_blocks

_QUALITIES = [quality.label.lower() for quality in sorted(Quality)]
_SECOND_US = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: a sensor's rows in (after, until], the first `limit` of them."""

    sensor: Sensor
    resolution: Resolution
    after: datetime | None
    until: datetime
    limit: int | None

    def blocks(self, *, most: int | None) -> Iterator[storage.Rows | Buckets]:
        return read_rows_in_blocks(
            self.sensor.pk, self.resolution, after=self.after, until=self.until, most=most
        )

    def count(self) -> int:
        """How many rows there are now."""
        return count_rows(
            self.sensor.pk, self.resolution, after=self.after, until=self.until, most=self.limit
        )


def json_text(wanted: Wanted) -> Iterator[str]:
    """One JSON object; its last members come after all rows, so that one that breaks off cannot be taken for whole."""
    about = {"sensor": wanted.sensor.key, "unit": wanted.sensor.unit, "resolution": wanted.resolution}
    opening, count, next_at = json.dumps(about)[:-1] + ', "results": [', 0, None
    # One row more than asked for tells whether there is more.
    for block in wanted.blocks(most=None if wanted.limit is None else wanted.limit + 1):
        rows, times = _json_rows(block), _times(block.ts_us)
        left = len(times) if wanted.limit is None else wanted.limit - count
        if len(times) > left:
            rows, next_at = rows[:left], times[left]
        if rows:
            yield opening + ("\n" if not count else ",\n") + ",\n".join(rows)
            opening, count = "", count + len(rows)
    yield opening + "\n], " + json.dumps({"count": count, "next": next_at})[1:] + "\n"


def csv_text(wanted: Wanted) -> Iterator[str]:
    """Lines with a header."""
    is_raw = wanted.resolution == Resolution.RAW
    opening = "ts,value,quality\n" if is_raw else "ts,count,mean,min,max\n"
    for block in wanted.blocks(most=wanted.limit):
        yield opening + "".join(_csv_lines(block))
        opening = ""
    yield opening


def _json_rows(block: storage.Rows | Buckets) -> list[str]:
    times = _times(block.ts_us)
    if isinstance(block, Buckets):
        return [
            f'{{"ts":"{at}","count":{count},"mean":{mean!r},"min":{low!r},"max":{high!r}}}'
            for at, count, mean, low, high in zip(times, *_columns(block), strict=True)
        ]
    return [
        f'{{"ts":"{at}","value":{value},"quality":"{quality}"}}'
        for at, value, quality in zip(
            times, _numbers(block.values, nothing="null"), _qualities(block), strict=True
        )
    ]


def _csv_lines(block: storage.Rows | Buckets) -> Iterable[str]:
    times = _times(block.ts_us)
    if isinstance(block, Buckets):
        rows = zip(times, *_columns(block), strict=True)
        return (f"{at},{count},{mean!r},{low!r},{high!r}\n" for at, count, mean, low, high in rows)
    values = _numbers(block.values, nothing="")
    return (
        f"{at},{value},{quality}\n"
        for at, value, quality in zip(times, values, _qualities(block), strict=True)
    )


def _columns(buckets: Buckets) -> list[list[float]]:
    return [column.tolist() for column in (buckets.counts, buckets.means, buckets.minima, buckets.maxima)]


def _times(ts_us: npt.NDArray[np.int64]) -> list[str]:
    """ISO 8601 in UTC, with a fraction of the second only where one of the moments has one."""
    unit: Literal["us", "s"] = "us" if (ts_us % _SECOND_US).any() else "s"
    moments: npt.NDArray[np.datetime64] = ts_us.astype("datetime64[us]")
    written = np.datetime_as_string(moments, unit=unit)
    return np.char.add(written, "Z").tolist()


def _numbers(values: npt.NDArray[np.float64], *, nothing: str) -> list[str]:
    """Neither JSON nor spreadsheets know NaN and infinity: a bad reading without a value is `nothing`."""
    written = list(map(repr, values.tolist()))
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        written[row] = nothing
    return written


def _qualities(rows: storage.Rows) -> list[str]:
    return [_QUALITIES[quality] for quality in rows.quality.tolist()]
