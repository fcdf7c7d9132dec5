"""A path with honest intervals: the winner of the contest forecasts, its own past errors give the intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.candidates import CANDIDATES, INCUMBENT, Candidate
from predictions.forecasting.conformal import KinScale, interval_offsets
from predictions.forecasting.contest import ContestResult, hold_contest, winning
from predictions.forecasting.cycles import Context, cycle_points
from predictions.forecasting.rolling_origin import choose_origins, past_errors

NUMBERS_AT_ONCE = 4_000_000  # of series x origins x points: some 30 MB an array


@dataclass(frozen=True, slots=True, eq=False)
class PathForecast:
    """`path` (series, horizon), `quantiles` of the reading per level, (series, horizon) each, and who won and why.

    `past_errors` (series, origins, horizon) are the winner's, for pooling over a kind of equipment.
    """

    path: NDArray[np.float64]
    quantiles: dict[float, NDArray[np.float64]]
    contests: list[ContestResult]
    past_errors: NDArray[np.float64]


def forecast_paths(
    context: Context,
    *,
    step_s: float,
    horizon: int,
    quantiles: tuple[float, ...],
    candidates: Mapping[str, Candidate] = CANDIDATES,
    incumbent: str = INCUMBENT,
    kin: KinScale | None = None,
) -> PathForecast:
    """Forecast every series of `context` (series, points) by the winner of its own contest.

    Everything that is chosen (candidate, intervals) is chosen from inside the context. A series without any
    reading gets NaN. Quantiles never cross the path.
    """
    points = context.shape[1]
    origins = choose_origins(points=points, step_s=step_s)
    at_once = max(1, NUMBERS_AT_ONCE // ((origins.count + 1) * (points + horizon)))
    parts = [
        _forecast(
            context[begin : begin + at_once],
            step_s=step_s,
            horizon=horizon,
            quantiles=quantiles,
            candidates=candidates,
            incumbent=incumbent,
            kin=kin,
        )
        for begin in range(0, len(context), at_once)
    ]
    return PathForecast(
        path=np.concatenate([part.path for part in parts]),
        quantiles={level: np.concatenate([part.quantiles[level] for part in parts]) for level in quantiles},
        contests=[contest for part in parts for contest in part.contests],
        past_errors=np.concatenate([part.past_errors for part in parts]),
    )


def _forecast(
    context: Context,
    *,
    step_s: float,
    horizon: int,
    quantiles: tuple[float, ...],
    candidates: Mapping[str, Candidate],
    incumbent: str,
    kin: KinScale | None,
) -> PathForecast:
    points = context.shape[1]
    cycle = cycle_points(points=points, step_s=step_s)
    origins = choose_origins(points=points, step_s=step_s)
    errors = past_errors(context, step_s=step_s, horizon=horizon, candidates=candidates)
    contests = hold_contest(errors, incumbent=incumbent, origins_overlap=horizon / origins.step)
    wanted = {name for contest in contests for name in contest.winners}
    path = winning({name: candidates[name](context, step_s, horizon) for name in sorted(wanted)}, contests)
    won = winning(errors, contests)
    offsets = interval_offsets(won, context=context, cycle=cycle, quantiles=quantiles, kin=kin)
    return PathForecast(path, {level: path + offset for level, offset in offsets.items()}, contests, won)
