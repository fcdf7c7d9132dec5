"""Latent paths: possible futures of the level itself, trend plus season, without measurement noise.

Whether a machine fails is decided by its level, not by the noise of its sensor: the running maximum of noisy
paths crosses almost any limit in time, and pointwise probabilities forget that a crossing is not undone.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.bands import deviations
from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S, SECOND_US

CELLS = 1_024


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

    def course(self, *, start_us: int, step_us: int, count: int) -> NDArray[np.float64]:
        """The most likely level (count,), in the unit of the series, every `step_us` from `start_us` on.

        That is not before the last fifth of the history, in which slopes do not change.
        """

    def deviate(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """How far possible futures (paths, n) are from the course at the ascending instants `ts_us` (n,)."""

    def reach(self, *, ts_us: NDArray[np.int64], shares: tuple[float, ...]) -> NDArray[np.float64]:
        """How far the quantiles `shares` (k,) of a reading lie from the course, (k, n) at `ts_us` (n,)."""

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

    def by_steps(self, *, start_us: int, step_us: int, count: int) -> NDArray[np.float64]:
        """Value (count,) every `step_us` from `start_us` on; a cycle of whole steps is computed once."""
        period_us = self.period_s * SECOND_US
        different = min(count, period_us // step_us) if period_us % step_us == 0 else count
        cycle = self.at(start_us + np.arange(different, dtype=np.int64) * step_us)
        return np.resize(cycle, count)


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

    def season(self, *, start_us: int, step_us: int, count: int) -> NDArray[np.float64]:
        """Sum (count,) of the cycles every `step_us` from `start_us` on."""
        return sum(
            (curve.by_steps(start_us=start_us, step_us=step_us, count=count) for curve in self.seasons),
            np.zeros(count),
        )

    @property
    def change_scale(self) -> float:
        """Mean absolute size of the slope changes, per day."""
        return float(np.abs(self.slope_changes).mean()) if len(self.slope_changes) else 0.0

    def course(self, *, start_us: int, step_us: int, count: int) -> NDArray[np.float64]:
        """Trend and season (count,); after the history the trend is a straight line."""
        first, last = self.trend(np.array([start_us, start_us + (count - 1) * step_us]))
        return np.linspace(first, last, count) + self.season(start_us=start_us, step_us=step_us, count=count)

    def deviate(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """What slope changes to come add to the course, (paths, n)."""
        return sample_bends(
            days=self._days_after_fit(ts_us),
            changes_per_day=self.changes_per_day,
            change_scale=self.change_scale,
            paths=paths,
            rng=rng,
        )

    def reach(self, *, ts_us: NDArray[np.int64], shares: tuple[float, ...]) -> NDArray[np.float64]:
        """Quantiles (k, n) of slope changes to come and noise, as Prophet would draw them."""
        return deviations(
            time=self._days_after_fit(ts_us)[None],
            rate=np.array([self.changes_per_day]),
            size=np.array([self.change_scale]),
            noise=np.array([self.noise_sd]),
            shares=shares,
        )[:, 0]

    def _days_after_fit(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.maximum((ts_us - self.origin_us) / DAY_US - self.fitted_days, 0.0)

    def settings(self) -> dict[str, Any]:
        """What the fit was told."""
        return self.fit_settings

    def figures(self) -> dict[str, float]:
        """Mean and present slope per day, and the share of the movement that is seasonal."""
        step_us = HOUR_S * SECOND_US
        count = int(self.fitted_days * DAY_S) // HOUR_S + 1
        knots = np.concatenate(([0.0], self.change_days, [self.fitted_days]))
        at_knots = self.trend(self.origin_us + (knots * DAY_US).astype(np.int64))
        trend = np.interp(np.arange(count) * (HOUR_S / DAY_S), knots, at_knots)
        season = self.season(start_us=self.origin_us, step_us=step_us, count=count)
        movement = trend.var() + season.var() + self.noise_sd**2
        return {
            "slope_per_day": float(at_knots[-1] - at_knots[0]) / self.fitted_days,
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
    A single uniform number tells of a change its time and its sign.
    """
    shape, horizon = (paths, len(days)), days[-1]
    counts = rng.poisson(changes_per_day * horizon, size=paths)
    when = rng.uniform(-horizon, horizon, size=int(counts.sum()))
    sizes = np.copysign(rng.standard_exponential(len(when)) * change_scale, when)
    np.abs(when, out=when)
    felt_at = _first_not_before(when, days)
    cells = np.repeat(np.arange(paths) * len(days), counts) + felt_at
    slopes = _sums(cells, sizes, shape)
    bends = _sums(cells, sizes * (days.take(felt_at) - when), shape)
    np.cumsum(slopes, axis=1, out=slopes)
    bends[:, 1:] += slopes[:, :-1] * np.diff(days)
    return np.cumsum(bends, axis=1, out=bends)


def _sums(
    cells: NDArray[np.intp], weights: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Sum of the weights in each cell, counted row by row."""
    sums = np.bincount(cells, weights=weights, minlength=shape[0] * shape[1])
    return sums.astype(np.float64, copy=False).reshape(shape)


def _first_not_before(when: NDArray[np.float64], days: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the first of the ascending `days` (n,) at or after each instant, none of which is after the last.

    A table of short cells of time comes close, which is several times as fast as a binary search.
    """
    width = days[-1] / CELLS
    table = np.searchsorted(days, np.arange(CELLS + 1) * width)
    found = table.take((when * (1 / width)).astype(np.intp), mode="clip")
    while (is_before := days.take(found) < when).any():
        found += is_before
    return found


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

    def course(self, *, start_us: int, step_us: int, count: int) -> NDArray[np.float64]:
        """The line (count,) of the typical drift."""
        days = (start_us - self.started_us + np.arange(count, dtype=np.int64) * step_us) / DAY_US
        return self.level + self.drift_per_day * days

    def deviate(
        self, *, ts_us: NDArray[np.int64], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Differences (paths, n) of lines with a level and a drift of their own."""
        starts = rng.normal(0.0, self.level_sd, size=paths)
        drifts = rng.normal(0.0, self.drift_per_day_sd, size=paths)
        return starts[:, None] + drifts[:, None] * ((ts_us - self.started_us) / DAY_US)

    def reach(self, *, ts_us: NDArray[np.int64], shares: tuple[float, ...]) -> NDArray[np.float64]:
        """Quantiles (k, n) of a normal distribution: level, drift and noise are."""
        drifted = self.drift_per_day_sd * ((ts_us - self.started_us) / DAY_US)
        spread = np.sqrt(self.level_sd**2 + drifted**2 + self.noise_sd**2)
        return np.outer([NormalDist().inv_cdf(share) for share in shares], spread)

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
