"""A path with honest intervals: the winner of the contest forecasts, its own past errors give the intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.candidates import CANDIDATES, INCUMBENT, Candidate
from predictions.forecasting.conformal import interval_offsets
from predictions.forecasting.contest import PLUS, ContestResult, hold_contest, winning
from predictions.forecasting.cycles import Context, cycle_points
from predictions.forecasting.rolling_origin import ORIGINS_AT_MOST, choose_origins, past_errors

NUMBERS_AT_ONCE = 1_000_000  # of series x origins x points: some 8 MB an array


@dataclass(frozen=True, slots=True, eq=False)
class PathForecast:
    """`path` (series, horizon), `quantiles` of the reading per level, (series, horizon) each, and who won and why.

    `contests` is empty where none was held.
    """

    path: NDArray[np.float64]
    quantiles: dict[float, NDArray[np.float64]]
    contests: list[ContestResult]


def forecast_paths(
    context: Context,
    *,
    step_s: float,
    horizon: int,
    quantiles: tuple[float, ...],
    candidates: Mapping[str, Candidate] = CANDIDATES,
    incumbents: Sequence[str] | None = None,
    is_contested: bool = True,
    origins_at_most: int = ORIGINS_AT_MOST,
    contest_horizon: int | None = None,
) -> PathForecast:
    """Forecast every series of `context` (series, points) by the winner of its own contest.

    Everything that is chosen (candidate, intervals) is chosen from inside the context. `incumbents` names who holds
    each series, a candidate or two joined by a plus; without a contest they forecast, and no other candidate has to
    say what it would have forecast before. `contest_horizon` has the contest look at fewer points than are forecast:
    long ones leave few origins that share no truth, and so little evidence. A series without any reading gets NaN.
    Quantiles never cross the path.
    """
    points = context.shape[1]
    incumbents = [INCUMBENT] * len(context) if incumbents is None else list(incumbents)
    origins = choose_origins(points=points, step_s=step_s, at_most=origins_at_most)
    at_once = max(1, NUMBERS_AT_ONCE // ((origins.count + 1) * (points + horizon)))
    cycle = cycle_points(points=points, step_s=step_s)
    compared = min(horizon, contest_horizon or horizon)
    parts = []
    for begin in range(0, len(context), at_once):
        some, held = context[begin : begin + at_once], incumbents[begin : begin + at_once]
        wanted = set(candidates) if is_contested else {name for one in held for name in one.split(PLUS)}
        entrants = {name: one for name, one in candidates.items() if name in wanted}
        errors = past_errors(some, step_s=step_s, horizon=horizon, candidates=entrants, origins=origins)
        contests = (
            hold_contest(
                {name: error[:, :, :compared] for name, error in errors.items()},
                incumbents=held,
                origins_overlap=compared / origins.step,
            )
            if is_contested
            else []
        )
        winners = [contest.name for contest in contests] or held
        path = _winning_paths(some, winners, step_s=step_s, horizon=horizon, candidates=candidates)
        offsets = interval_offsets(winning(errors, winners), context=some, cycle=cycle, quantiles=quantiles)
        at = {level: path + offset for level, offset in offsets.items()}
        parts.append(PathForecast(path, at, contests))
    return PathForecast(
        path=np.concatenate([part.path for part in parts]),
        quantiles={level: np.concatenate([part.quantiles[level] for part in parts]) for level in quantiles},
        contests=[contest for part in parts for contest in part.contests],
    )


def _winning_paths(
    context: Context,
    winners: Sequence[str],
    *,
    step_s: float,
    horizon: int,
    candidates: Mapping[str, Candidate],
) -> NDArray[np.float64]:
    """Each winner forecasts its own series only; (series, horizon)."""
    path = np.zeros((len(context), horizon))
    shares = [winner.split(PLUS) for winner in winners]
    for name in sorted({name for share in shares for name in share}):
        own = [series for series, share in enumerate(shares) if name in share]
        weight = np.array([1 / len(shares[series]) for series in own])
        path[own] += weight[:, None] * candidates[name](context[own], step_s, horizon)
    return path
