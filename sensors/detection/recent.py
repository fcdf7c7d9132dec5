"""What is too small to be seen in single readings, but stays for hours: the mean distance of the last hours.

The distances of an hour's readings from what was expected are averaged, and so are the hours with readings,
exponentially, each counting half as much as the one after it. The result is held against what it usually comes to on
this very sensor: one whose readings wander for hours by nature is left alone.
"""

from typing import NamedTuple

import numpy as np

from sensors.detection import baseline, slow
from sensors.detection.cycle import Bools, Floats, Ints
from sensors.detection.memory import Memory, Sum

_RATE = 0.5
_THRESHOLD = 5.0  # times what the mean usually comes to
_LEAST_USUAL = 0.2  # standard deviations of readings: nearer than five times as much is nothing to tell
_LEAST_HOURS, _MOST_HOURS = 100.0, 14 * 24.0


class Recent(NamedTuple):
    """How far out the last hours are, arrays of shape (m,), 1 at the threshold; positive above, negative below.

    `since_us` is the beginning of the hour in which that began, 0 while they are in. `mean` is that of the last hour,
    `usual` the nearest that the profile says of the time around it.
    """

    size: Floats
    since_us: Ints
    mean: Floats
    usual: Floats


def follow_hour(memory: Memory, is_normal: Bools, is_apart: Bools) -> Recent:
    """Take in the hour that is over, of the sensors in `memory`, and say how far out they are now.

    `is_normal` is false of those in an excursion: what they usually come to is not learned from it. Of those that are
    `is_apart`, by a silence since, nothing is said.
    """
    sums = memory["sums"]
    is_measured = (sums[:, Sum.MEASURED] > 0) & ~is_apart
    distance = sums[:, Sum.SIZES] / np.maximum(sums[:, Sum.MEASURED], 1)
    recent = memory["recent"] + np.where(is_measured, _RATE * (distance - memory["recent"]), 0.0)
    memory["recent"] = np.where(is_apart, 0.0, recent)
    usual = np.maximum(baseline.TO_STANDARD_DEVIATION * memory["recent_spread"], _LEAST_USUAL)
    is_known = is_measured & (memory["recent_hours"] >= _LEAST_HOURS)
    deviation = np.where(is_known, np.minimum(abs(recent), baseline.CLIP * usual), abs(recent))
    _learn(memory, is_measured & is_normal, deviation)
    mean, nearest, outside = _outside(memory)
    with np.errstate(invalid="ignore"):
        may_tell = is_known & baseline.is_settled(memory) & (outside * recent > 0)
    size = np.copysign(np.minimum(abs(recent), abs(outside)), recent) / (_THRESHOLD * usual)
    size = np.where(may_tell, size, 0.0)
    # Just after a full hour, so that no reading that begins an excursion by itself has the same moment.
    memory["recent_since_us"] = slow.since(
        memory["recent_since_us"], size, begins_us=memory["hour"] * baseline.HOUR_US + 1
    )
    return Recent(size, abs(memory["recent_since_us"]), mean, nearest)


def _learn(memory: Memory, is_learned: Bools, deviation: Floats) -> None:
    hours = np.minimum(memory["recent_hours"] + is_learned, _MOST_HOURS)
    step = (deviation - memory["recent_spread"]) / np.maximum(hours, 1)
    memory["recent_spread"] += np.where(is_learned, step, 0.0)
    memory["recent_hours"] = hours


def _outside(memory: Memory) -> tuple[Floats, Floats, Floats]:
    """The mean of the hour, the nearest that is usual an hour earlier or later, and the way between them in standard
    deviations: on the day that the clocks change, a machine's day begins an hour earlier or later.
    """
    mean = memory["sums"][:, Sum.VALUES] / np.maximum(memory["sums"][:, Sum.READINGS], 1)
    nearest = np.clip(mean, *baseline.usual_range(memory))
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = (mean - nearest) / np.maximum(baseline.usual_spread(memory), baseline.floor(memory))
    return mean, nearest, outside
