"""The two weeks ahead of every series: the winner of its contest, with intervals from its own past errors.

All is decided inside a series' own history. Series with equally long grids only share the work.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, HOUR_S, SECOND_US
from predictions.forecasting.candidates import CANDIDATES, PROPHET, Candidate
from predictions.forecasting.champions import Champion
from predictions.forecasting.contest import PLUS
from predictions.forecasting.cycles import WEEK_DAYS, Context
from predictions.forecasting.futures import PATH_OFFSETS_S, to_significant_digits
from predictions.forecasting.history import History
from predictions.forecasting.path_forecast import PathForecast, forecast_paths
from predictions.forecasting.prophet_candidate import prophet_path
from predictions.forecasting.result import PATH_QUANTILES

PATH_DAYS = 14
COMPARED_DAYS = 7  # what the contest looks at: over two weeks six weeks hold next to no independent evidence
FADING_DAYS = 14
# The path is told every three hours. Each phase of a day is a mean of its own: the hours between would cost
# nine times the work and tell it little.
STEP_S = 3 * HOUR_S
CONTEXT_POINTS = 336  # six weeks of three hours
POINTS_AT_LEAST = 4
ORIGINS_AT_MOST = 14
CONTEST_EVERY_S = DAY_S
LEVELS = tuple(PATH_QUANTILES.values())
MEDIAN = PATH_QUANTILES["p50"]
NEAR = PATH_OFFSETS_S <= PATH_DAYS * DAY_S


@dataclass(frozen=True, slots=True, eq=False)
class PathInput:
    """A history and who forecast it last. `with_prophet` lets Prophet's model compete, which costs a fit an origin."""

    key: str
    history: History
    now_us: int
    champion: Champion
    with_prophet: bool

    @property
    def is_contested(self) -> bool:
        """A contest a day is enough; one in which Prophet's model may compete is held whenever it may."""
        held_at_us = self.champion.held_at_us
        if held_at_us is None or self.with_prophet:
            return True
        return self.now_us - held_at_us >= CONTEST_EVERY_S * SECOND_US

    @property
    def needs_prophet(self) -> bool:
        """Prophet's model may compete, or has the place already."""
        return self.with_prophet or PROPHET in self.champion.name.split(PLUS)


@dataclass(frozen=True, slots=True, eq=False)
class NearPath:
    """`quantiles` (levels, n) of what a sensor will show at the first n instants of a path, and who says so."""

    quantiles: NDArray[np.float64]
    champion: Champion


def near_paths(inputs: Sequence[PathInput]) -> list[NearPath | None]:
    """One per input, in order; None where the buckets are too coarse or too few for a path of two weeks."""
    found: list[NearPath | None] = [None] * len(inputs)
    alike: dict[tuple[int, int, str, bool], list[int]] = defaultdict(list)
    for place, one in enumerate(inputs):
        step_s, points = grid_of(one.history, now_us=one.now_us)
        if step_s <= PATH_DAYS * DAY_S and points >= POINTS_AT_LEAST:
            # Where a contest is held all candidates are computed for all; elsewhere only those who hold the place.
            holder = "" if one.is_contested else one.champion.name
            alike[step_s, points, holder, one.needs_prophet].append(place)
    for (step_s, points, holder, needs_prophet), places in alike.items():
        own = [inputs[place] for place in places]
        paths = _forecast(own, step_s=step_s, points=points, holder=holder, needs_prophet=needs_prophet)
        levels = np.stack([paths.quantiles[level] for level in LEVELS])
        present = np.array([one.history.level for one in own])
        since_newest = np.array([_since_newest(one, step_s=step_s) for one in own])
        quantiles = _at_instants(levels, present, since_newest=since_newest, step_s=step_s)
        for row, place in enumerate(places):
            one = inputs[place]
            champion = one.champion if holder else one.champion.after(paths.contests[row], now_us=one.now_us)
            if np.isfinite(quantiles[:, row]).all():
                found[place] = NearPath(quantiles[:, row], champion)
    return found


def grid_of(history: History, *, now_us: int) -> tuple[int, int]:
    """Seconds a point, and how many points a history has on its grid: whole days, or weeks of coarser buckets.

    Hours are taken three at a time. Only the last six weeks of these count, more of coarser buckets.
    """
    step_s = STEP_S if history.bucket_s == HOUR_S else history.bucket_s
    covered = int((now_us - history.ts_us[0]) // (step_s * SECOND_US)) + 1
    cycle = DAY_S // step_s if step_s * POINTS_AT_LEAST <= DAY_S else WEEK_DAYS
    limited = min(covered, CONTEXT_POINTS)
    return step_s, limited // cycle * cycle if limited >= 2 * cycle else limited


def on_grid(history: History, *, now_us: int, step_s: int, points: int) -> NDArray[np.float64]:
    """The newest value (points,) of each step; the last one ends with the bucket of now. NaN where there is none."""
    bucket_us = history.bucket_s * SECOND_US
    back = (now_us // bucket_us * bucket_us - history.ts_us) // (step_s * SECOND_US)
    row = np.full(points, np.nan)
    near = back < points
    # Ascending in time: of several values in one step the newest is written last.
    row[points - 1 - back[near]] = history.values[near]
    return row


def blend(
    quantiles: Mapping[str, Sequence[float]], near: NearPath, offsets_s: NDArray[np.int64] = PATH_OFFSETS_S
) -> dict[str, list[float]]:
    """A model's quantiles for the whole horizon with the first two weeks of the contest's winner.

    After them the difference of the two medians fades out over two more weeks; the interval is the model's own, or
    the winner's last one grown with the square root of time, whichever is wider.
    """
    model = np.array([quantiles[name] for name in PATH_QUANTILES])
    middle = list(PATH_QUANTILES).index("p50")
    count = near.quantiles.shape[1]
    last_s = float(offsets_s[count - 1])
    ahead_s = offsets_s[count:]
    fade = np.clip(1 - (ahead_s - last_s) / (FADING_DAYS * DAY_S), 0.0, 1.0)
    jump = near.quantiles[middle, -1] - model[middle, count - 1]
    centre = model[middle, count:] + jump * fade
    own = model[:, count:] - model[middle, count:]
    continued = (near.quantiles[:, -1:] - near.quantiles[middle, -1]) * np.sqrt(ahead_s / last_s)
    wider = np.where(np.abs(continued) > np.abs(own), continued, own)
    whole = np.concatenate((near.quantiles, centre + wider), axis=1)
    return dict(zip(PATH_QUANTILES, to_significant_digits(whole).tolist(), strict=True))


def _forecast(
    inputs: Sequence[PathInput], *, step_s: int, points: int, holder: str, needs_prophet: bool
) -> PathForecast:
    context: Context = np.stack(
        [on_grid(one.history, now_us=one.now_us, step_s=step_s, points=points) for one in inputs]
    )
    candidates: dict[str, Candidate] = dict(CANDIDATES)
    if needs_prophet:
        candidates[PROPHET] = prophet_path
    return forecast_paths(
        context,
        step_s=float(step_s),
        horizon=max(1, PATH_DAYS * DAY_S // step_s),
        quantiles=LEVELS,
        candidates=candidates,
        incumbents=[one.champion.name for one in inputs],
        is_contested=not holder,
        origins_at_most=ORIGINS_AT_MOST,
        contest_horizon=max(1, COMPARED_DAYS * DAY_S // step_s),
    )


def _since_newest(one: PathInput, *, step_s: int) -> float:
    """From the moment of the grid's last point until now, in steps: less than one, and negative in a young bucket."""
    history = one.history
    return (one.now_us % (history.bucket_s * SECOND_US) - history.lag_us) / (step_s * SECOND_US)


def _at_instants(
    levels: NDArray[np.float64],
    present: NDArray[np.float64],
    *,
    since_newest: NDArray[np.float64],
    step_s: int,
) -> NDArray[np.float64]:
    """Quantiles (levels, series, horizon) at the instants of a path, (levels, series, n).

    The first step lies `step_s` after the grid's last point, and that one `since_newest` (series,) steps before now.
    Now itself is at the `present` level (series,), as uncertain as the first step.
    """
    middle = LEVELS.index(MEDIAN)
    begin = levels[:, :, :1] - levels[middle, :, :1] + present[:, None]
    whole = np.concatenate((begin, levels), axis=2)
    place = np.minimum(PATH_OFFSETS_S[NEAR] / step_s + since_newest[:, None], whole.shape[2] - 1.0)
    before = np.clip(np.floor(place).astype(np.int64), 0, whole.shape[2] - 2)
    since = since_newest[:, None]
    share = np.where(before == 0, (place - since) / (1 - since), place - before)
    earlier, later = (np.take_along_axis(whole, at[None], axis=2) for at in (before, before + 1))
    return earlier * (1 - share) + later * share
