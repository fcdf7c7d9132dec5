"""How good probabilities were: scores from sums, so that a million predictions need not be read one by one.

A prediction is resolved at so many days when they have passed: either a failure came within them (1) or none did (0).
Predictions of one limit on neighbouring days tell of the same stretch of time. Each counts in a score, but an
interval that took them for independent would be far too narrow: it counts stretches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
ENOUGH_RESOLVED = 20
ENOUGH_IN_BIN = 10
ENOUGH_PATHS = 20
ENOUGH_LEAD_TIMES = 5
FEW_FAILURES = 5
Z_95 = 1.959963984540054
DAY_S = 86_400
# Where a lead time falls, in whole days: under the first, from one to the next, from the last on.
LEAD_EDGES_D = (1, 7, 14, 30)


@dataclass(frozen=True)
class Tally:
    """Sums over resolved predictions, with probability p and y = 1 where a failure came, 0 where none did.

    `failed` is the sum of y, `probability` of p, `squared_error` of (p - y)^2. `stretches` is how many stretches of
    time of one limit they tell of, `failures` how many separate failures, `limits` how many limits. `censored`
    predictions were cut short by a repair and are in none of these sums.
    """

    resolved: int = 0
    failed: int = 0
    probability: float = 0.0
    squared_error: float = 0.0
    censored: int = 0
    limits: int = 0
    stretches: int = 0
    failures: int = 0

    @property
    def has_both_outcomes(self) -> bool:
        return 0 < self.failed < self.resolved

    @property
    def base_rate(self) -> float | None:
        """Share of the resolved that failed; None without any."""
        return self.failed / self.resolved if self.resolved else None

    @property
    def mean_probability(self) -> float | None:
        """What was foretold on average; None without any."""
        return self.probability / self.resolved if self.resolved else None

    @property
    def brier(self) -> float | None:
        """Mean of (p - y)^2, 0 is perfect (Brier, Monthly Weather Review 78, 1950); None below ENOUGH_RESOLVED."""
        return self.squared_error / self.resolved if self.resolved >= ENOUGH_RESOLVED else None

    @property
    def brier_of_base_rate(self) -> float | None:
        """The score of saying the base rate each time, known afterwards: its variance o (1 - o) (Murphy 1973)."""
        if self.resolved < ENOUGH_RESOLVED:
            return None
        share = self.failed / self.resolved
        return share * (1 - share)

    @property
    def skill(self) -> float | None:
        """1 - Brier score / that of the base rate: 1 is perfect, 0 as good as the base rate, below 0 worse.

        None below ENOUGH_RESOLVED, and where only one outcome occurred: the base rate would be perfect.
        """
        if not self.has_both_outcomes or self.brier is None or self.brier_of_base_rate is None:
            return None
        return 1 - self.brier / self.brier_of_base_rate


@dataclass(frozen=True)
class Bin:
    """Predictions whose probability lay in [low, high): what was foretold on average, and what happened.

    `observed` and its 95 % interval are None below ENOUGH_IN_BIN.
    """

    low: float
    high: float
    count: int
    stretches: int
    foretold: float | None
    observed: float | None
    observed_low: float | None
    observed_high: float | None


def reliability(tallies: Sequence[Tally]) -> list[Bin]:
    """The reliability diagram (Murphy and Winkler 1977) of BINS tallies, equally wide, from the lowest probability up.

    The interval is Wilson's, of as many independent trials as there are stretches.
    """
    return [
        _bin(tally, low=position / len(tallies), high=(position + 1) / len(tallies))
        for position, tally in enumerate(tallies)
    ]


def _bin(tally: Tally, *, low: float, high: float) -> Bin:
    is_enough = tally.resolved >= ENOUGH_IN_BIN
    observed = tally.base_rate if is_enough else None
    interval = (None, None) if observed is None else wilson(observed, tally.stretches)
    return Bin(low, high, tally.resolved, tally.stretches, tally.mean_probability, observed, *interval)


def wilson(share: float, trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a binomial share (Wilson, JASA 22, 1927) from `trials` > 0 independent trials."""
    if trials < 1:
        raise ValueError("An interval needs at least one trial.")
    widened = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / widened
    half = z / widened * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Coverage:
    """Hours compared with what was foretold for them, and how many lay inside of each band."""

    paths: int = 0
    hours: int = 0
    inside_90: int = 0
    inside_80: int = 0

    @property
    def share_90(self) -> float | None:
        """Share between the 5 % and 95 % quantiles, which should be 0.9; None below ENOUGH_PATHS."""
        return self.inside_90 / self.hours if self.paths >= ENOUGH_PATHS else None

    @property
    def share_80(self) -> float | None:
        """Share between the 10 % and 90 % quantiles, which should be 0.8; None below ENOUGH_PATHS."""
        return self.inside_80 / self.hours if self.paths >= ENOUGH_PATHS else None


@dataclass(frozen=True)
class LeadTimes:
    """Of true positives, in days: quartiles, extremes, and counts between LEAD_EDGES_D (one more than edges)."""

    count: int
    shortest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    longest: float
    histogram: tuple[int, ...]


def summarise_lead_times(seconds: NDArray[np.float64]) -> LeadTimes | None:
    """The distribution of lead times (n,) in seconds; None below ENOUGH_LEAD_TIMES."""
    if len(seconds) < ENOUGH_LEAD_TIMES:
        return None
    days = seconds / DAY_S
    places = np.searchsorted(LEAD_EDGES_D, days, side="right")
    histogram = np.bincount(places, minlength=len(LEAD_EDGES_D) + 1)
    shortest, lower, median, upper, longest = np.quantile(days, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return LeadTimes(len(days), shortest, lower, median, upper, longest, tuple(histogram.tolist()))
