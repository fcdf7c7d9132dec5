"""Forecasting a series' own past: what each candidate would have said at earlier origins, and how wrong it was."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.candidates import Candidate
from predictions.forecasting.cycles import Context, cycle_points

ORIGINS_AT_MOST = 28
ORIGINS_WITHOUT_CYCLE = 20
TURNS_AT_LEAST = 8  # of history at the earliest origin, when there are that many
SHARE_AT_LEAST = 3  # else a third of the context


@dataclass(frozen=True, slots=True)
class Origins:
    """Earlier origins of a context: `step`, 2 `step`, ... `count` `step` points before its end."""

    step: int
    count: int


def choose_origins(*, points: int, step_s: float, at_most: int = ORIGINS_AT_MOST) -> Origins:
    """One origin a cycle, so that each horizon is met at its own phase; about twenty where there is no cycle.

    The earliest origin has eight turns of history, or a third of the context where that is less. With `at_most`
    below what a context allows they lie as many cycles apart as reach back as far.
    """
    cycle = cycle_points(points=points, step_s=step_s)
    least = (
        min(TURNS_AT_LEAST * cycle, max(2 * cycle, points // SHARE_AT_LEAST))
        if cycle > 1
        else points // SHARE_AT_LEAST
    )
    room = max(0, points - least)
    step = cycle if cycle > 1 else max(1, room // ORIGINS_WITHOUT_CYCLE)
    possible = min(room // step, ORIGINS_AT_MOST)
    apart = max(1, -(-possible // at_most))
    return Origins(step * apart, possible // apart)


def past_errors(
    context: Context, *, step_s: float, horizon: int, candidates: Mapping[str, Candidate], origins: Origins
) -> dict[str, NDArray[np.float64]]:
    """Reading minus forecast per candidate, (series, origins, horizon); the newest origin first.

    Each origin is given only what lies before it. NaN beyond the end of the context and in its gaps.

    A context of the product had its outliers masked as a whole (`cleaning.py`): whether one of the last five values
    before an origin stands out was told by those after it too, and an outlier is no truth to be missed.
    """
    series, points = context.shape
    truth = np.full((series, origins.count, horizon), np.nan)
    earlier = np.full((series, origins.count, points), np.nan)
    for index in range(origins.count):
        back = (index + 1) * origins.step
        known = min(horizon, back)
        truth[:, index, :known] = context[:, points - back : points - back + known]
        earlier[:, index, back:] = context[:, : points - back]
    flat = earlier.reshape(-1, points)
    return {
        name: truth - candidate(flat, step_s, horizon).reshape(truth.shape)
        for name, candidate in candidates.items()
    }
