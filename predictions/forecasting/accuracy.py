"""How good forecasts were: mean absolute scaled error, coverage, pinball loss.  NaN truths do not count."""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.cycles import weighted_mean

ROUNDING = 1e-9


def scaled_error(truth: NDArray[np.float64], path: NDArray[np.float64], unit: NDArray[np.float64]) -> float:
    """MASE: mean absolute error of paths (windows, horizon), each window divided by its own unit (windows,).

    The unit is the mean absolute error of the naive forecast of one cycle within the context (Hyndman and
    Koehler 2006). Where that is zero only a perfect forecast has a meaning, zero. NaN without any.
    """
    errors = np.abs(truth - path)
    negligible = errors <= ROUNDING * np.abs(truth)
    divisor = np.where(unit > 0, unit, np.nan)[:, None]
    scaled = np.where((unit == 0)[:, None] & negligible, 0.0, errors / divisor)
    return float(weighted_mean(scaled.ravel(), np.ones(1), 0))


def coverage(truth: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]) -> float:
    """Share of the known truths that lie within the interval, its ends included."""
    known = np.isfinite(truth)
    return float(((lower <= truth) & (truth <= upper))[known].mean()) if known.any() else float("nan")


def pinball(truth: NDArray[np.float64], quantiles: dict[float, NDArray[np.float64]]) -> float:
    """Mean pinball loss over the quantiles, in the unit of the series (Koenker and Bassett 1978)."""
    losses = []
    for level, bound in quantiles.items():
        above = truth - bound
        losses.append(np.maximum(level * above, (level - 1) * above))
    return float(weighted_mean(np.stack(losses).ravel(), np.ones(1), 0))
