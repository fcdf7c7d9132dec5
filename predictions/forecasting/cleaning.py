"""Masking outliers before a fit: one reading of ten times the level moves a 30-day forecast by half."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from predictions.forecasting.normal import MAD_TO_SD

HALF_WINDOW = 5
THRESHOLD = 5.0  # with eleven points a window, 0.4 % of normal noise is masked; the usual 3 would mask 2.7 %
MASKED_SHARE_AT_MOST = 0.1
CONFIRMED_BY = 2
STEP_TOLERANCE = (
    0.35  # times the threshold exceeds the central range, so that steps within it are never masked
)


def outlier_mask(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True (n,) where a value stands out from its neighbours: a rolling Hampel filter (Pearson 2002).

    A value is masked when it is more than five scaled median absolute deviations from the median of the five
    values on either side. Two exceptions keep what is not an error: excursions at the very end are kept once
    two buckets show them, since they may be the beginning of a failure; and when more than a tenth of a
    series stands out, that is how the machine works (short duty cycles), and nothing is masked.
    """
    if len(values) < 2 * HALF_WINDOW + 1:
        return np.zeros(len(values), dtype=bool)
    padded = np.pad(values, HALF_WINDOW, constant_values=np.nan)
    windows = sliding_window_view(padded, 2 * HALF_WINDOW + 1)
    present = len(windows[0]) - np.isnan(windows).sum(axis=1)
    medians = _medians(windows, present)
    spreads = MAD_TO_SD * _medians(np.abs(windows - medians[:, None]), present)
    if not (spreads > 0).all():
        spreads = np.where(spreads > 0, spreads, _spread_of_a_coarse_sensor(values))
    mask = np.abs(values - medians) > THRESHOLD * spreads
    _keep_confirmed_ending(mask)
    return mask if mask.mean() <= MASKED_SHARE_AT_MOST else np.zeros_like(mask)


def _medians(windows: NDArray[np.float64], present: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median (n,) of the `present` (n,) values of each row that are not missing; numpy's takes five times as long."""
    ordered = np.sort(windows, axis=1)  # missing ones are last
    rows = np.arange(len(windows))
    return (ordered[rows, (present - 1) // 2] + ordered[rows, present // 2]) / 2


def _spread_of_a_coarse_sensor(values: NDArray[np.float64]) -> float:
    """Stands in where a window has no spread, as with a coarse sensor that mostly repeats one value."""
    low, high = np.quantile(values, (0.05, 0.95))
    return STEP_TOLERANCE * float(high - low)


def _keep_confirmed_ending(mask: NDArray[np.bool_]) -> None:
    """Unmask, in place, a masked run at the end that is long enough to be a change of level."""
    inliers = np.flatnonzero(~mask)
    ending = int(inliers[-1]) + 1 if len(inliers) else 0
    if len(mask) - ending >= CONFIRMED_BY:
        mask[ending:] = False
