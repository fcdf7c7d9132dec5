"""What is remembered of sensors, as one array of records: a record a sensor, 3.2 kB each.

Times are microseconds since 1970 UTC, values in the sensor's unit, hours those of readings (silence does not
count); `watched_hours` go by the clock, and a silence counts for a day of them at most. What belongs to the hour that
is still going on stands in `sums`, `extremes` and `finished_run`: it is folded into the rest when the first reading of
a later hour comes, so the readings of an hour are all judged by what was known before it, and how they are cut into
blocks changes nothing.
"""

from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

DAY_HOURS, WEEK_HOURS = 24, 168
FINE_BINS = 128
BINS = (6, 8, 10)
ALL_BINS = 3 * sum(BINS)
TAIL_BINS = 24
REFERENCE_DAYS = 15
REFERENCE_WEEK = 28  # a place for each six hours of the week


class Sum(IntEnum):
    """Places in `sums`: totals over the readings of the hour that is going on."""

    HOURS = 0
    READINGS = auto()
    DAY_WEIGHT_LEFT = auto()
    DAY_WEIGHT_RIGHT = auto()
    DAY_LEFT = auto()
    DAY_RIGHT = auto()
    WEEK_WEIGHT_LEFT = auto()
    WEEK_WEIGHT_RIGHT = auto()
    WEEK_LEFT = auto()
    WEEK_RIGHT = auto()
    SPREAD_WEIGHT = auto()
    SPREAD = auto()
    MAGNITUDE_WEIGHT = auto()
    MAGNITUDE = auto()
    STEP_US = auto()
    VALUES = auto()
    JUMPS = auto()
    CHANGES = auto()
    MEASURED = auto()
    SIZES = auto()


class Extreme(IntEnum):
    """Places in `extremes`: the least over the readings of the hour."""

    LOWEST = 0
    MINUS_HIGHEST = auto()
    USUAL_LOWEST = auto()
    USUAL_MINUS_HIGHEST = auto()
    STEP = auto()


MEMORY = np.dtype(
    [
        # the way of the readings
        ("seen_us", "i8"),
        ("last_value", "f8"),
        ("value_before", "f8"),
        ("count", "f8"),
        ("hours", "f8"),
        ("watched_hours", "f8"),
        ("interval_us", "f8"),
        ("hour", "i8"),
        ("sums", "f8", (len(Sum),)),
        ("extremes", "f8", (len(Extreme),)),
        # the profile
        ("day_means", "f4", (DAY_HOURS,)),
        ("day_weights", "f2", (DAY_HOURS,)),
        ("week_means", "f4", (WEEK_HOURS,)),
        ("week_weights", "f2", (WEEK_HOURS,)),
        ("spread_means", "f4", (DAY_HOURS,)),
        ("spread_weights", "f2", (DAY_HOURS,)),
        ("spread", "f8"),
        ("spread_hours", "f8"),
        ("magnitude", "f8"),
        ("lowest", "f8"),
        ("highest", "f8"),
        ("usual_lowest", "f8"),
        ("usual_highest", "f8"),
        ("warm_lowest", "f8"),
        ("warm_highest", "f8"),
        ("smallest_step", "f8"),
        # the distances of the last readings, in standard deviations
        ("recent_sizes", "f8", (2,)),
        # how often which values came
        ("fine_counts", "f4", (FINE_BINS,)),
        ("fine_first", "f8"),
        ("fine_width", "f8"),
        ("bin_low", "f8"),
        ("bin_width", "f8"),
        ("counts", "f4", (ALL_BINS,)),
        ("counted", "f8"),
        ("tails", "f4", (TAIL_BINS,)),
        ("lone_tails", "f4", (TAIL_BINS,)),
        ("judged", "f8"),
        # runs of the same value
        ("run", "f8"),
        ("longest_run", "f8"),
        ("finished_run", "f8"),
        ("changes", "f8"),
        # the last hours against what was expected of them
        ("recent", "f8"),
        ("recent_spread", "f8"),
        ("recent_hours", "f8"),
        ("recent_since_us", "i8"),  # below 0 where it goes down
        # the last day against the first days
        ("ring", "f4", (DAY_HOURS,)),
        ("noise_ring", "f4", (DAY_HOURS,)),
        ("ring_hours", "f8"),
        ("reference", "f4", (REFERENCE_DAYS,)),
        ("reference_week", "f4", (REFERENCE_WEEK,)),
        ("noise_reference", "f4", (REFERENCE_DAYS,)),
        ("reference_days", "f8"),
        ("reference_scale", "f8"),
        ("reference_floor", "f8"),
        ("drift_high", "f8"),
        ("drift_low", "f8"),
        ("drift_high_since_us", "i8"),
        ("drift_low_since_us", "i8"),
        ("slow_since_us", "i8"),  # below 0 where it goes down
    ]
)

Memory = npt.NDArray[np.void]


def empty(sensors: int) -> Memory:
    """The memory of sensors of which nothing was seen yet, shape (sensors,)."""
    memory = np.zeros(sensors, MEMORY)
    memory["last_value"] = memory["value_before"] = np.nan
    memory["hour"] = -1
    memory["extremes"] = np.inf
    for name in ("lowest", "usual_lowest", "warm_lowest"):
        memory[name] = np.inf
    for name in ("highest", "usual_highest", "warm_highest"):
        memory[name] = -np.inf
    for name in ("ring", "noise_ring", "reference", "reference_week", "noise_reference"):
        memory[name] = np.nan
    return memory
