"""How many events lie in a window of time that moves along. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Moments = npt.NDArray[np.int64]


class Happened(NamedTuple):
    """Distinct moments in microseconds since 1970, rising, and how many events were at each; shape (n,) both."""

    ts_us: Moments
    events: npt.NDArray[np.int64]

    def until(self, ts_us: Moments) -> npt.NDArray[np.int64]:
        """How many had happened by each of these moments, that moment included; shape as given."""
        total = np.r_[0, np.cumsum(self.events)]
        return total[np.searchsorted(self.ts_us, ts_us, side="right")]


def count_at(
    ts_us: Moments, *, before: int, arriving: Happened, leaving: Happened, window_us: int
) -> npt.NDArray[np.int64]:
    """The number of events in (t - window, t] for each t of `ts_us`, shape (k,).

    `before` is the number in the window just before the first t; `arriving` are the events from the first t on, and
    `leaving` those that leave the window from then on, each by when it happened.
    """
    return before + arriving.until(ts_us) - leaving.until(ts_us - window_us)
