"""Latent paths: possible futures of the level itself, trend plus season, without measurement noise.

Whether a machine fails is decided by its level, not by the noise of its sensor: the running maximum of noisy
paths crosses almost any limit in time, and pointwise probabilities forget that a crossing is not undone.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, DAY_US

PATHS_AT_ONCE = 25


class LatentModel(Protocol):
    """A fitted model: what `fleet` needs of it, whichever solver made it."""

    @property
    def name(self) -> str:
        """The kind of model."""

    @property
    def version(self) -> str:
        """Which code fitted it."""

    @property
    def noise_sd(self) -> float:
        """Standard deviation of readings around the level, in the unit of the series."""

    def sample(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Latent values (paths, n) at the ascending instants `ts_us` (n,), in the unit of the series."""

    def settings(self) -> dict[str, Any]:
        """What the model was told, in plain types."""

    def figures(self) -> dict[str, float]:
        """What was found, as numbers: slope_per_day, slope_per_day_now, seasonal_share, seasonal_swing."""


@dataclass(frozen=True, slots=True, eq=False)
class SeasonalCurve:
    """A cycle as a Fourier series since the epoch: `coefficients` (2 * order,) alternate sine and cosine."""

    name: str
    period_s: int
    coefficients: NDArray[np.float64]

    def at(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Value (n,) of the cycle at `ts_us` (n,)."""
        return fourier_terms(ts_us, self.period_s, len(self.coefficients) // 2) @ self.coefficients


def fourier_terms(ts_us: NDArray[np.int64], period_s: int, order: int) -> NDArray[np.float64]:
    """Columns (n, 2 * order) sin, cos, sin, cos, ... of 1, 2, ... turns a period, as Prophet builds them."""
    turns = np.outer(ts_us / DAY_US * (DAY_S / period_s), np.arange(1, order + 1))
    pairs = np.stack((np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)), axis=2)
    return pairs.reshape(len(ts_us), 2 * order)


@dataclass(frozen=True, slots=True, eq=False)
class TrendSeason:
    """Prophet's model with its fitted parameters in natural units, whoever fitted them.

    A piecewise linear trend starts at `origin_us` with `start_level` and `start_slope` (per day) and changes
    its slope by `slope_changes` (s,) at `change_days` (s,) days after the origin; `seasons` are added to it.
    The history ends `fitted_days` after the origin; from there the slope goes on changing `changes_per_day`
    times a day on average.
    """

    name: str
    version: str
    origin_us: int
    fitted_days: float
    start_level: float
    start_slope: float
    change_days: NDArray[np.float64]
    slope_changes: NDArray[np.float64]
    changes_per_day: float
    seasons: tuple[SeasonalCurve, ...]
    noise_sd: float
    fit_settings: dict[str, Any]

    def trend(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Most likely trend (n,) at `ts_us` (n,)."""
        days = (ts_us - self.origin_us) / DAY_US
        bends = np.maximum(days[:, None] - self.change_days, 0.0) @ self.slope_changes
        return self.start_level + self.start_slope * days + bends

    def season(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum (n,) of the cycles at `ts_us` (n,)."""
        return sum((curve.at(ts_us) for curve in self.seasons), np.zeros(len(ts_us)))

    def sample(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Latent values (paths, n): the most likely course plus slope changes to come."""
        days_after_fit = (ts_us - self.origin_us) / DAY_US - self.fitted_days
        bends = sample_bends(
            days=np.maximum(days_after_fit, 0.0),
            changes_per_day=self.changes_per_day,
            change_scale=float(np.abs(self.slope_changes).mean()) if len(self.slope_changes) else 0.0,
            paths=paths,
            rng=rng,
        )
        bends += self.trend(ts_us) + self.season(ts_us)
        return bends

    def settings(self) -> dict[str, Any]:
        """What the fit was told."""
        return self.fit_settings

    def figures(self) -> dict[str, float]:
        """Mean and present slope per day, and the share of the movement that is seasonal."""
        days = np.linspace(0.0, self.fitted_days, num=1_000)
        ts_us = self.origin_us + (days * DAY_US).astype(np.int64)
        trend, season = self.trend(ts_us), self.season(ts_us)
        movement = trend.var() + season.var() + self.noise_sd**2
        return {
            "slope_per_day": float(trend[-1] - trend[0]) / self.fitted_days,
            "slope_per_day_now": self.start_slope + float(self.slope_changes.sum()),
            "seasonal_share": float(season.var() / movement) if movement > 0 else 0.0,
            "seasonal_swing": float(np.ptp(season)),
        }


def sample_bends(
    *,
    days: NDArray[np.float64],
    changes_per_day: float,
    change_scale: float,
    paths: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """What slope changes yet to come add to a trend, (paths, n) at `days` (n,) ascending after the fit.

    Prophet's generative model (Taylor and Letham 2018, section 3.1.4): changes come as a Poisson process at
    the rate of the history, their sizes (per day) are Laplace with the mean absolute size of the history.
    Each path is slope * t - offset between changes, so two running sums build all of them.
    """
    counts = rng.poisson(changes_per_day * days[-1], size=paths)
    owners = np.repeat(np.arange(paths), counts)
    when = rng.uniform(0.0, days[-1], size=len(owners))
    sizes = rng.laplace(0.0, change_scale, size=len(owners))
    ends = np.concatenate(([0], np.cumsum(counts)))
    cells = owners * len(days) + np.searchsorted(days, when)
    bends = np.empty((paths, len(days)))
    # A few paths at a time stay in the processor's cache, which makes this twice as fast.
    for first in range(0, paths, PATHS_AT_ONCE):
        part = bends[first : first + PATHS_AT_ONCE]
        own = slice(ends[first], ends[first + len(part)])
        places = cells[own] - first * len(days)
        slopes = np.bincount(places, weights=sizes[own], minlength=part.size).reshape(part.shape)
        offsets = np.bincount(places, weights=sizes[own] * when[own], minlength=part.size).reshape(part.shape)
        np.cumsum(slopes, axis=1, out=slopes)
        np.cumsum(offsets, axis=1, out=offsets)
        np.multiply(slopes, days, out=part)
        part -= offsets
    return bends


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """A level that drifts evenly: by an uncertain amount when borrowed, by nothing when it is constant.

    Each path starts at `level` with standard error `level_sd` and keeps one drift drawn from the normal
    distribution of `drift_per_day` and `drift_per_day_sd`.
    """

    name: str
    version: str
    started_us: int
    level: float
    level_sd: float
    drift_per_day: float
    drift_per_day_sd: float
    noise_sd: float
    source: str

    def sample(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Latent values (paths, n): one straight line a path."""
        starts = rng.normal(self.level, self.level_sd, size=paths)
        drifts = rng.normal(self.drift_per_day, self.drift_per_day_sd, size=paths)
        return starts[:, None] + drifts[:, None] * ((ts_us - self.started_us) / DAY_US)

    def settings(self) -> dict[str, Any]:
        """Where the behaviour comes from and what it is."""
        return {
            "source": self.source,
            "drift_per_day": self.drift_per_day,
            "drift_per_day_sd": self.drift_per_day_sd,
            "level_sd": self.level_sd,
        }

    def figures(self) -> dict[str, float]:
        """The drift as the slope; a line has no season."""
        return {
            "slope_per_day": self.drift_per_day,
            "slope_per_day_now": self.drift_per_day,
            "seasonal_share": 0.0,
            "seasonal_swing": 0.0,
        }
