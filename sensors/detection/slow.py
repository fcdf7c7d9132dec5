"""What is too slow or too small to be seen in single readings: the mean of the last day against the first days.

The reference is made of the first fifteen days since the baseline began and does not move: a slow fault does
not become normal. From eight days on it is used, with its second lowest and second highest day as the range
within which a day is normal, and when it is whole with the third: so a few odd days among the first are not
normal. What lies outside of that range is normal too where the day before the same time of the week was as far
out in the first week, and in the second: a quiet weekend. Beyond both, distances count in steps of what a mean of
24 hours scatters. Three things are looked at after each hour: the level, its drift (Page's cumulative sum over
whole days), and the noise (the mean distance between readings that follow each other).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sensors.detection import baseline
from sensors.detection.cycle import Bools, Floats, Ints
from sensors.detection.memory import DAY_HOURS, REFERENCE_DAYS, REFERENCE_WEEK, WEEK_HOURS, Memory, Sum

_WEEK_STEP = WEEK_HOURS // REFERENCE_WEEK
_LEAST_FILLED = 18  # hours of the last 24
_FIRST_DAYS = 8
# A step is a fifth of a standard deviation of readings at least: a level and a drift count from four of them on. What
# wanders by less within weeks, as many a vibration does, is nothing to tell.
_LEVEL_STEPS = 4.0
_NOISE_STEPS, _NOISE_LEAST = 6.0, 0.15  # of the natural logarithm
_NOISE_FLOOR = 0.25  # standard deviations
_DRIFT_SLACK, _DRIFT_SUM = 4.0, 8.0  # steps a day
_CREEPING_US = 2 * DAY_HOURS * baseline.HOUR_US
_RANGE_SHARE = 0.3
RISING = 0.5  # thresholds


class Slow(NamedTuple):
    """How far out each sensor is, arrays of shape (m,), 1 at the threshold; positive above, negative below.

    `is_creeping`: the drift began days ago, by its sum; else even a drift is a new level that came at once.
    `mean` is that of the last day and `usual` what the reference expects of it, `jump` and `usual_jump` the
    same of the distances between readings.
    """

    level: Floats
    drift: Floats
    is_creeping: Bools
    noise: Floats
    mean: Floats
    usual: Floats
    jump: Floats
    usual_jump: Floats


def follow_hour(memory: Memory, is_normal: Bools) -> Slow:
    """Take in the hour that is over, of the sensors in `memory`, and say how far out they are now.

    `is_normal` is false of those in an excursion: the reference learns nothing of it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, jump, is_filled = _last_day(memory)
    _extend_reference(memory, mean, jump, is_filled & is_normal)
    is_judged = is_filled & (memory["reference_days"] >= _FIRST_DAYS)
    with np.errstate(divide="ignore", invalid="ignore"):
        level, usual, step = _level(memory, mean)
        distance = (mean - usual) / step
        _sum_up_drift(memory, np.where(np.isfinite(distance), distance, 0.0), is_judged)
        noise, usual_jump = _noise(memory, jump)
    has_step = is_judged & (step > 0)
    is_high = memory["drift_high"] >= memory["drift_low"]
    drift = np.where(is_high, memory["drift_high"], -memory["drift_low"])
    since_us = np.where(is_high, memory["drift_high_since_us"], memory["drift_low_since_us"])
    return Slow(
        level=np.where(has_step, level, 0.0),
        drift=np.where(has_step, drift / _DRIFT_SUM, 0.0),
        is_creeping=(since_us > 0) & (memory["seen_us"] - since_us >= _CREEPING_US),
        noise=np.where(is_judged & (memory["reference_scale"] > 0), noise, 0.0),
        mean=mean,
        usual=usual,
        jump=jump,
        usual_jump=usual_jump,
    )


def _last_day(memory: Memory) -> tuple[Floats, Floats, Bools]:
    """The means over the last 24 hours, each hour of the day once, and whether enough of them are known."""
    rows, place = np.arange(len(memory)), memory["hour"] % DAY_HOURS
    readings = np.maximum(memory["sums"][:, Sum.READINGS], 1)
    memory["ring"][rows, place] = memory["sums"][:, Sum.VALUES] / readings
    memory["noise_ring"][rows, place] = memory["sums"][:, Sum.JUMPS] / readings
    memory["ring_hours"] += 1
    filled = np.sum(~np.isnan(memory["ring"]), axis=1)
    # Without the highest and the lowest hour: half an hour far out is no new level.
    outermost = np.fmax.reduce(memory["ring"], axis=1) + np.fmin.reduce(memory["ring"], axis=1)
    mean = (_sum(memory["ring"]) - outermost) / np.maximum(filled - 2, 1)
    jump = _sum(memory["noise_ring"]) / filled
    return mean, jump, filled >= _LEAST_FILLED


def _sum(rows: npt.NDArray[Any]) -> Floats:
    """The sum of what is known in each row, from left to right: the same alone and among other sensors."""
    summed: Floats = np.cumsum(np.where(np.isnan(rows), 0.0, rows), axis=1, dtype=np.float64)[:, -1]
    return summed


def since(since_us: Ints, size: Floats, *, begins_us: Ints) -> Ints:
    """When what is out by `size` thresholds began to be, in µs since 1970, shape (m,): at half the threshold; below 0
    where it goes down, 0 where it is in. What turns the other way begins anew.
    """
    sign = np.sign(size).astype(np.int64)
    goes_on = sign * since_us > 0
    return np.where(abs(size) >= RISING, np.where(goes_on, since_us, sign * begins_us), 0)


def forget_day(memory: Memory, is_apart: Bools) -> None:
    """After a silence of a day, the day before it says nothing of the last 24 hours."""
    if is_apart.any():
        memory["ring"][is_apart] = np.nan
        memory["noise_ring"][is_apart] = np.nan


def forget_reference(memory: Memory, is_old: Bools) -> None:
    """Begin the first days anew."""
    if is_old.any():
        for name in (
            "reference_days",
            "drift_high",
            "drift_low",
            "drift_high_since_us",
            "drift_low_since_us",
        ):
            memory[name][is_old] = 0
        for name in ("reference", "reference_week", "noise_reference"):
            memory[name][is_old] = np.nan


def _extend_reference(memory: Memory, mean: Floats, jump: Floats, may_learn: Bools) -> None:
    """Note each of the first days; with the last of them the usual scatter is fixed."""
    _note_week(memory, mean, may_learn & (memory["reference_days"] < REFERENCE_DAYS))
    is_day = may_learn & (memory["ring_hours"] % DAY_HOURS == 0) & (memory["reference_days"] < REFERENCE_DAYS)
    rows = np.flatnonzero(is_day)
    if not len(rows):
        return
    place = memory["reference_days"][rows].astype(np.int64)
    memory["reference"][rows, place] = mean[rows]
    memory["noise_reference"][rows, place] = jump[rows]
    memory["reference_days"][rows] += 1
    memory["reference_scale"][rows] = baseline.usual_spread(memory[rows])
    memory["reference_floor"][rows] = baseline.floor(memory[rows])


def _note_week(memory: Memory, mean: Floats, may_learn: Bools) -> None:
    """Note what the last day came to at this time of the week; in the second week, the more usual of the two."""
    is_noted = may_learn & (memory["reference_days"] >= 1) & (memory["hour"] % _WEEK_STEP == 0)
    rows = np.flatnonzero(is_noted)
    if not len(rows):
        return
    place = memory["hour"][rows] // _WEEK_STEP % REFERENCE_WEEK
    before, now = memory["reference_week"][rows, place], mean[rows]
    middle = _sum(memory["reference"][rows]) / memory["reference_days"][rows]
    memory["reference_week"][rows, place] = np.where(abs(before - middle) <= abs(now - middle), before, now)


def _of_week(memory: Memory) -> Floats:
    """What the last day came to at this time of the first weeks, NaN where that is not known."""
    rows, week = np.arange(len(memory)), memory["reference_week"]
    place, share = memory["hour"] // _WEEK_STEP, memory["hour"] % _WEEK_STEP / _WEEK_STEP
    left, right = week[rows, place % REFERENCE_WEEK], week[rows, (place + 1) % REFERENCE_WEEK]
    between: Floats = np.where(share > 0, left + share * (right - left), left)
    return between


def _range(memory: Memory, reference: Floats) -> tuple[Floats, Floats, Floats]:
    """The range of days that is normal, and the middle between its days."""
    days = np.sort(reference, axis=1)  # days to come are NaN and stand behind
    known = memory["reference_days"].astype(np.int64)
    beside = np.where(known == REFERENCE_DAYS, 2, 1)
    rows, last = np.arange(len(memory)), np.maximum(known - 1 - beside, 0)
    middle = _sum(reference) / np.maximum(known, 1)
    return days[rows, beside], middle, days[rows, last]


def _level(memory: Memory, mean: Floats) -> tuple[Floats, Floats, Floats]:
    """Distance beyond what is normal in thresholds, what is usual, and the step."""
    low, middle, high = _range(memory, memory["reference"])
    step = np.maximum(memory["reference_scale"] / np.sqrt(DAY_HOURS), _RANGE_SHARE * (high - low))
    step = np.maximum(step, memory["reference_floor"])
    # Quiet days that come each week may be all that lies outside of the range, which leaves out the two lowest.
    by_week = _outside(_of_week(memory), low, high)
    middle -= (
        _sum(_outside(memory["reference_week"], low[:, np.newaxis], high[:, np.newaxis])) / REFERENCE_WEEK
    )
    below, above = np.minimum(by_week, 0.0), np.maximum(by_week, 0.0)
    beyond = _outside(mean, low + below, high + above)
    usual = np.clip(mean, middle + below, middle + above)
    return beyond / (_LEVEL_STEPS * step), usual, step


def _outside(values: Floats, low: Floats, high: Floats) -> Floats:
    """How far values lie above or (negative) below a range; 0 inside it, and where nothing is known."""
    return np.fmin(values - low, 0.0) + np.fmax(values - high, 0.0)


def _sum_up_drift(memory: Memory, distance: Floats, is_judged: Bools) -> None:
    """Page's cumulative sums, a step after each whole day."""
    is_day = is_judged & (memory["ring_hours"] % DAY_HOURS == 0)
    for name, sign in (("drift_high", 1.0), ("drift_low", -1.0)):
        summed = np.clip(memory[name] + sign * distance - _DRIFT_SLACK, 0.0, 4 * _DRIFT_SUM)
        memory[name] = np.where(is_day, summed, memory[name])
        since_us = memory[f"{name}_since_us"]
        since_us = np.where(since_us == 0, memory["seen_us"], since_us)
        memory[f"{name}_since_us"] = np.where(memory[name] > 0, since_us, 0)


def _noise(memory: Memory, jump: Floats) -> tuple[Floats, Floats]:
    """Distance of the noise from its range in the reference, in thresholds, and the middle of the reference."""
    lowest, middle, highest = _range(memory, memory["noise_reference"].astype(np.float64))
    least = np.maximum(_NOISE_FLOOR * memory["reference_scale"], memory["reference_floor"])
    low, high, now = np.log(lowest + least), np.log(highest + least), np.log(jump + least)
    step = np.maximum(_NOISE_LEAST, _RANGE_SHARE * (high - low))
    beyond = np.where(now > high, now - high, np.where(now < low, now - low, 0.0))
    return beyond / (_NOISE_STEPS * step), middle
