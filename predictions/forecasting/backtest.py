"""Rolling-origin comparison on one series: ours, Prophet as it comes, and the seasonal naive forecast."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from predictions.forecasting.accuracy import coverage, pinball, scaled_error
from predictions.forecasting.buckets import SECOND_US
from predictions.forecasting.candidates import repeat_last_turn
from predictions.forecasting.cycles import Context, cycle_points, seasonal_error
from predictions.forecasting.grid import Grid
from predictions.forecasting.path_forecast import forecast_paths
from predictions.forecasting.prophet_default import READINGS_AT_LEAST, forecast_by_default_prophet

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
CONTEXT_AT_LEAST = 4

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """`contexts` (windows, points), what came next, `truths` (windows, horizon), and when each context begins."""

    contexts: Context
    truths: NDArray[np.float64]
    starts_us: NDArray[np.int64]
    step_s: float

    @property
    def cycle(self) -> int:
        """Points in the cycle that MASE is scaled by."""
        return cycle_points(points=self.contexts.shape[1], step_s=self.step_s)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one forecaster: MASE, coverage of its 80 % and 95 % intervals, mean pinball loss, seconds it took.

    MASE is scaled by the mean absolute error of the naive forecast of one cycle within each context; pinball
    is the mean over the quantiles .025, .1, .5, .9, .975, in the unit of the series. NaN for what has no meaning.
    """

    mase: float
    coverage_80: float
    coverage_95: float
    pinball: float
    seconds: float


def cut_windows(grid: Grid, *, context: int, horizon: int, stride: int) -> Windows:
    """Every window of a grid whose origins are `stride` points apart, from the first that has a whole context.

    Windows with fewer than two readings before the origin or none after it are left out. Raises ValueError when
    the lengths have no meaning or no window is left.
    """
    if context < CONTEXT_AT_LEAST or horizon < 1 or stride < 1:
        raise ValueError(
            f"The context must have {CONTEXT_AT_LEAST} points at least, horizon and stride one each; "
            f"got {context}, {horizon} and {stride}."
        )
    points = len(grid.values)
    if points < context + horizon:
        raise ValueError(
            f"The series has {points:,} points of {grid.step_s:g} s; one window needs {context + horizon:,} "
            f"({context:,} of context and {horizon:,} of horizon)."
        )
    whole = sliding_window_view(grid.values, context + horizon)[::stride]
    starts = np.arange(len(whole)) * stride
    known = np.isfinite(whole)
    usable = (known[:, :context].sum(axis=1) >= READINGS_AT_LEAST) & known[:, context:].any(axis=1)
    if not usable.any():
        raise ValueError(f"None of {len(whole):,} windows has readings on both sides of its origin.")
    starts_us = grid.start_us + (starts[usable] * grid.step_s * SECOND_US).astype(np.int64)
    return Windows(whole[usable, :context], whole[usable, context:], starts_us, grid.step_s)


def compare(windows: Windows, *, progress: Progress = lambda words: None) -> dict[str, Figures]:
    """Figures of "ours", "prophet" and "seasonal_naive" on the same windows. Prophet takes nearly all of the time."""
    count, horizon = windows.truths.shape
    progress(f"{count} windows of {windows.contexts.shape[1]} points, {horizon} ahead, cycle {windows.cycle}")
    ours = _timed(windows, lambda: forecast_ours(windows))
    progress(f"ours: {ours.seconds:.1f} s")
    naive = _timed(windows, lambda: forecast_naively(windows))
    progress(f"seasonal naive: {naive.seconds:.1f} s")
    prophet = _timed(windows, lambda: _prophet(windows, progress))
    progress(f"prophet: {prophet.seconds:.1f} s")
    return {"ours": ours, "prophet": prophet, "seasonal_naive": naive}


Paths = tuple[NDArray[np.float64], dict[float, NDArray[np.float64]]]


def _timed(windows: Windows, run: Callable[[], Paths]) -> Figures:
    began = time.perf_counter()
    path, quantiles = run()
    seconds = time.perf_counter() - began
    unit = seasonal_error(windows.contexts, windows.cycle)
    return Figures(
        mase=scaled_error(windows.truths, path, unit),
        coverage_80=coverage(windows.truths, quantiles[0.1], quantiles[0.9]),
        coverage_95=coverage(windows.truths, quantiles[0.025], quantiles[0.975]),
        pinball=pinball(windows.truths, quantiles),
        seconds=seconds,
    )


def forecast_ours(windows: Windows) -> Paths:
    """Paths and quantiles by the winner of each window's own contest."""
    forecast = forecast_paths(
        windows.contexts, step_s=windows.step_s, horizon=windows.truths.shape[1], quantiles=QUANTILES
    )
    return forecast.path, forecast.quantiles


def forecast_naively(windows: Windows) -> Paths:
    """The last turn of the cycle, with intervals from its own past errors."""

    def candidate(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
        return repeat_last_turn(context, cycle_points(points=context.shape[1], step_s=step_s), horizon)

    forecast = forecast_paths(
        windows.contexts,
        step_s=windows.step_s,
        horizon=windows.truths.shape[1],
        quantiles=QUANTILES,
        candidates={"seasonal_naive": candidate},
        is_contested=False,
        incumbents=["seasonal_naive"] * len(windows.contexts),
    )
    return forecast.path, forecast.quantiles


def _prophet(windows: Windows, progress: Progress) -> Paths:
    count = len(windows.contexts)
    forecast = forecast_by_default_prophet(
        windows.contexts,
        starts_us=windows.starts_us,
        step_s=windows.step_s,
        horizon=windows.truths.shape[1],
        quantiles=QUANTILES,
        progress=lambda done: progress(f"prophet: {done} of {count} windows") if done % 10 == 0 else None,
    )
    return forecast.path, forecast.quantiles
