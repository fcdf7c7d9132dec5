"""Prophet's model as a candidate of the contest: fitted to every context on its grid, all at once."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import SECOND_US
from predictions.forecasting.candidates import last_level
from predictions.forecasting.cycles import Context
from predictions.forecasting.guards import Season, seasons_of
from predictions.forecasting.solver import fit_fleet

POINTS_AT_LEAST = 30  # in fewer a line is read out of noise


def prophet_path(context: Context, step_s: float, horizon: int) -> NDArray[np.float64]:
    """Trend and seasons of each context, (series, horizon).

    The last level where there is too little to fit, or no optimum was found: who competes has to say something.
    """
    path = last_level(context, step_s, horizon)
    ahead = np.arange(context.shape[1], context.shape[1] + horizon)
    alike: dict[tuple[Season, ...], list[int]] = defaultdict(list)
    for row, values in enumerate(context):
        present = np.flatnonzero(np.isfinite(values))
        if len(present) >= POINTS_AT_LEAST:
            alike[_seasons_of(present, int(step_s))].append(row)
    for seasons, rows in alike.items():
        low = np.nanmin(context[rows], axis=1, keepdims=True)
        scale = np.nanmax(context[rows], axis=1, keepdims=True) - low
        scale = np.where(scale > 0, scale, 1.0)
        fit = fit_fleet((context[rows] - low) / scale, bucket_s=int(step_s), seasons=seasons)
        path[rows] = np.where(fit.converged[:, None], low + scale * fit.latent(ahead), path[rows])
    return path


def _seasons_of(present: NDArray[np.intp], step_s: int) -> tuple[Season, ...]:
    """The cycles that fit three times between the first and the last of the points that are there."""
    covered_s = (int(present[-1] - present[0]) + 1) * step_s
    return seasons_of(present * step_s * SECOND_US, step_s, covered_s=covered_s)
