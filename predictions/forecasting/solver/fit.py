"""From a grid of values to Prophet's model of every series on it."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, SECOND_US
from predictions.forecasting.guards import Season
from predictions.forecasting.latent import SeasonalCurve, TrendSeason
from predictions.forecasting.solver.design import (
    PROPHETS,
    Changepoints,
    NormalEquations,
    Window,
    season_waves,
)
from predictions.forecasting.solver.solve import SEASON_PRECISION, Solution, solve

FLEET_VERSION = "fleet.1"
NOISE_OF_A_CONSTANT = 1e-9  # as Prophet, which does not fit one either

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FleetFit:
    """Prophet's parameters of s series, in the scale of their values, over Prophet's time.

    That time is 0 at the bucket `first` (s,) and 1 at the bucket `last` (s,) of the grid, where a series begins
    and ends. The trend starts at `m` (s,) with slope `k` (s,), which changes by `delta` (s, c) at `change_times`
    (s, c); a series with fewer changes has `changes` (s,) < c of them, the others are zero. `beta` (s, w) are
    pairs of sine and cosine of the seasons, with phase 0 at the start of the grid, and `sigma` (s,) is the noise.
    Where `converged` (s,) is false the numbers are not the optimum, and NaN where nothing could be fitted.
    """

    bucket_s: int
    seasons: tuple[Season, ...]
    changepoints: Changepoints
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    k: Floats
    m: Floats
    delta: Floats
    change_times: Floats
    changes: NDArray[np.intp]
    beta: Floats
    sigma: Floats
    converged: NDArray[np.bool_]

    def latent(self, index: NDArray[np.float64] | NDArray[np.intp]) -> Floats:
        """Trend and season (s, h) at the indices (h,) of the grid, which may lie beyond its end."""
        time = (index - self.first[:, None]) / (self.last - self.first)[:, None]
        course = self.m[:, None] + self.k[:, None] * time
        for delta, change_time in zip(self.delta.T, self.change_times.T, strict=True):
            bent = np.flatnonzero(delta)
            course[bent] += delta[bent, None] * np.maximum(time[bent] - change_time[bent, None], 0.0)
        return course + self.beta @ season_waves(index, self.bucket_s, self.seasons).T

    def trend_season(self, series: int, *, grid_start_us: int, low: float, scale: float) -> TrendSeason:
        """One series as a model in its natural unit: `low` and `scale` are those that brought it to 0..1.

        `grid_start_us` is the instant of the grid's first bucket, for this series.
        """
        origin_us = grid_start_us + int(self.first[series]) * self.bucket_s * SECOND_US
        span_days = float(self.last[series] - self.first[series]) * self.bucket_s / DAY_S
        changes = int(self.changes[series])
        return TrendSeason(
            name="prophet",
            version=f"{FLEET_VERSION}+paths.2",
            origin_us=origin_us,
            fitted_days=span_days,
            start_level=low + float(self.m[series]) * scale,
            start_slope=float(self.k[series]) * scale / span_days,
            change_days=self.change_times[series, :changes] * span_days,
            slope_changes=self.delta[series, :changes] * scale / span_days,
            changes_per_day=changes / span_days,
            seasons=self._curves(series, grid_start_us, scale),
            noise_sd=float(self.sigma[series]) * scale,
            fit_settings={
                "growth": "linear",
                "changepoints": changes,
                "changepoint_range": self.changepoints.share,
                "changepoint_prior_scale": self.changepoints.scale,
                "seasonality_prior_scale": SEASON_PRECISION**-0.5,
                "seasons": {season.name: season.order for season in self.seasons},
            },
        )

    def _curves(self, series: int, grid_start_us: int, scale: float) -> tuple[SeasonalCurve, ...]:
        """The seasons with phases since the epoch, as their curves have them."""
        ends = np.cumsum([2 * season.order for season in self.seasons], dtype=np.intp)[:-1]
        parts = np.split(self.beta[series] * scale, ends) if self.seasons else []
        return tuple(
            SeasonalCurve(season.name, season.period_s, _since_epoch(part, season.period_s, grid_start_us))
            for season, part in zip(self.seasons, parts, strict=True)
        )


def fit_fleet(
    values: Floats,
    *,
    bucket_s: int,
    seasons: tuple[Season, ...],
    changepoints: Changepoints = PROPHETS,
) -> FleetFit:
    """Maximum a posteriori fits of Prophet's model (Taylor and Letham 2018) to all series of a grid at once.

    `values` (s, points) are on regular buckets of `bucket_s` seconds, NaN where one is missing, each series
    scaled by its caller into 0..1, or at least -1..1: the priors are for that. Each series is a problem of its
    own; what it shares with others is work, so its answer does not depend on them, but for rounding. Where its
    slope may change and how its time runs depends on the buckets that it has, as in Prophet. Raises ValueError
    for values beyond -1..1.
    """
    values = np.asarray(values, dtype=np.float64)
    if np.nanmax(np.abs(values), initial=0.0) > 1.0 + 1e-9:
        raise ValueError("Values are to be scaled into -1..1 before a fit.")
    waves = season_waves(np.arange(values.shape[1]), bucket_s, seasons)
    fit = _unfitted(len(values), waves.shape[1], bucket_s, seasons, changepoints)
    present = ~np.isnan(values)
    moving = _enter_constants(fit, values, present)
    by_buckets: dict[bytes, list[int]] = defaultdict(list)
    for series, packed in zip(moving.tolist(), np.packbits(present[moving], axis=1), strict=True):
        by_buckets[packed.tobytes()].append(series)
    by_count: dict[int, list[tuple[Window, NDArray[np.intp]]]] = defaultdict(list)
    for members in by_buckets.values():
        window = Window.of(np.flatnonzero(present[members[0]]), changepoints)
        by_count[len(window.changes)].append((window, np.array(members)))
    for changes, windows in by_count.items():
        _enter(
            fit, windows, solve(_equations(values, windows, waves), changes=changes, scale=changepoints.scale)
        )
    return fit


def _unfitted(
    series: int, waves: int, bucket_s: int, seasons: tuple[Season, ...], changepoints: Changepoints
) -> FleetFit:
    return FleetFit(
        bucket_s=bucket_s,
        seasons=seasons,
        changepoints=changepoints,
        first=np.zeros(series, dtype=np.intp),
        last=np.ones(series, dtype=np.intp),
        k=np.full(series, np.nan),
        m=np.full(series, np.nan),
        delta=np.zeros((series, changepoints.maximum)),
        change_times=np.ones((series, changepoints.maximum)),
        changes=np.zeros(series, dtype=np.intp),
        beta=np.full((series, waves), np.nan),
        sigma=np.full(series, np.nan),
        converged=np.zeros(series, dtype=bool),
    )


def _enter_constants(fit: FleetFit, values: Floats, present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Enter the series that do not move; returns those to fit, which have two different values at least."""
    enough = np.flatnonzero(present.sum(axis=1) >= 2)
    lowest, highest = np.nanmin(values[enough], axis=1), np.nanmax(values[enough], axis=1)
    still = enough[lowest == highest]
    fit.m[still] = lowest[lowest == highest]
    fit.k[still], fit.beta[still], fit.sigma[still] = 0.0, 0.0, NOISE_OF_A_CONSTANT
    fit.converged[still] = True
    for series in still:
        fit.first[series], fit.last[series] = np.flatnonzero(present[series])[[0, -1]]
    return enough[lowest < highest]


def _equations(
    values: Floats, windows: list[tuple[Window, NDArray[np.intp]]], waves: Floats
) -> NormalEquations:
    grams, moments, powers = [], [], []
    for window, members in windows:
        design = window.design(waves)
        rows = values[np.ix_(members, window.present)]
        grams.append(design.T @ design)
        moments.append(rows @ design)
        powers.append(np.einsum("sn,sn->s", rows, rows))
    sizes = [len(members) for _, members in windows]
    return NormalEquations(
        gram=np.stack(grams),
        window=np.repeat(np.arange(len(windows)), sizes),
        moment=np.concatenate(moments),
        power=np.concatenate(powers),
        points=np.repeat([float(len(window.present)) for window, _ in windows], sizes),
    )


def _enter(fit: FleetFit, windows: list[tuple[Window, NDArray[np.intp]]], solution: Solution) -> None:
    begin = 0
    for window, members in windows:
        own = slice(begin, begin + len(members))
        changes = len(window.changes)
        fit.first[members], fit.last[members] = window.present[0], window.present[-1]
        fit.m[members], fit.k[members] = solution.free[own, 0], solution.free[own, 1]
        fit.beta[members] = solution.free[own, 2:]
        fit.delta[members, :changes] = solution.delta[own]
        fit.change_times[members, :changes] = window.changes
        fit.changes[members] = changes
        fit.sigma[members] = solution.sigma[own]
        fit.converged[members] = solution.converged[own]
        begin += len(members)


def _since_epoch(coefficients: Floats, period_s: int, start_us: int) -> Floats:
    """Pairs of sine and cosine turned from a phase that starts at `start_us` to one that starts in 1970."""
    sine, cosine = coefficients[0::2], coefficients[1::2]
    turned = start_us % (period_s * SECOND_US) / (period_s * SECOND_US)
    phase = 2 * np.pi * turned * np.arange(1, len(sine) + 1)
    return np.column_stack(
        (sine * np.cos(phase) + cosine * np.sin(phase), cosine * np.cos(phase) - sine * np.sin(phase))
    ).ravel()
