"""Readings of many sensors as arrays, in order of sensor and time."""

from dataclasses import dataclass

import numpy as np

from sensors.detection.cycle import Bools, Floats, Ints

UNCERTAIN_WEIGHT = 0.5


@dataclass(frozen=True)
class Readings:
    """Readings in order of sensor and time, shape (k,); `of` names the sensor (its place in the memory)."""

    of: Ints
    ts_us: Ints
    values: Floats
    is_uncertain: Bools

    def at(self, rows: Ints) -> "Readings":
        return Readings(self.of[rows], self.ts_us[rows], self.values[rows], self.is_uncertain[rows])


def differs(keys: Ints) -> Bools:
    """Where a key is another one than the one before; the first is."""
    differs = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=differs[1:])
    return differs


def median(one: Floats, two: Floats, three: Floats) -> Floats:
    """The middle one of three values, NaN where one of them is."""
    return np.maximum(np.minimum(two, three), np.minimum(np.maximum(two, three), one))
