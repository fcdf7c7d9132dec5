"""First passage: when does each possible future cross the limit?"""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.futures import Futures
from predictions.forecasting.request import LimitTarget

NEVER_US = np.iinfo(np.int64).max


def first_passage(*, futures: Futures, limit: LimitTarget) -> NDArray[np.int64]:
    """The instant (paths,) of the first step of the course at which each path is at or beyond the limit, or NEVER_US.

    Between two knots a path may cross only if the larger of its deviations at both reaches the least room that the
    course leaves there. Only such stretches are looked at step by step, for each path the earliest first.
    """
    deviations, room = futures.deviations, limit.value - futures.course
    if limit.direction == "low":
        deviations, room = -deviations, -room
    least_room = np.minimum(np.minimum.reduceat(room, futures.knots[:-1]), room[futures.knots[1:]])
    may_cross = np.maximum(deviations[:, :-1], deviations[:, 1:]) >= least_room
    longest = np.arange(np.diff(futures.knots).max() + 1)
    crossed_us = np.full(len(deviations), NEVER_US)
    undecided = np.flatnonzero(may_cross.any(axis=1))
    while len(undecided):
        stretch = may_cross[undecided].argmax(axis=1)
        begin, end = futures.knots[stretch, None], futures.knots[stretch + 1, None]
        steps = np.minimum(begin + longest, end)  # a shorter stretch repeats its last step
        shares = (steps - begin) / (end - begin)
        moved = deviations[undecided, stretch, None] * (1 - shares)
        moved += deviations[undecided, stretch + 1, None] * shares
        is_beyond = moved >= room[steps]
        crosses = is_beyond.any(axis=1)
        first = steps[crosses, is_beyond[crosses].argmax(axis=1)]
        crossed_us[undecided[crosses]] = futures.start_us + first * futures.step_us
        may_cross[undecided, stretch] = False
        undecided = undecided[~crosses & may_cross[undecided].any(axis=1)]
    return crossed_us
