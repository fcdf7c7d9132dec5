"""What the readings of an hour add up to, until the hour is over and `baseline` and `slow` learn from it."""

from typing import NamedTuple

import numpy as np

from sensors.detection import baseline
from sensors.detection.baseline import HOUR_US, Hour
from sensors.detection.cycle import Bools, Floats, Ints
from sensors.detection.memory import Extreme, Memory, Sum


class Taken(NamedTuple):
    """Readings that were judged, arrays of shape (k,); those of a sensor stand together and begin at `starts`.

    `share` is that of the hour that had passed, `weight` 1 or less for one that is less to be trusted, `steps_us`
    the time since the reading before, `jumps` the distance from its value, `smooth` the median of three values.
    What is `held` is not learned. `sizes` are medians of three distances from what was expected in standard
    deviations, of what is `judged`.
    """

    starts: Ints
    of: Ints
    values: Floats
    smooth: Floats
    expected: Floats
    share: Floats
    weight: Floats
    steps_us: Floats
    jumps: Floats
    is_change: Bools
    held: Bools
    judged: Bools
    sizes: Floats


def sum_up(memory: Memory, hour: Hour, taken: Taken) -> None:
    """Add readings to the sums of their hour, one after the other: no cut changes the result."""
    of, values = taken.of, taken.values
    hours = baseline.hours_of(memory, of, taken.steps_us)
    counted = np.minimum(hours * taken.weight, 1.0)
    deviation, clip = abs(values - taken.expected), hour.clip[of]
    is_learned = ~taken.held & (counted > 0)
    # On a sensor that varies, a reading expected to the last digit lies within a steep step: it says nothing here.
    is_spread = is_learned & ((deviation > 0) | ((deviation == 0) & (memory["spread"] == 0)[of]))
    capped = np.where(np.isnan(deviation), 0.0, np.minimum(deviation, clip))
    columns = np.empty((len(Sum), len(of)))
    columns[Sum.HOURS], columns[Sum.READINGS] = hours * taken.weight, 1.0
    columns[Sum.DAY_WEIGHT_LEFT : Sum.WEEK_RIGHT + 1] = baseline.contributions(
        hour, of, taken.share, values, counted, taken.held
    )
    columns[Sum.SPREAD_WEIGHT] = np.where(is_spread, counted, 0.0)
    columns[Sum.SPREAD] = np.where(is_spread, counted * capped, 0.0)
    columns[Sum.MAGNITUDE_WEIGHT] = np.where(is_learned, counted, 0.0)
    columns[Sum.MAGNITUDE] = np.where(is_learned, counted * abs(values), 0.0)
    columns[Sum.STEP_US] = np.minimum(taken.steps_us, hours * HOUR_US)
    columns[Sum.VALUES] = taken.smooth
    columns[Sum.JUMPS] = np.where(np.isnan(taken.jumps), 0.0, np.minimum(taken.jumps, clip))
    columns[Sum.CHANGES] = taken.is_change
    columns[Sum.MEASURED] = taken.judged & ((taken.sizes != 0) | (memory["spread"] == 0)[of])
    columns[Sum.SIZES] = np.clip(taken.sizes, -baseline.CLIP, baseline.CLIP)
    memory["sums"] = _added(memory["sums"], of, columns)
    _note_extremes(memory, taken, is_learned, deviation, clip)


def _added(sums: Floats, of: Ints, columns: Floats) -> Floats:
    """`sums`, shape (m, c), and to them `columns`, shape (c, k), added one after the other in their order."""
    sensors, count = sums.shape
    terms = np.concatenate([sums.T, columns], axis=1)
    keys = np.concatenate([np.arange(sensors), of]) + sensors * np.arange(count)[:, np.newaxis]
    added: Floats = np.bincount(keys.ravel(), weights=terms.ravel(), minlength=sums.size).astype(np.float64)
    return added.reshape(count, sensors).T


def _note_extremes(memory: Memory, taken: Taken, is_learned: Bools, deviation: Floats, clip: Floats) -> None:
    values, is_far = taken.values, deviation > clip
    near = np.where(is_far, taken.expected + np.copysign(clip, values - taken.expected), values)
    is_step = is_learned & (taken.jumps > 0) & ~is_far
    extremes = memory["extremes"]
    for place, series in (
        (Extreme.LOWEST, values),
        (Extreme.MINUS_HIGHEST, -values),
        (Extreme.USUAL_LOWEST, np.where(is_learned, near, np.inf)),
        (Extreme.USUAL_MINUS_HIGHEST, np.where(is_learned, -near, np.inf)),
        (Extreme.STEP, np.where(is_step, taken.jumps, np.inf)),
    ):
        extremes[:, place] = np.minimum(extremes[:, place], np.minimum.reduceat(series, taken.starts))
