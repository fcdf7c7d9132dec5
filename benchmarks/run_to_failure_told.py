"""What was foretold of a life, beside what was really left of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.run_to_failure_data import Life
from predictions.forecasting.buckets import DAY_US

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One life and what was foretold of it at `asked_us` (n,): days until P10, P50, P90 (3, n), NaN beyond the horizon.

    `was_possible` (n,) tells where the product made a forecast at all.
    """

    life: Life
    asked_us: NDArray[np.int64]
    days: Floats
    was_possible: NDArray[np.bool_]

    @property
    def true_days(self) -> Floats:
        """Days that were really left, (n,); NaN for a life in which nothing came."""
        if self.life.failed_us is None:
            return np.full(len(self.asked_us), np.nan)
        return (self.life.failed_us - self.asked_us) / DAY_US

    def settled(self, tolerance_days: float) -> float | None:
        """How many days were left when the median was first right and right ever after; None where the last was wrong.

        Where no forecast was possible, in a pause, the one before it stands.
        """
        right = np.abs(self.days[1] - self.true_days)[self.was_possible] <= tolerance_days
        wrong = np.flatnonzero(~right)
        first = int(wrong[-1]) + 1 if len(wrong) else 0
        return float(self.true_days[self.was_possible][first]) if first < len(right) else None
