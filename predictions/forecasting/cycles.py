"""Cycles of a regular grid: how many points they take, means by phase, and what stands out of them.

Here and in the modules that build on it, `context` is (series, points) float64 on a regular grid, aligned at its
end: the last column is the newest bucket of every series, NaN is a gap, and leading NaN pad a shorter history.
"""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S
from predictions.forecasting.normal import MAD_TO_SD

WEEK_DAYS = 7
CYCLES_AT_LEAST = 2  # fewer than two turns show no cycle
POINTS_A_DAY_AT_LEAST = 4
OUTLIER_SDS = 8.0
OUTLIER_RUN = 2  # a third point in a row is a change of level, no outlier

Context = NDArray[np.float64]


def points_a_day(step_s: float) -> int:
    """Grid points in a day; 0 when a day is not resolved (fewer than four)."""
    points = round(DAY_S / step_s)
    return points if points >= POINTS_A_DAY_AT_LEAST else 0


def cycle_points(*, points: int, step_s: float) -> int:
    """Length in points of the shortest cycle that `points` of a grid can show; 1 when there is none.

    The day; on a grid too coarse for it the week. Two whole turns are needed.
    """
    day = points_a_day(step_s)
    cycle = day or round(WEEK_DAYS * DAY_S / step_s)
    return cycle if cycle > 1 and points >= CYCLES_AT_LEAST * cycle else 1


def week_points(*, points: int, step_s: float) -> int:
    """Length in points of a week when two of them are there, else 0."""
    week = round(WEEK_DAYS * DAY_S / step_s)
    return week if week > 1 and points >= CYCLES_AT_LEAST * week else 0


def by_turn(context: Context, cycle: int) -> NDArray[np.float64]:
    """(series, turns, cycle): whole turns of the cycle, the last one ending with the context."""
    turns = context.shape[1] // cycle
    return context[:, context.shape[1] - turns * cycle :].reshape(len(context), turns, cycle)


def weighted_mean(
    values: NDArray[np.float64], weights: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Mean along `axis` of what is not NaN; NaN where nothing is. `weights` broadcast against `values`."""
    known = np.isfinite(values)
    total = np.sum(known * weights, axis=axis)
    summed = np.sum(np.where(known, values, 0.0) * weights, axis=axis)
    return np.divide(summed, total, out=np.full(summed.shape, np.nan), where=total > 0)


def fill_profile(profile: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """A profile (series, cycle) whose unknown phases lie at the mean of the known ones, else at `level` (series,)."""
    mean = weighted_mean(profile, np.ones(1), 1)
    mean = np.where(np.isfinite(mean), mean, level)
    return np.where(np.isfinite(profile), profile, mean[:, None])


def mask_outliers(context: Context, cycle: int) -> Context:
    """The context with isolated outliers as gaps: at most two in a row, 8 deviations off the median of the phase."""
    turns = by_turn(context, cycle)
    with np.errstate(invalid="ignore"):
        away = np.abs(turns - quiet_nanmedian(turns, axis=1)[:, None]).reshape(len(context), -1)
    spread = MAD_TO_SD * quiet_nanmedian(away, axis=1)
    out = np.zeros(context.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        out[:, context.shape[1] - away.shape[1] :] = (away > OUTLIER_SDS * spread[:, None]) & (
            spread[:, None] > 0
        )
    return np.where(out & ~_in_a_run(out), np.nan, context)


def _in_a_run(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a flag is one of more than two in a row, along the second axis."""
    width = OUTLIER_RUN + 1
    padded = np.pad(flags, ((0, 0), (OUTLIER_RUN, OUTLIER_RUN)))
    length = flags.shape[1]
    full = np.min([padded[:, shift : shift + length + OUTLIER_RUN] for shift in range(width)], axis=0)
    return np.asarray(np.max([full[:, shift : shift + length] for shift in range(width)], axis=0), dtype=bool)


def quiet_nanmedian(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Median of what is not NaN, NaN where nothing is, without numpy's warning about that."""
    ordered = np.sort(values, axis=axis)  # NaN last
    known = np.isfinite(values).sum(axis=axis, keepdims=True)
    lower = np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=axis)
    upper = np.take_along_axis(ordered, np.minimum(known // 2, values.shape[axis] - 1), axis=axis)
    middle = np.where(known > 0, lower + (upper - lower) / 2, np.nan)
    return np.squeeze(middle, axis=axis)


def seasonal_error(context: Context, cycle: int) -> NDArray[np.float64]:
    """Mean absolute difference (series,) to the value one cycle before: what MASE is scaled by.

    Hyndman and Koehler 2006, "Another look at measures of forecast accuracy". NaN without a pair.
    """
    if context.shape[1] <= cycle:
        return np.full(len(context), np.nan)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(context[:, cycle:] - context[:, :-cycle])
    return weighted_mean(gaps, np.ones(1), 1)
