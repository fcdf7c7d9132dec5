"""Intervals from what the forecasts of a series' own past were wrong by.

Split conformal prediction over rolling origins (Vovk et al. 2005; for series Xu and Xie 2021) in the scaled form:
errors are divided by how large they usually are at their horizon, the quantile of the pooled ratios is scaled back.
Recent origins weigh more, as volatility comes and goes.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.cycles import Context, quiet_nanmedian, seasonal_error, weighted_mean

ORIGIN_MEMORY = 14.0  # weights fall by e in so many origins
SMOOTHED_SHARE = 12  # the scale is smoothed over a twelfth of a cycle on either side
SEPARABLE_SHARE = 0.5  # half of the scale is what phase and growth tell, half the horizon's own
ASYMMETRIC_SHARE = 0.25
# Errors of one origin resemble those of the next, so two origins count as one independent error.
ORIGINS_PER_ERROR = 2.0
LEAST_FREEDOM = 2.0
ROUNDING = 1e-9


def interval_offsets(
    errors: NDArray[np.float64],
    *,
    context: Context,
    cycle: int,
    quantiles: tuple[float, ...],
) -> dict[float, NDArray[np.float64]]:
    """What to add to a path for each quantile, (series, horizon) each.

    `errors` (series, origins, horizon), newest origin first, NaN where unknown; `context` (series, points) is
    what they were made from. Horizons that no origin reached go on growing as a random walk does from the
    last known ones; without any origin the scale is that of the changes in the context.
    """
    weights = np.exp(-np.arange(errors.shape[1]) / ORIGIN_MEMORY)[None, :, None] * np.isfinite(errors)
    scale, freedom = _scale(errors, weights, context=context, cycle=cycle)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = errors / scale[:, None]
    ratios = np.where(np.isfinite(ratios), ratios, 0.0).reshape(len(errors), -1)
    flat = weights.reshape(len(errors), -1)
    either, up, down = (_Ordered.of(part, flat) for part in (np.abs(ratios), ratios, -ratios))
    offsets = {}
    for quantile in quantiles:
        if quantile == 0.5:
            offsets[quantile] = np.zeros_like(scale)
            continue
        tail = max(quantile, 1 - quantile)
        sign = 1.0 if quantile > 0.5 else -1.0
        both = either.quantile(2 * tail - 1)
        one_sided = np.maximum((up if quantile > 0.5 else down).quantile(tail), 0.0)
        size = (1 - ASYMMETRIC_SHARE) * both + ASYMMETRIC_SHARE * one_sided
        size = np.where(flat.any(axis=1), size, MEAN_TO_SD * NormalDist().inv_cdf(tail))
        offsets[quantile] = sign * size[:, None] * scale * _finite_sample_factor(tail, freedom)
    return offsets


MEAN_TO_SD = (np.pi / 2) ** 0.5  # of a normal distribution: mean absolute value to standard deviation


def student_quantile(probability: float, freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantile of Student's t by its expansion in 1 / degrees of freedom; within 2 % from three degrees on.

    Abramowitz and Stegun 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    square = z * z
    return np.asarray(
        z
        * (
            1
            + (square + 1) / (4 * freedom)
            + ((5 * square + 16) * square + 3) / (96 * freedom**2)
            + (((3 * square + 19) * square + 17) * square - 15) / (384 * freedom**3)
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Rows of values (rows, n), ascending, and the weight reached at each; sorted once for all quantiles."""

    values: NDArray[np.float64]
    reached: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], weights: NDArray[np.float64]) -> "_Ordered":
        order = np.argsort(values, axis=1)
        reached = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
        return cls(np.take_along_axis(values, order, axis=1), reached)

    def quantile(self, share: float) -> NDArray[np.float64]:
        """Per row the smallest value (rows,) that `share` of the weight does not exceed; zero without any weight."""
        if not self.values.shape[1]:
            return np.zeros(len(self.values))
        index = (self.reached < share * self.reached[:, -1:]).sum(axis=1)
        return np.asarray(self.values[np.arange(len(index)), np.minimum(index, self.values.shape[1] - 1)])


def _finite_sample_factor(tail: float, freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    return student_quantile(tail, np.maximum(freedom, LEAST_FREEDOM)) / NormalDist().inv_cdf(tail)


def _scale(
    errors: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    context: Context,
    cycle: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Usual absolute error and its degrees of freedom, (series, horizon) each; the scale is finite everywhere."""
    horizon = errors.shape[2]
    known = weights.sum(axis=1)
    counts = np.divide(known**2, (weights**2).sum(axis=1), out=np.zeros_like(known), where=known > 0)
    own = weighted_mean(np.abs(errors), weights, 1)
    own = _shrink_to_phase_and_growth(_smooth(own, _half_width(cycle, horizon)), cycle)
    own = _continue(own, cycle)
    unknown = ~np.isfinite(own)
    own = np.where(unknown, _in_sample(context, cycle, horizon), own)
    # A series that never moved has errors of rounding only; its interval must still hold its value.
    own = np.maximum(own, ROUNDING * np.nan_to_num(np.abs(quiet_nanmedian(context, axis=1)))[:, None])
    return own, counts / ORIGINS_PER_ERROR


def _half_width(cycle: int, horizon: int) -> int:
    return (cycle if cycle > 1 else horizon) // SMOOTHED_SHARE


def _smooth(values: NDArray[np.float64], half_width: int) -> NDArray[np.float64]:
    """Running mean along the horizon of what is known; unknown stays unknown."""
    if half_width == 0:
        return values
    known = np.isfinite(values)
    padding = ((0, 0), (half_width + 1, half_width))
    totals = np.pad(np.where(known, values, 0.0), padding).cumsum(axis=1)
    counts = np.pad(known, padding).cumsum(axis=1)
    width = 2 * half_width + 1
    window = counts[:, width:] - counts[:, :-width]
    mean = (totals[:, width:] - totals[:, :-width]) / np.maximum(window, 1)
    return np.where(known, mean, np.nan)


def _shrink_to_phase_and_growth(scale: NDArray[np.float64], cycle: int) -> NDArray[np.float64]:
    """Half-way (in logarithms) to a product of phase and turn: few origins tell little about one horizon."""
    turns = scale.shape[1] // cycle
    if cycle == 1 or turns < 2:
        return scale
    whole = scale[:, : turns * cycle].reshape(len(scale), turns, cycle)
    one = np.ones(1)
    by_phase, by_turn = weighted_mean(whole, one, 1)[:, None], weighted_mean(whole, one, 2)[:, :, None]
    overall = weighted_mean(by_phase, one, 2)[:, :, None]
    product = np.divide(by_phase * by_turn, overall, out=np.zeros_like(whole), where=overall > 0)
    shrunk = whole ** (1 - SEPARABLE_SHARE) * product**SEPARABLE_SHARE
    return np.concatenate((shrunk.reshape(len(scale), -1), scale[:, turns * cycle :]), axis=1)


def _continue(scale: NDArray[np.float64], cycle: int) -> NDArray[np.float64]:
    """Beyond the last known horizon: its last turn, growing with the square root of the time ahead."""
    known = np.isfinite(scale)
    horizon = scale.shape[1]
    ends = horizon - known[:, ::-1].argmax(axis=1)  # the horizon when nothing or everything is known
    columns = np.arange(horizon)
    beyond = (columns[None] >= ends[:, None]) & np.any(known, axis=1, keepdims=True)
    back = np.ceil((columns[None] - ends[:, None] + 1) / cycle) * cycle
    source = np.clip(columns[None] - np.maximum(back, 0), 0, horizon - 1).astype(np.int64)
    growth = np.sqrt((columns[None] + 1) / (source + 1))
    return np.where(beyond, np.take_along_axis(scale, source, axis=1) * growth, scale)


def _in_sample(context: Context, cycle: int, horizon: int) -> NDArray[np.float64]:
    """The larger of the changes in a cycle and from point to point, growing as a random walk; zero without any."""
    changes = np.fmax(seasonal_error(context, cycle), seasonal_error(context, 1))
    spread = quiet_nanmedian(np.abs(context - quiet_nanmedian(context, axis=1)[:, None]), axis=1)
    size = np.nan_to_num(np.fmax(changes, spread))
    return size[:, None] * np.sqrt(1 + np.arange(1, horizon + 1) / cycle)
