"""The possible futures of one series, drawn once and shared by all of its limits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, HOUR_S, SECOND_US
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.result import HORIZON_DAYS, PATH_QUANTILES

PATHS = 500

# Where paths are drawn; in between they are straight. One change of slope matters most in the first days.
FINE_DAYS = 2
KNOTS_A_FINE_DAY = 8
KNOT_OFFSETS_S = np.concatenate(
    (
        np.arange(0, FINE_DAYS * DAY_S, DAY_S // KNOTS_A_FINE_DAY, dtype=np.int64),
        np.arange(FINE_DAYS * DAY_S, HORIZON_DAYS * DAY_S + 1, DAY_S, dtype=np.int64),
    )
)

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
    """Every path is one course, with its seasons, plus what this path deviates from it.

    `course` (n,) every `step_us` from `start_us` on. `deviations` (paths, k) at the steps `knots` (k,) of the
    course, of which the first is 0 and the last is n - 1; in between they go on in a straight line.
    `path_quantiles` are those of the observed value at `path_ts_us` (61,).
    """

    start_us: int
    step_us: int
    course: NDArray[np.float64]
    knots: NDArray[np.int64]
    deviations: NDArray[np.float64]
    path_ts_us: NDArray[np.int64]
    path_quantiles: dict[str, list[float]]


def draw_futures(*, model: LatentModel, now_us: int, bucket_s: int, seed: int) -> Futures:
    """Paths from now to the horizon, reproducible by the seed; by the hour, or three for coarser buckets."""
    step_s = HOUR_S if bucket_s < 3 * HOUR_S else 3 * HOUR_S
    course = model.course(
        start_us=now_us, step_us=step_s * SECOND_US, count=HORIZON_DAYS * (DAY_S // step_s) + 1
    )
    deviations = model.deviate(
        ts_us=now_us + KNOT_OFFSETS_S * SECOND_US, paths=PATHS, rng=np.random.default_rng(seed)
    )
    path_ts_us = now_us + PATH_OFFSETS_S * SECOND_US
    bands = course[PATH_OFFSETS_S // step_s] + model.reach(
        ts_us=path_ts_us, shares=tuple(PATH_QUANTILES.values())
    )
    return Futures(
        start_us=now_us,
        step_us=step_s * SECOND_US,
        course=course,
        knots=KNOT_OFFSETS_S // step_s,
        deviations=deviations,
        path_ts_us=path_ts_us,
        path_quantiles=dict(zip(PATH_QUANTILES, to_significant_digits(bands).tolist(), strict=True)),
    )


def to_significant_digits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Six of them: more says nothing, and the last of a fit depend on which others were fitted with it."""
    magnitude = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    factor = 10.0 ** (5.0 - np.clip(magnitude, -290.0, 290.0))
    return np.round(values * factor) / factor
