"""Prophet as it comes out of its box, with its own intervals: what other forecasts are compared with."""

import logging
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from cmdstanpy.utils import get_logger
from numpy.typing import NDArray
from prophet import Prophet

from predictions.forecasting.buckets import SECOND_US

SEED = 1
READINGS_AT_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class DefaultForecast:
    """`path` (windows, horizon) and `quantiles` per level, (windows, horizon) each."""

    path: NDArray[np.float64]
    quantiles: dict[float, NDArray[np.float64]]


def forecast_by_default_prophet(
    contexts: NDArray[np.float64],
    *,
    starts_us: NDArray[np.int64],
    step_s: float,
    horizon: int,
    quantiles: tuple[float, ...],
    progress: Callable[[int], None] = lambda done: None,
) -> DefaultForecast:
    """Fit `Prophet()` to each context (windows, points), the first point at `starts_us` (windows,).

    The path is Prophet's `yhat`, the quantiles those of its 1,000 predictive samples (its default). One process
    a core; `progress` hears how many windows are done.
    """
    work = partial(_forecast_one, step_s=step_s, horizon=horizon, quantiles=quantiles)
    results = []
    with ProcessPoolExecutor(
        max_workers=min(os.cpu_count() or 1, len(contexts)), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        for done, result in enumerate(pool.map(work, contexts, starts_us.tolist(), chunksize=1), start=1):
            results.append(result)
            progress(done)
    stacked = np.stack(results)
    return DefaultForecast(
        stacked[:, 0], {level: stacked[:, 1 + index] for index, level in enumerate(quantiles)}
    )


def _forecast_one(
    context: NDArray[np.float64], start_us: int, *, step_s: float, horizon: int, quantiles: tuple[float, ...]
) -> NDArray[np.float64]:
    """(1 + quantiles, horizon): the path, then one row per quantile."""
    get_logger().setLevel(logging.WARNING)
    instants = start_us + np.arange(len(context) + horizon) * int(step_s * SECOND_US)
    when = pd.to_datetime(instants, unit="us")
    frame = pd.DataFrame({"ds": when[: len(context)], "y": context}).dropna()
    model = Prophet()
    with TemporaryDirectory(prefix="forecast-") as directory:
        model.fit(frame, seed=SEED, output_dir=directory)
    ahead = pd.DataFrame({"ds": when[len(context) :]})
    np.random.seed(SEED)  # Prophet draws from the global generator
    samples = model.predictive_samples(ahead)["yhat"]
    path = model.predict(ahead, vectorized=True)["yhat"].to_numpy()
    return np.vstack((path, np.quantile(samples, quantiles, axis=1)))
