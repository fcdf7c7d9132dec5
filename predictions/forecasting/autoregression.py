"""A running profile and an autoregression of what it leaves over, fitted and followed for many series at once."""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.cycles import Context, by_turn, fill_profile, quiet_nanmedian

SHRINKAGE = 0.02  # of the mean square of the regressors: enough to keep near-collinear lags apart
WARM_UP_TURNS = 3
CLIPPED_AT_SDS = 4.0
POINTS_OF_A_CYCLE = 5  # below that its lags are those of one to three points already


def follow_autoregression(
    context: Context, *, cycle: int, memory: float, horizon: int
) -> NDArray[np.float64]:
    """The running profile plus the expected course of its residuals, (series, horizon).

    The profile of a phase is the mean of its earlier turns, weights falling by e in `memory` turns. Residuals
    follow one another at lags 1, 2, 3, around one cycle and at two (ridge regression per series); their course
    is kept within four standard deviations, so that an unstable fit cannot run away.
    """
    level = quiet_nanmedian(context, axis=1)
    centred = context - level[:, None]
    before, ahead = running_profile(centred, cycle=cycle, memory=memory)
    residuals = by_turn(centred, cycle).reshape(len(context), -1) - before
    warm_up = min(WARM_UP_TURNS * cycle, residuals.shape[1] // 2)
    course = _course(residuals, lags=_lags(cycle, residuals.shape[1]), warm_up=warm_up, horizon=horizon)
    return (
        level[:, None] + fill_profile(ahead, np.zeros(len(context)))[:, np.arange(horizon) % cycle] + course
    )


def running_profile(
    context: Context, *, cycle: int, memory: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted means of earlier turns: before each point (series, points), and ahead (series, cycle).

    Points are those of whole turns. NaN before the first reading of a phase.
    """
    turns = by_turn(context, cycle)
    known = np.isfinite(turns)
    values = np.where(known, turns, 0.0)
    fade = np.exp(-1.0 / memory)
    means = np.full((turns.shape[0], turns.shape[1] + 1, cycle), np.nan)
    summed, weight = np.zeros((len(turns), cycle)), np.zeros((len(turns), cycle))
    for turn in range(turns.shape[1]):
        summed = summed * fade + values[:, turn]
        weight = weight * fade + known[:, turn]
        np.divide(summed, weight, out=means[:, turn + 1], where=weight > 0)
    return means[:, :-1].reshape(len(turns), -1), means[:, -1]


def _lags(cycle: int, points: int) -> tuple[int, ...]:
    """One to three points, around one cycle, and two cycles; only what leaves two thirds of the points to fit."""
    wanted = {1, 2, 3} | ({cycle - 1, cycle, cycle + 1, 2 * cycle} if cycle > POINTS_OF_A_CYCLE else set())
    return tuple(sorted(lag for lag in wanted if lag <= max(1, points // 3)))


def _course(
    residuals: NDArray[np.float64], *, lags: tuple[int, ...], warm_up: int, horizon: int
) -> NDArray[np.float64]:
    series, points = residuals.shape
    longest = max(lags)
    coefficients = _fit(residuals, lags=lags, begin=max(longest, warm_up))
    tail = residuals[:, max(0, points - longest) :]
    buffer = np.zeros((series, longest + horizon))
    buffer[:, longest - tail.shape[1] : longest] = np.where(np.isfinite(tail), tail, 0.0)
    spread = np.sqrt(np.nan_to_num(_mean_square(residuals[:, warm_up:])))[:, None] * CLIPPED_AT_SDS
    columns = np.array([longest - lag for lag in lags])
    for step in range(horizon):
        expected = np.einsum("sl,sl->s", buffer[:, columns + step], coefficients)
        buffer[:, longest + step] = np.clip(expected, -spread[:, 0], spread[:, 0])
    return buffer[:, longest:]


def _fit(residuals: NDArray[np.float64], *, lags: tuple[int, ...], begin: int) -> NDArray[np.float64]:
    """Ridge coefficients (series, lags); zero where nothing can be learned."""
    points = residuals.shape[1]
    if points <= begin:
        return np.zeros((len(residuals), len(lags)))
    known = np.isfinite(residuals)
    usable = np.all([known[:, begin - lag : points - lag] for lag in (0, *lags)], axis=0)
    filled = np.where(known, residuals, 0.0)
    columns = np.stack([filled[:, begin - lag : points - lag] for lag in lags], axis=1)
    columns *= usable[:, None]
    target = filled[:, begin:] * usable
    gram = columns @ columns.transpose(0, 2, 1)
    moments = columns @ target[:, :, None]
    size = np.trace(gram, axis1=1, axis2=2) / len(lags)
    ridge = np.where(size > 0, SHRINKAGE * size, 1.0)
    gram += ridge[:, None, None] * np.eye(len(lags))
    return np.asarray(np.linalg.solve(gram, moments)[:, :, 0])


def _mean_square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0) ** 2
    return np.asarray(total.sum(axis=1) / np.maximum(known.sum(axis=1), 1))
