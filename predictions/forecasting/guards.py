"""What a history is good enough for. A guard answers in words, or with None when it has no objection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, HOUR_S, SECOND_US
from predictions.forecasting.history import History

MINIMUM_POINTS = 30
MINIMUM_SPAN_DAYS = 3  # in less, the rise of one morning looks like a trend
STALE_AFTER_BUCKETS = 3
MINIMUM_CYCLES = 3
MINIMUM_SIGHTINGS = 2  # of each phase, so that one missing reading does not cost a cycle
PHASES = 8
FLAT_RELATIVE_RANGE = 1e-9


@dataclass(frozen=True, slots=True)
class Season:
    """A cycle of `period_s` seconds, fitted by `order` pairs of sine and cosine."""

    name: str
    period_s: int
    order: int


# Prophet's own orders. A yearly cycle is never fitted: the look-back of one year cannot show two of them.
SEASONS = (Season("daily", DAY_S, 4), Season("weekly", 7 * DAY_S, 3))


def no_reading(history: History) -> str | None:
    """Nothing was read in this regime."""
    return f"There is no reading {history.since}." if history.newest_us is None else None


def stale(history: History, *, now_us: int) -> str | None:
    """The newest reading is older than three buckets: the machine may have changed since."""
    if history.newest_us is None:
        return None
    age_s = (now_us - history.newest_us) / SECOND_US
    if age_s <= STALE_AFTER_BUCKETS * history.bucket_s:
        return None
    limit_hours = STALE_AFTER_BUCKETS * history.bucket_s / HOUR_S
    return (
        f"The newest reading is {age_s / HOUR_S:.1f} hours old; after {limit_hours:.0f} hours it is too old."
    )


def too_short(history: History) -> str | None:
    """Too few points, or too short a span, to tell a trend from a daily cycle."""
    if len(history.values) < MINIMUM_POINTS:
        return f"Only {len(history.values)} points {history.since}; {MINIMUM_POINTS} are needed."
    if history.span_days < MINIMUM_SPAN_DAYS:
        return (
            f"Only {history.span_days:.1f} days of readings {history.since}; {MINIMUM_SPAN_DAYS} are needed."
        )
    return None


def is_constant(history: History) -> bool:
    """Whether the values do not move at all, but for rounding, so that there is nothing to fit."""
    return bool(np.ptp(history.values) <= FLAT_RELATIVE_RANGE * float(np.abs(history.values).max()))


def seasons_shown(history: History) -> tuple[Season, ...]:
    """The cycles that fit three times into the history, with the harmonics that its buckets resolve.

    Forcing a cycle that was not seen makes forecasts of thousands out of tens.
    """
    return seasons_of(history.ts_us, history.bucket_s, covered_s=history.span_days * DAY_S + history.bucket_s)


def seasons_of(ts_us: NDArray[np.int64], bucket_s: int, *, covered_s: float) -> tuple[Season, ...]:
    """The same of buckets at these moments, which cover so much time."""
    shown = []
    for season in SEASONS:
        order = min(season.order, (season.period_s // bucket_s - 1) // 2)
        if order < 1 or covered_s < MINIMUM_CYCLES * season.period_s:
            continue
        if least_sightings(ts_us, season.period_s, bucket_s) >= MINIMUM_SIGHTINGS:
            shown.append(Season(season.name, season.period_s, order))
    return tuple(shown)


def least_sightings(ts_us: NDArray[np.int64], period_s: int, bucket_s: int) -> int:
    """In how many cycles the least seen phase of a cycle appears: none, for a machine that is off at night.

    A cycle is divided into eight phases, or as many as it has buckets.
    """
    phases = min(PHASES, period_s // bucket_s)
    at = np.sort(ts_us // SECOND_US * phases // period_s)  # whole phases since the epoch
    seen = at[np.diff(at, prepend=at[0] - 1) > 0]
    return int(np.bincount(seen % phases, minlength=phases).min())
