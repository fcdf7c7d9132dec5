"""Histories that share a grid are fitted together."""

from collections.abc import Sequence

import numpy as np

from predictions.forecasting.buckets import SECOND_US
from predictions.forecasting.guards import Season
from predictions.forecasting.history import History
from predictions.forecasting.latent import TrendSeason
from predictions.forecasting.solver import fit_fleet

SERIES_AT_ONCE = 500  # a year of hours of so many is 35 MB


def fit_together(histories: Sequence[History], *, seasons: tuple[Season, ...]) -> list[TrendSeason | None]:
    """Prophet's model of each history, all of one bucket; None where the solver did not find the optimum.

    Each history ends at the end of the grid, whenever that is: what series need to have in common is the length
    of a bucket and the seasons. Values are scaled to 0..1: by its own default Prophet divides by the largest
    value, so that its priors, and the forecast, would differ between a temperature in kelvin and the same in
    degrees Celsius.
    """
    return [
        model
        for begin in range(0, len(histories), SERIES_AT_ONCE)
        for model in _fit_some(histories[begin : begin + SERIES_AT_ONCE], seasons)
    ]


def _fit_some(histories: Sequence[History], seasons: tuple[Season, ...]) -> list[TrendSeason | None]:
    bucket_s = histories[0].bucket_s
    bucket_us = bucket_s * SECOND_US
    indices = [(history.ts_us - history.ts_us[-1]) // bucket_us for history in histories]
    points = 1 - min(int(index[0]) for index in indices)
    values = np.full((len(histories), points), np.nan)
    lows = [float(history.values.min()) for history in histories]
    scales = [float(np.ptp(history.values)) for history in histories]
    for row, history, index, low, scale in zip(values, histories, indices, lows, scales, strict=True):
        row[index + points - 1] = (history.values - low) / scale
    fit = fit_fleet(values, bucket_s=bucket_s, seasons=seasons)
    return [
        fit.trend_season(
            series,
            grid_start_us=int(history.ts_us[-1]) + history.lag_us - (points - 1) * bucket_us,
            low=lows[series],
            scale=scales[series],
        )
        if fit.converged[series]
        else None
        for series, history in enumerate(histories)
    ]
