"""Readings with gaps, duplicates and any order on the regular grid that their median interval tells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, SECOND_US

SNAPPED_WITHIN = 0.02
POINTS_AT_MOST = 5_000_000
FRACTIONS_OF_A_DAY_S = [seconds for seconds in range(1, DAY_S + 1) if DAY_S % seconds == 0]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """`values` (points,) at `start_us` + 0, 1, 2, ... `step_s` seconds; NaN where nothing was read."""

    start_us: int
    step_s: float
    values: NDArray[np.float64]


def to_grid(ts_us: NDArray[np.int64], values: NDArray[np.float64]) -> Grid:
    """Readings (n,), in any order, on a grid: each goes to the nearest point, the median of those that share one.

    The step is the median interval between different instants, moved to the nearest whole seconds that divide a day, or
    to whole days, within two per cent, so that clocks a little off do not break the daily cycle. An hour that comes
    twice, as where clocks are set back in local time, is two readings of one point. Raises ValueError when
    fewer than two instants have a number, or the grid would not fit into memory.
    """
    usable = np.isfinite(values)
    ts_us, values = ts_us[usable], values[usable]
    instants = np.unique(ts_us)
    if len(instants) < 2:
        raise ValueError(f"{len(instants)} instants have a number; a grid needs two at least.")
    step_s = _snap(float(np.median(np.diff(instants))) / SECOND_US)
    points = (ts_us - instants[0]) / (step_s * SECOND_US)
    positions = np.floor(points + 0.5).astype(np.int64)
    length = int(positions.max()) + 1
    if length > POINTS_AT_MOST:
        raise ValueError(f"A grid of {step_s:g} s over these times has {length:,} points, too many.")
    order = np.lexsort((values, positions))
    positions, ordered = positions[order], values[order]
    where, first, counts = np.unique(positions, return_index=True, return_counts=True)
    lower, upper = ordered[first + (counts - 1) // 2], ordered[first + counts // 2]
    on_grid = np.full(length, np.nan)
    on_grid[where] = lower + (upper - lower) / 2
    return Grid(int(instants[0]), step_s, on_grid)


def _snap(interval_s: float) -> float:
    """The nearest whole number of seconds that divides a day, or of days, when it is near enough."""
    whole = FRACTIONS_OF_A_DAY_S if interval_s < DAY_S else [DAY_S * round(interval_s / DAY_S)]
    nearest = min(whole, key=lambda step_s: abs(step_s - interval_s))
    return nearest if abs(nearest - interval_s) <= SNAPPED_WITHIN * interval_s else interval_s
