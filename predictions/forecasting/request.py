"""What a caller asks: one series, the limits on it, and what is known about its regime."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.champions import UNTESTED, Champion
from predictions.forecasting.normal import MAD_TO_SD
from predictions.forecasting.recalibration import UNFITTED, Recalibration

Direction = Literal["high", "low"]

SERIES_TO_BORROW_FROM = 3  # with fewer, the spread of drifts between machines is a guess


@dataclass(frozen=True, slots=True)
class LimitTarget:
    """A limit in the unit of the series; `high` is crossed from below, `low` from above.

    Readings have passed it once they were at or beyond it for `on_delay_s` seconds (as in ISA-18.2).
    """

    key: str
    value: float
    direction: Direction
    on_delay_s: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"Limit {self.key} is not a finite number: {self.value}.")
        if self.direction not in ("high", "low"):
            raise ValueError(
                f"Limit {self.key} has the direction {self.direction!r}; high and low are known."
            )
        if not (math.isfinite(self.on_delay_s) and self.on_delay_s >= 0):
            raise ValueError(f"Limit {self.key} has an on-delay without meaning: {self.on_delay_s}.")

    def are_crossed_by(self, levels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each level is at or beyond the limit, in the shape of `levels`."""
        return levels >= self.value if self.direction == "high" else levels <= self.value

    def room(self, level: float) -> float:
        """How far a level may still move towards the limit; negative when it is beyond."""
        return self.value - level if self.direction == "high" else level - self.value


@dataclass(frozen=True, slots=True)
class BorrowedBehaviour:
    """How the same kind of equipment drifts, for a series too young to show it; in the unit of the series.

    `drift_per_day_sd` is the spread of the drift between machines, `noise_sd` that of readings around the
    level.
    """

    drift_per_day: float
    drift_per_day_sd: float
    noise_sd: float
    source: str

    def __post_init__(self) -> None:
        if not all(
            math.isfinite(number) for number in (self.drift_per_day, self.drift_per_day_sd, self.noise_sd)
        ):
            raise ValueError(f"Behaviour borrowed from {self.source} is not finite.")
        if self.drift_per_day_sd < 0 or self.noise_sd < 0:
            raise ValueError(f"Behaviour borrowed from {self.source} has a negative spread.")


def borrow_behaviour(
    *, drifts_per_day: Sequence[float], noise_sds: Sequence[float], source: str
) -> BorrowedBehaviour | None:
    """Typical drift and noise of comparable series, by medians; None when there are fewer than three.

    Both sequences have one entry per series: `explanation["slope_per_day"]` and `explanation["noise_sd"]` of
    its latest forecast. They must be of the same quantity, unit and kind of equipment as the borrower.
    """
    if len(drifts_per_day) != len(noise_sds):
        raise ValueError(
            f"{len(drifts_per_day)} drifts and {len(noise_sds)} noise levels: one of each per series."
        )
    if len(drifts_per_day) < SERIES_TO_BORROW_FROM:
        return None
    drift = float(np.median(drifts_per_day))
    spread = MAD_TO_SD * float(np.median(np.abs(np.asarray(drifts_per_day) - drift)))
    return BorrowedBehaviour(
        drift_per_day=drift, drift_per_day_sd=spread, noise_sd=float(np.median(noise_sds)), source=source
    )


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRequest:
    """One series and all limits on it; the limits share one fit.

    `ts_us` (int64, microseconds since the epoch, UTC) and `values` (float64) have the same length and may be
    raw or bucketed, in any order, with NaN for a missing value; only readings of good quality belong here.
    Readings after `now_us`, before `regime_started_us` (the last repair) or older than the look-back are left
    out and counted. `expected_interval_s` is how often the sensor should report; None lets the readings tell.
    `seed`, not negative, fixes the sampled futures: the same request gives the same forecast.
    `champion` won the series' last contest; `with_prophet` lets Prophet's model compete in this one.
    `anomaly_since_us` is when an anomaly began that goes on; None without one. `unit` (UCUM) is for words alone.
    `recalibration` is what resolved predictions of the same organisation taught about probabilities.
    """

    key: str
    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]
    limits: Sequence[LimitTarget]
    now_us: int
    seed: int
    regime_started_us: int | None = None
    expected_interval_s: float | None = None
    borrowed: BorrowedBehaviour | None = None
    champion: Champion = UNTESTED
    with_prophet: bool = False
    anomaly_since_us: int | None = None
    unit: str = ""
    recalibration: Recalibration = UNFITTED

    def __post_init__(self) -> None:
        if len(self.ts_us) != len(self.values):
            raise ValueError(f"Series {self.key} has {len(self.ts_us)} times and {len(self.values)} values.")
        if not self.limits:
            raise ValueError(f"Series {self.key} has no limit to forecast against.")

    def learned(self) -> dict[str, Any]:
        """What earlier forecasts taught this one, in plain types: with the readings all that a replay needs."""
        learned = self.recalibration
        return {
            "incumbent": self.champion.name,
            "incumbent_held_at_us": self.champion.held_at_us,
            "with_prophet": self.with_prophet,
            "anomaly_since_us": self.anomaly_since_us,
            "recalibration": [learned.intercept, learned.slope, learned.by_horizon]
            if learned.is_fitted
            else None,
        }
