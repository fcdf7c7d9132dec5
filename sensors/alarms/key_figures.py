"""Key figures of an alarm system after EEMUA 191 and ANSI/ISA-18.2. Pure.

Times are microseconds since 1970, in order. An annunciation is a call: an alarm became unacknowledged.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors.alarms.severity import SEVERITIES

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
TEN_MINUTES_US = 10 * MINUTE_US
CHATTERS_FROM, CHATTERS_WITHIN_US = 3, MINUTE_US
"""ISA-18.2: an alarm that calls three times or more in a minute chatters."""
REPEATS_WITHIN_US = HOUR_US
"""One that does so in an hour comes and goes too often to be acted upon each time."""
ENOUGH_HOURS = 24.0
"""A rate is told from a day on."""
ENOUGH_CALLS = 20
"""Shares of severities are told from so many calls on."""

# EEMUA 191 and ISA-18.2: calls per person and hour that are very likely acceptable, and that are the most manageable.
ACCEPTABLE_PER_HOUR, MANAGEABLE_PER_HOUR = 6.0, 12.0
MOST_IN_TEN_MINUTES = 10
MOST_STANDING = 5
WANTED_SHARES = {"critical": 0.01, "major": 0.05, "minor": 0.15, "warning": 0.80}
"""What share of each severity EEMUA 191 wants, of four."""


@dataclass(frozen=True)
class Frequent:
    """One alarm (machine and failure mode) and how often it called."""

    point: int
    calls: int
    share: float
    most_in_a_minute: int
    most_in_an_hour: int

    @property
    def is_chattering(self) -> bool:
        return self.most_in_a_minute >= CHATTERS_FROM

    @property
    def is_repeating(self) -> bool:
        return self.most_in_an_hour >= CHATTERS_FROM


@dataclass(frozen=True)
class KeyFigures:
    """The figures of a span of time; None where there is not enough of it to tell."""

    calls: int
    hours: float
    per_person_hour: float | None
    peak: int | None
    """Most calls within any ten minutes."""
    peak_at_us: int | None
    """When those ten minutes began."""
    busy_share: float | None
    """The share of whole ten minutes with more than ten calls; ISA-18.2 wants less than one in a hundred."""
    shares: dict[str, float] | None
    """By severity."""
    frequent: list[Frequent]
    """The most frequent first."""


def key_figures(
    at_us: NDArray[np.int64],
    points: NDArray[np.int64],
    severities: Sequence[str],
    *,
    begin_us: int,
    end_us: int,
    operators: int,
    most_frequent: int = 10,
) -> KeyFigures:
    """The key figures of calls between `begin_us` and `end_us`; all three sequences of the same length, in order."""
    hours = max(end_us - begin_us, 0) / HOUR_US
    calls = len(at_us)
    is_enough = hours >= ENOUGH_HOURS
    peak, peak_at_us = peak_within(at_us, TEN_MINUTES_US)
    return KeyFigures(
        calls=calls,
        hours=hours,
        per_person_hour=calls / hours / operators if is_enough else None,
        peak=peak if is_enough else None,
        peak_at_us=peak_at_us if is_enough else None,
        busy_share=_busy_share(at_us, begin_us, end_us) if is_enough else None,
        shares=_shares(severities),
        frequent=_frequent(at_us, points)[:most_frequent],
    )


def peak_within(at_us: NDArray[np.int64], window_us: int) -> tuple[int, int | None]:
    """The most calls within any window of that length (its end left out), and when the first such begins."""
    if not len(at_us):
        return 0, None
    behind = np.searchsorted(at_us, at_us + window_us, side="left")
    counts = behind - np.arange(len(at_us))
    busiest = int(np.argmax(counts))
    return int(counts[busiest]), int(at_us[busiest])


def _busy_share(at_us: NDArray[np.int64], begin_us: int, end_us: int) -> float | None:
    windows = (end_us - begin_us) // TEN_MINUTES_US
    if not windows:
        return None
    counts = np.bincount((at_us - begin_us) // TEN_MINUTES_US, minlength=windows)[:windows]
    return float(np.count_nonzero(counts > MOST_IN_TEN_MINUTES) / windows)


def _shares(severities: Sequence[str]) -> dict[str, float] | None:
    if len(severities) < ENOUGH_CALLS:
        return None
    counts = Counter(severities)
    return {severity: counts[severity] / len(severities) for severity in SEVERITIES}


def _frequent(at_us: NDArray[np.int64], points: NDArray[np.int64]) -> list[Frequent]:
    found = []
    for point in np.unique(points):
        own = at_us[points == point]
        found.append(
            Frequent(
                point=int(point),
                calls=len(own),
                share=len(own) / len(at_us),
                most_in_a_minute=peak_within(own, CHATTERS_WITHIN_US)[0],
                most_in_an_hour=peak_within(own, REPEATS_WITHIN_US)[0],
            )
        )
    return sorted(found, key=lambda one: (-one.calls, one.point))
