"""First passage: when does each possible future cross the limit?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.request import LimitTarget

NEVER_US = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class FirstPassage:
    """`crossed_us` (paths,): the instant at which each path first is at or beyond the limit, or NEVER_US."""

    crossed_us: NDArray[np.int64]

    def probability_by(self, instant_us: int) -> float:
        """Share of the paths that have crossed at or before an instant."""
        return float(np.mean(self.crossed_us <= instant_us))

    def probabilities(self, *, now_us: int, days_ahead: tuple[int, ...]) -> dict[int, float]:
        """Share of the paths that have crossed within so many days."""
        return {days: self.probability_by(now_us + days * DAY_US) for days in days_ahead}

    def quantile(self, share: float) -> int | None:
        """The instant by which `share` of all paths have crossed; None when fewer do within the horizon."""
        rank = int(np.ceil(share * len(self.crossed_us))) - 1
        instant = int(np.partition(self.crossed_us, rank)[rank])
        return None if instant == NEVER_US else instant


def first_passage(
    *, latent: NDArray[np.float64], ts_us: NDArray[np.int64], limit: LimitTarget
) -> FirstPassage:
    """First instant of `ts_us` (n,) at which each latent path of (paths, n) is at or beyond the limit."""
    beyond = limit.are_crossed_by(latent)
    first = np.where(beyond.any(axis=1), ts_us[beyond.argmax(axis=1)], NEVER_US)
    return FirstPassage(crossed_us=first)
