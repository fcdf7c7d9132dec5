"""Forecasters that compete for a sensor: each takes contexts and answers with paths, all series at once.

A candidate is called with `context` (series, points), `step_s` (seconds a point) and `horizon` (points) and
returns (series, horizon), NaN for a series without any reading. None of them looks at another series.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.autoregression import follow_autoregression
from predictions.forecasting.buckets import DAY_S
from predictions.forecasting.cycles import (
    WEEK_DAYS,
    Context,
    by_turn,
    cycle_points,
    fill_profile,
    mask_outliers,
    quiet_nanmedian,
    seasonal_error,
    week_points,
    weighted_mean,
)

Candidate = Callable[[Context, float, int], NDArray[np.float64]]

# Weights fall by e in so many days: five forget fast enough to follow the weather and still average the noise
# away; the two-sided pair 2 and 16 that `profile_and_residuals` averages was a little better on held-out data.
RECENT_DAYS = 5.0
FAST_DAYS, SLOW_DAYS = 2.0, 16.0
WEEKDAY_DAYS = 20.0
WEEKDAY_SHARE = 0.8
FADING_DAYS = 2.0
LAST_POINTS = 3  # the last deviation is a mean of so many points, since one alone is mostly noise
LEVEL_SHARE_OF_POINTS = 0.25
DRIFT_LAG_SHARE = 0.25


def seasonal_naive(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """The last turn of the strongest cycle, again and again: the day, or the week where two weeks say so."""
    points = context.shape[1]
    cycle, week = cycle_points(points=points, step_s=step_s), week_points(points=points, step_s=step_s)
    daily = repeat_last_turn(context, cycle, horizon)
    if week <= cycle:
        return daily
    weekly_is_stronger = seasonal_error(context, week) < seasonal_error(context, cycle)
    return np.where(weekly_is_stronger[:, None], repeat_last_turn(context, week, horizon), daily)


def repeat_last_turn(context: Context, cycle: int, horizon: int) -> NDArray[np.float64]:
    """The newest reading of each phase of a cycle, repeated; a phase never read stands at the median."""
    turns = by_turn(context, cycle)
    known = np.isfinite(turns)
    newest = turns.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    last = np.take_along_axis(turns, newest[:, None], axis=1)[:, 0]
    return fill_profile(last, quiet_nanmedian(context, axis=1))[:, np.arange(horizon) % cycle]


def recent_profile(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """The mean turn weighted to the recent days, plus the last deviation fading over two days."""
    cycle, profile = _recent_profile(context, step_s)
    return profile[:, np.arange(horizon) % cycle] + _fading_deviation(
        context, profile, step_s=step_s, horizon=horizon
    )


def weekday_profile(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """Four fifths the mean of the same weekday, one fifth the recent profile, where two weeks are there."""
    cycle, profile = _recent_profile(context, step_s)
    if week_points(points=context.shape[1], step_s=step_s) <= cycle or cycle == 1:
        return recent_profile(context, step_s, horizon)
    context = mask_outliers(context, cycle)
    turns = by_turn(context, cycle)
    ages = np.arange(turns.shape[1])[::-1]

    def of_weekday(ahead: int) -> NDArray[np.float64]:
        """The turn `ahead` turns after the next one, from the same weekday of earlier weeks."""
        same = ((ages + 1 + ahead) % WEEK_DAYS == 0) & (ages > -1 - ahead)
        weights = np.exp(-ages[same] / WEEKDAY_DAYS)
        on_weekday = weighted_mean(turns[:, same], weights[None, :, None], 1)
        mixed = WEEKDAY_SHARE * on_weekday + (1 - WEEKDAY_SHARE) * profile
        return np.where(np.isfinite(mixed), mixed, profile)

    turns_ahead = -(-horizon // cycle)
    week = [of_weekday(ahead) for ahead in range(min(turns_ahead, WEEK_DAYS))]
    path = np.concatenate([week[ahead % WEEK_DAYS] for ahead in range(turns_ahead)], axis=1)[:, :horizon]
    # What the last turn should have been is told by the weeks before it, not by itself.
    return path + _fading_deviation(context, of_weekday(-1), step_s=step_s, horizon=horizon)


def profile_and_residuals(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """Recent profiles, one that forgets fast and one slow, each with an autoregression of its residuals; their mean."""
    cycle = cycle_points(points=context.shape[1], step_s=step_s)
    cleaned = mask_outliers(context, cycle)
    turn_days = cycle * step_s / DAY_S
    return np.mean(
        [
            follow_autoregression(cleaned, cycle=cycle, memory=days / turn_days, horizon=horizon)
            for days in (FAST_DAYS, SLOW_DAYS)
        ],
        axis=0,
    )


def level_and_residuals(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """No cycle: the recent level, to which the last deviations return as they did before."""
    memory = max(2.0, LEVEL_SHARE_OF_POINTS * context.shape[1])
    return follow_autoregression(mask_outliers(context, 1), cycle=1, memory=memory, horizon=horizon)


def last_level(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """The median of the last three readings, unchanged: a random walk's best forecast."""
    return np.repeat(_last_readings(context)[:, None], horizon, axis=1)


def drift(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """The last level plus the mean drift: a Wiener process with drift.

    The drift is the median of differences over a quarter of the context, per point.
    """
    lag = max(1, int(context.shape[1] * DRIFT_LAG_SHARE))
    with np.errstate(invalid="ignore"):
        slope = quiet_nanmedian(context[:, lag:] - context[:, :-lag], axis=1) / lag
    slope = np.where(np.isfinite(slope), slope, 0.0)
    return _last_readings(context)[:, None] + slope[:, None] * np.arange(1, horizon + 1)


CANDIDATES: Mapping[str, Candidate] = {
    "profile_and_residuals": profile_and_residuals,
    "recent_profile": recent_profile,
    "weekday_profile": weekday_profile,
    "seasonal_naive": seasonal_naive,
    "level_and_residuals": level_and_residuals,
    "last_level": last_level,
    "drift": drift,
}
INCUMBENT = "profile_and_residuals"
PROPHET = "prophet"  # competes where its cost allows: prophet_candidate.py


def _recent_profile(context: Context, step_s: float) -> tuple[int, NDArray[np.float64]]:
    cycle = cycle_points(points=context.shape[1], step_s=step_s)
    context = mask_outliers(context, cycle)
    turns = by_turn(context, cycle)
    ages_days = np.arange(turns.shape[1])[::-1] * cycle * step_s / DAY_S
    profile = weighted_mean(turns, np.exp(-ages_days / RECENT_DAYS)[None, :, None], 1)
    return cycle, fill_profile(profile, quiet_nanmedian(context, axis=1))


def _fading_deviation(
    context: Context, profile: NDArray[np.float64], *, step_s: float, horizon: int
) -> NDArray[np.float64]:
    cycle = profile.shape[1]
    last = min(LAST_POINTS, context.shape[1])
    phases = np.arange(-last, 0) % cycle
    away = quiet_nanmedian(context[:, -last:] - profile[:, phases], axis=1)
    away = np.where(np.isfinite(away), away, 0.0)
    days = np.arange(1, horizon + 1) * step_s / DAY_S
    return away[:, None] * np.exp(-days / FADING_DAYS)


def _last_readings(context: Context) -> NDArray[np.float64]:
    """Median (series,) of the last three readings, however old they are."""
    known = np.isfinite(context)
    newest_first = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    return quiet_nanmedian(np.where(known & (newest_first <= LAST_POINTS), context, np.nan), axis=1)
