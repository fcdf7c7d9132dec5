"""The possible futures of one series, drawn once and shared by all of its limits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S, SECOND_US
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.result import HORIZON_DAYS, PATH_QUANTILES

PATHS = 500
NOISE_DRAWS = 8

# Every three hours for two days, which shows a daily cycle; then whole days only, so that the cycle does not
# alias.
PATH_OFFSETS_S = np.concatenate(
    (
        np.arange(0, 2 * DAY_S + 1, 3 * HOUR_S, dtype=np.int64),
        np.arange(4 * DAY_S, HORIZON_DAYS * DAY_S + 1, 2 * DAY_S, dtype=np.int64),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Futures:
    """`latent` (paths, n) at `ts_us` (n,); `path_quantiles` of the observed value at `path_ts_us` (61,)."""

    ts_us: NDArray[np.int64]
    latent: NDArray[np.float64]
    path_ts_us: NDArray[np.int64]
    path_quantiles: dict[str, list[float]]


def draw_futures(*, model: LatentModel, now_us: int, bucket_s: int, seed: int) -> Futures:
    """Latent paths from now to the horizon, one step a bucket (at most a day), reproducible by the seed."""
    rng = np.random.default_rng(seed)
    path_ts_us = now_us + PATH_OFFSETS_S * SECOND_US
    steps_us = np.arange(0, HORIZON_DAYS * DAY_US + 1, min(bucket_s, DAY_S) * SECOND_US, dtype=np.int64)
    ts_us = np.union1d(now_us + steps_us, path_ts_us)
    latent = model.sample(ts_us=ts_us, paths=PATHS, rng=rng)
    at_path = latent[:, np.searchsorted(ts_us, path_ts_us)]
    observed = at_path + rng.normal(0.0, model.noise_sd, size=(NOISE_DRAWS, *at_path.shape))
    by_instant = np.ascontiguousarray(observed.reshape(-1, len(path_ts_us)).T)
    bands = np.quantile(by_instant, list(PATH_QUANTILES.values()), axis=1)
    return Futures(ts_us, latent, path_ts_us, dict(zip(PATH_QUANTILES, bands.tolist(), strict=True)))
