"""From a request to the history that a model may see: this regime only, bucketed, without outliers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_US, SECOND_US, bucket_medians, choose_bucket_s, usual_lag_us
from predictions.forecasting.cleaning import outlier_mask
from predictions.forecasting.request import ForecastRequest, LimitTarget

LOOK_BACK_DAYS = 365
LEVEL_BUCKETS = 3
LARGEST_MAGNITUDE = 1e150  # what can be squared without overflow; no sensor measures it


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """`ts_us` (m,) bucket starts and `values` (m,) their medians, ascending, outliers already left out.

    `hides_newest` tells that the newest bucket was one of these. A median is that of the moment `lag_us` after the
    start of its bucket.

    `raw_ts_us` and `raw_values` (n,) are the readings themselves; `newest_us` and `newest_value` are of the last
    one, None and NaN without any. `since` says in words where the history begins.
    """

    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]
    raw_ts_us: NDArray[np.int64]
    raw_values: NDArray[np.float64]
    bucket_s: int
    lag_us: int
    n_masked: int
    hides_newest: bool
    since: str
    input_quality: dict[str, Any]

    @property
    def newest_us(self) -> int | None:
        return int(self.raw_ts_us[-1]) if len(self.raw_ts_us) else None

    @property
    def newest_value(self) -> float:
        return float(self.raw_values[-1]) if len(self.raw_values) else math.nan

    @property
    def span_days(self) -> float:
        """Days from the first bucket to the last."""
        return float(self.ts_us[-1] - self.ts_us[0]) / DAY_US if len(self.ts_us) else 0.0

    @property
    def level_ts_us(self) -> NDArray[np.int64]:
        """The moments of the last three buckets, whose median is the present level."""
        return self.ts_us[-LEVEL_BUCKETS:] + self.lag_us

    @property
    def level(self) -> float:
        """The present level: the median of the last three buckets."""
        return float(np.median(self.values[-LEVEL_BUCKETS:]))

    def has_passed(self, limit: LimitTarget) -> bool:
        """Whether the last readings are at or beyond a limit without a break, for its on-delay at least."""
        within = np.flatnonzero(~limit.are_crossed_by(self.raw_values))
        beyond_us = self.raw_ts_us[int(within[-1]) + 1 if len(within) else 0 :]
        return len(beyond_us) > 0 and bool(beyond_us[-1] - beyond_us[0] >= limit.on_delay_s * SECOND_US)


def read_history(request: ForecastRequest) -> History:
    """Select, sort, bucket and clean the readings of a request, counting what is left out."""
    ts_us, values, counts = _select(request)
    bucket_s = choose_bucket_s(ts_us=ts_us, expected_interval_s=request.expected_interval_s)
    starts, medians = bucket_medians(ts_us=ts_us, values=values, bucket_s=bucket_s)
    masked = outlier_mask(medians)
    return History(
        ts_us=starts[~masked],
        values=medians[~masked],
        raw_ts_us=ts_us,
        raw_values=values,
        bucket_s=bucket_s,
        lag_us=usual_lag_us(ts_us=ts_us, bucket_s=bucket_s) if len(ts_us) else 0,
        n_masked=int(masked.sum()),
        hides_newest=bool(masked[-1:].any()),
        since=f"in the last {LOOK_BACK_DAYS} days"
        if request.regime_started_us is None
        else "since the last repair",
        input_quality=counts | _completeness(starts, bucket_s, int(masked.sum()), request.now_us),
    )


def _select(request: ForecastRequest) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, Any]]:
    """The usable readings of this regime within the look-back, in order of time, with counts of the rest."""
    ts_us = np.asarray(request.ts_us, dtype=np.int64)
    values = np.asarray(request.values, dtype=np.float64)
    oldest_us = request.now_us - LOOK_BACK_DAYS * DAY_US
    usable = np.abs(values) <= LARGEST_MAGNITUDE  # false for NaN too
    early, late = ts_us < oldest_us, ts_us > request.now_us
    replaced = (
        np.zeros_like(early) if request.regime_started_us is None else ts_us < request.regime_started_us
    )
    keep = usable & ~early & ~late & ~replaced
    counts = {
        "readings": len(values),
        "used": int(keep.sum()),
        "not_a_number": int((~usable).sum()),
        "after_now": int(late.sum()),
        "before_look_back": int(early.sum()),
        "before_last_repair": int(replaced.sum()),
    }
    order = np.argsort(ts_us[keep], kind="stable")
    return ts_us[keep][order], values[keep][order], counts


def _completeness(starts: NDArray[np.int64], bucket_s: int, n_masked: int, now_us: int) -> dict[str, Any]:
    """How full the stretch of time is: the share of gaps, the longest one, the age of the newest bucket."""
    if not len(starts):
        return {"buckets": 0, "masked": 0, "gap_share": None, "longest_gap_s": None, "newest_age_s": None}
    bucket_us = bucket_s * SECOND_US
    possible = int(starts[-1] - starts[0]) // bucket_us + 1
    longest_step_us = int(np.diff(starts).max()) if len(starts) > 1 else bucket_us
    return {
        "buckets": len(starts),
        "masked": n_masked,
        "gap_share": round(1 - len(starts) / possible, 4),
        "longest_gap_s": (longest_step_us - bucket_us) // SECOND_US,
        "newest_age_s": (now_us - int(starts[-1])) // SECOND_US,
    }
