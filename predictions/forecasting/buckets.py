"""Raw readings to regular buckets: the median of each, on a grid aligned to the epoch."""

import math

import numpy as np
from numpy.typing import NDArray

SECOND_US = 1_000_000
HOUR_S = 3_600
DAY_S = 86_400
DAY_US = DAY_S * SECOND_US

BUCKETS_S = tuple(
    hours * HOUR_S for hours in (1, 2, 3, 6, 12, 24)
)  # all divide a day, so that its cycle stays aligned
BUCKETS_FOR_LAG = 24


def choose_bucket_s(*, ts_us: NDArray[np.int64], expected_interval_s: float | None = None) -> int:
    """The finest bucket, in seconds, that readings fill, however long the history is.

    `ts_us` (n,) ascending. One hour at least: the horizon is of days. A sensor that reports less than daily
    gets buckets of whole days.
    """
    interval_s = expected_interval_s or (
        float(np.median(np.diff(ts_us))) / SECOND_US if len(ts_us) > 1 else 0.0
    )
    for bucket_s in BUCKETS_S:
        if interval_s <= bucket_s:
            return bucket_s
    return math.ceil(interval_s / DAY_S) * DAY_S


def usual_lag_us(*, ts_us: NDArray[np.int64], bucket_s: int) -> int:
    """How long after the start of its bucket the middle of its readings lies: half a bucket where they fill it.

    The median of the newest buckets of `ts_us` (n,), ascending and not empty: of older hours only the mean is
    known, which stands at the start.
    """
    bucket_us = bucket_s * SECOND_US
    starts = ts_us // bucket_us
    newest = np.searchsorted(starts, starts[-1] - BUCKETS_FOR_LAG, side="right")
    starts, into = starts[newest:], (ts_us - starts * bucket_us)[newest:]
    _, place, counts = np.unique(starts, return_inverse=True, return_counts=True)
    return int(np.median(np.bincount(place, weights=into) / counts))


def bucket_medians(
    *, ts_us: NDArray[np.int64], values: NDArray[np.float64], bucket_s: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Start (m,) in microseconds and median (m,) of each bucket with a reading; input (n,) in any order."""
    bucket_us = bucket_s * SECOND_US
    starts = ts_us // bucket_us * bucket_us
    order = np.lexsort((values, starts))
    starts, ordered = starts[order], values[order]
    unique_starts, first, counts = np.unique(starts, return_index=True, return_counts=True)
    lower, upper = ordered[first + (counts - 1) // 2], ordered[first + counts // 2]
    return unique_starts, lower + (upper - lower) / 2
