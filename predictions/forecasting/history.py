"""From a request to the history that a model may see: this regime only, bucketed, without outliers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_US, SECOND_US, bucket_medians, choose_bucket_s
from predictions.forecasting.cleaning import outlier_mask
from predictions.forecasting.request import ForecastRequest

LOOK_BACK_DAYS = 365
LEVEL_BUCKETS = 3
LARGEST_MAGNITUDE = 1e150  # what can be squared without overflow; no sensor measures it


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """`ts_us` (m,) bucket starts and `values` (m,) their medians, ascending, outliers already left out.

    `newest_us` and `newest_value` are of the newest raw reading; without one they are None and NaN. `since`
    says in words where the history begins.
    """

    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]
    bucket_s: int
    n_masked: int
    newest_us: int | None
    newest_value: float
    since: str
    input_quality: dict[str, Any]

    @property
    def span_days(self) -> float:
        """Days from the first bucket to the last."""
        return float(self.ts_us[-1] - self.ts_us[0]) / DAY_US if len(self.ts_us) else 0.0

    @property
    def level(self) -> float:
        """The present level: the median of the last three buckets."""
        return float(np.median(self.values[-LEVEL_BUCKETS:]))


def read_history(request: ForecastRequest) -> History:
    """Select, sort, bucket and clean the readings of a request, counting what is left out."""
    ts_us, values, counts = _select(request)
    bucket_s = choose_bucket_s(ts_us=ts_us, expected_interval_s=request.expected_interval_s)
    starts, medians = bucket_medians(ts_us=ts_us, values=values, bucket_s=bucket_s)
    masked = outlier_mask(medians)
    return History(
        ts_us=starts[~masked],
        values=medians[~masked],
        bucket_s=bucket_s,
        n_masked=int(masked.sum()),
        newest_us=int(ts_us[-1]) if len(ts_us) else None,
        newest_value=float(values[-1]) if len(ts_us) else math.nan,
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
