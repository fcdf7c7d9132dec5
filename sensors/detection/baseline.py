"""What is normal for a sensor: its expected value by the hour, and how far its readings stray from that.

The expectation is the nearer of two: the profile of the day over the last days, and that of the week over
the last weeks. So neither a quiet weekend nor a new daily rhythm is strange for long. The scale is a mean
of absolute deviations, clipped so that outliers count little; times sqrt(pi / 2) it is the standard
deviation of normal noise.
"""

import math
from typing import NamedTuple

import numpy as np

from sensors.detection import cycle
from sensors.detection.cycle import KNOWN_HOURS, Bools, Floats, Ints
from sensors.detection.memory import DAY_HOURS, WEEK_HOURS, Extreme, Memory, Sum

HOUR_US = 3_600_000_000
DAY_MEMORY_DAYS, WEEK_MEMORY_WEEKS, SPREAD_MEMORY_DAYS = 5.0, 4.0, 14.0
LEAST_SPREAD_HOURS = 12.0
SETTLED_HOURS = 8 * 24  # by the clock; by then each hour of the week was seen once, weekends too
_LONGEST_SILENCE_HOURS = 24  # counts as seen: a machine that rests each night is known after a week too
GROSS_WIDTHS = 2.0  # of the range seen: what is further out cannot be a weekend that was not seen yet

TO_STANDARD_DEVIATION = math.sqrt(math.pi / 2)
CLIP = 4.0
_RANGE_DEVIATIONS = 6.0  # a day or a week of normal noise spans about as many standard deviations
_RESTLESS_SHARE = 1.25  # of the spread of all hours: from there on an hour has its own
_STEEP = 2.0  # standard deviations from one full hour to the next
_LEAST_SHARE = 1e-3  # of the magnitude: finer differences are never an alarm
_LEAST_SHARE_CONSTANT = 1e-2  # of the magnitude, while the sensor has never moved
_INTERVAL_RATE = 0.05
# Intervals; a longer silence counts as this much, so that a gap is not taken for knowledge.
_LONGEST_STEP = 3.0


class Hour(NamedTuple):
    """The profile's part for one hour of each sensor, arrays of shape (m,)."""

    day: cycle.Segment
    week: cycle.Segment
    scale: Floats
    is_settled: Bools

    @property
    def clip(self) -> Floats:
        return np.where(self.scale > 0, CLIP * self.scale, np.inf)


def floor(memory: Memory) -> Floats:
    """The finest difference that can count: the sensor's smallest step, or a share of its magnitude."""
    is_constant = memory["usual_lowest"] == memory["usual_highest"]
    least = np.where(is_constant, _LEAST_SHARE_CONSTANT, _LEAST_SHARE) * memory["magnitude"]
    return np.maximum(memory["smallest_step"], least)


def is_settled(memory: Memory) -> Bools:
    """Whether each hour of the week was seen, shape (m,)."""
    return memory["watched_hours"] >= SETTLED_HOURS


def usual_spread(memory: Memory) -> Floats:
    """The standard deviation of normal noise that strays as the sensor's readings do, shape (m,)."""
    return TO_STANDARD_DEVIATION * memory["spread"]


def open_hour(memory: Memory, hours: Ints) -> Hour:
    """What the memories say of these hours. The scale is 0 where nothing can be said yet."""
    rows = np.arange(len(memory))
    of_day = hours % DAY_HOURS
    by_hour = memory["spread_means"][rows, of_day]
    is_restless = (memory["spread_weights"][rows, of_day] >= KNOWN_HOURS) & (
        by_hour > _RESTLESS_SHARE * memory["spread"]
    )
    spread = np.where(is_restless, TO_STANDARD_DEVIATION * by_hour, usual_spread(memory))
    return Hour(
        day=cycle.segment(memory["day_means"], memory["day_weights"], rows, hours),
        week=cycle.segment(memory["week_means"], memory["week_weights"], rows, hours),
        scale=np.maximum(spread, floor(memory)),
        is_settled=is_settled(memory),
    )


def expect(hour: Hour, of: Ints, share: Floats, values: Floats) -> Floats:
    """The expectation nearest to each value, shape (k,), NaN where none is known yet; `of` names its sensor."""
    steep = _STEEP * hour.scale[of]
    by_day = cycle.nearest(hour.day.at(of), share, values, steep)
    by_week = cycle.nearest(hour.week.at(of), share, values, steep)
    # The week's points have seen no other week before it is settled: they would only repeat the present.
    is_week_nearer = hour.is_settled[of] & ((abs(values - by_week) < abs(values - by_day)) | np.isnan(by_day))
    return np.where(is_week_nearer, by_week, by_day)


def beyond(span: tuple[Floats, Floats], of: Ints, values: Floats, *, widths: float) -> Bools:
    """Whether values lie outside their sensor's span by more than so many times its width."""
    low, high = span
    with np.errstate(invalid="ignore"):
        margin = widths * (high - low)
        return (values > (high + margin)[of]) | (values < (low - margin)[of])


def usual_range(memory: Memory) -> tuple[Floats, Floats]:
    """The lowest and highest that the profile says of the hour that is over and of those beside it, shape (m,) each, in
    the sensor's unit; NaN where nothing is known.
    """
    rows, points = np.arange(len(memory)), []
    for name, length in (("day", DAY_HOURS), ("week", WEEK_HOURS)):
        for beside in range(-1, 3):
            point = (memory["hour"] + beside) % length
            is_known = memory[f"{name}_weights"][rows, point] >= KNOWN_HOURS
            points.append(np.where(is_known, memory[f"{name}_means"][rows, point], np.nan))
    return np.fmin.reduce(points), np.fmax.reduce(points)


def scale_of_range(memory: Memory) -> Floats:
    """The standard deviation of normal noise with the range seen so far, shape (m,), infinite where that is nothing."""
    with np.errstate(invalid="ignore"):
        width = memory["highest"] - memory["lowest"]
    return np.where(width > 0, np.maximum(width / _RANGE_DEVIATIONS, floor(memory)), np.inf)


def hours_of(memory: Memory, of: Ints, steps_us: Floats) -> Floats:
    """The hours that readings stand for: the time since the one before, within what is usual for the sensor."""
    usual = memory["interval_us"][of]
    longest = np.where(usual > 0, _LONGEST_STEP * usual, HOUR_US)
    return np.minimum(steps_us, longest) / HOUR_US


def contributions(hour: Hour, of: Ints, share: Floats, values: Floats, hours: Floats, held: Bools) -> Floats:
    """What readings add to the places of `Sum` that belong to the cycles, shape (8, k).

    While an excursion is open (`held`) only hours of the week that were never seen are learned: a first
    weekend that looked like a fault must not look so every week.
    """
    clip = hour.clip[of]
    is_unknown = ~(hour.week.is_left_known | hour.week.is_right_known)[of]
    right, left = hours * share, hours * (1 - share)
    by_day = np.where(held, 0.0, 1.0)
    by_week = np.where(held & ~is_unknown, 0.0, 1.0)
    day, week = hour.day.at(of), hour.week.at(of)
    return np.stack(
        [
            by_day * left,
            by_day * right,
            by_day * left * cycle.clipped(values, day.left, day.is_left_known, clip),
            by_day * right * cycle.clipped(values, day.right, day.is_right_known, clip),
            by_week * left,
            by_week * right,
            by_week * left * cycle.clipped(values, week.left, week.is_left_known, clip),
            by_week * right * cycle.clipped(values, week.right, week.is_right_known, clip),
        ]
    )


def learn_hour(memory: Memory, passed: Ints) -> None:
    """Fold what the last hour brought into the profile; `memory` holds the sensors whose hour is over, `passed` the
    hours by the clock since it began.
    """
    sums, hours = memory["sums"], memory["hour"]
    was_settled = is_settled(memory)
    memory["watched_hours"] += np.minimum(passed, _LONGEST_SILENCE_HOURS)
    memory["hours"] += sums[:, Sum.HOURS]
    memory["count"] += sums[:, Sum.READINGS]
    _learn_interval(memory)
    is_settling = ~was_settled & is_settled(memory)
    if is_settling.any():
        # So far every weekend was strange and widened the spread; from here on the week is known.
        for name in ("spread_hours", "spread_means", "spread_weights"):
            memory[name][is_settling] = 0.0
    rows = np.arange(len(memory))
    for name, length, passes, first in (
        ("day", DAY_HOURS, DAY_MEMORY_DAYS, Sum.DAY_WEIGHT_LEFT),
        ("week", WEEK_HOURS, WEEK_MEMORY_WEEKS, Sum.WEEK_WEIGHT_LEFT),
    ):
        for side in (0, 1):
            cycle.learn(
                memory[f"{name}_means"],
                memory[f"{name}_weights"],
                rows,
                (hours + side) % length,
                hours=sums[:, first + side],
                distances=sums[:, first + 2 + side],
                memory=passes,
            )
    _learn_spread(memory)
    _learn_range(memory)


def _learn_interval(memory: Memory) -> None:
    steps = memory["sums"][:, Sum.READINGS]
    mean_us = memory["sums"][:, Sum.STEP_US] / np.maximum(steps, 1)
    rate = 1 - (1 - _INTERVAL_RATE) ** steps
    usual = memory["interval_us"]
    memory["interval_us"] = np.where(usual == 0, mean_us, usual + rate * (mean_us - usual))


def _learn_spread(memory: Memory) -> None:
    weight, total = memory["sums"][:, Sum.SPREAD_WEIGHT], memory["sums"][:, Sum.SPREAD]
    most = SPREAD_MEMORY_DAYS * DAY_HOURS
    rows, of_day = np.arange(len(memory)), memory["hour"] % DAY_HOURS
    cycle.learn(
        memory["spread_means"],
        memory["spread_weights"],
        rows,
        of_day,
        hours=weight,
        distances=total - weight * memory["spread_means"][rows, of_day],
        memory=SPREAD_MEMORY_DAYS,
    )
    hours = np.minimum(memory["spread_hours"] + weight, most)
    memory["spread_hours"] = hours
    memory["spread"] += np.where(
        weight > 0, (total - weight * memory["spread"]) / np.maximum(hours, 1e-12), 0.0
    )


def _learn_range(memory: Memory) -> None:
    sums, extremes = memory["sums"], memory["extremes"]
    weight = sums[:, Sum.MAGNITUDE_WEIGHT]
    known = np.maximum(np.minimum(memory["hours"], SPREAD_MEMORY_DAYS * DAY_HOURS), weight)
    memory["magnitude"] += np.where(
        weight > 0, (sums[:, Sum.MAGNITUDE] - weight * memory["magnitude"]) / np.maximum(known, 1e-12), 0.0
    )
    memory["lowest"] = np.minimum(memory["lowest"], extremes[:, Extreme.LOWEST])
    memory["highest"] = np.maximum(memory["highest"], -extremes[:, Extreme.MINUS_HIGHEST])
    memory["usual_lowest"] = np.minimum(memory["usual_lowest"], extremes[:, Extreme.USUAL_LOWEST])
    memory["usual_highest"] = np.maximum(memory["usual_highest"], -extremes[:, Extreme.USUAL_MINUS_HIGHEST])
    step, smallest = extremes[:, Extreme.STEP], memory["smallest_step"]
    is_smaller = np.isfinite(step) & ((step < smallest) | (smallest == 0))
    memory["smallest_step"] = np.where(is_smaller, step, smallest)
