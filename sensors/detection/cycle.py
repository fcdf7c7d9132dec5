"""The usual course of a quantity over a repeating day or week: means at each full hour, straight lines between.

Arrays of shape (m, hours): a row a sensor. `weights` are the hours of readings behind each mean, at most
`memory` passes: from there on older readings fade exponentially.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# A point is used when about a whole pass has been seen, so that a pass is not its own measure.
KNOWN_HOURS = 0.75

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Segment(NamedTuple):
    """What a cycle says of one hour of each sensor: its means at both ends, and whether they are known."""

    left: Floats
    right: Floats
    is_left_known: Bools
    is_right_known: Bools

    def at(self, rows: Ints) -> "Segment":
        return Segment(self.left[rows], self.right[rows], self.is_left_known[rows], self.is_right_known[rows])


def segment(means: Floats, weights: npt.NDArray[np.float32], rows: Ints, hours: Ints) -> Segment:
    """The part of the cycle in which `hours` (since 1970) lie, for the sensors in `rows`."""
    left = hours % means.shape[1]
    right = (left + 1) % means.shape[1]
    return Segment(
        means[rows, left],
        means[rows, right],
        weights[rows, left] >= KNOWN_HOURS,
        weights[rows, right] >= KNOWN_HOURS,
    )


def nearest(part: Segment, share: Floats, values: Floats, steep: Floats) -> Floats:
    """The expected values at a share of the hour, shape (k,); NaN where too little was seen.

    Where two full hours differ by more than `steep`, the moment of the step between them is not known to
    the minute: everything between the two is expected, and the part of it nearest to the value is returned.
    """
    is_right_known = part.is_right_known & (share > 0)
    between = part.left + share * (part.right - part.left)
    low, high = np.minimum(part.left, part.right), np.maximum(part.left, part.right)
    between = np.where(high - low > steep, np.minimum(np.maximum(values, low), high), between)
    alone = np.where(part.is_left_known, part.left, np.where(is_right_known, part.right, np.nan))
    return np.where(part.is_left_known & is_right_known, between, alone)


def clipped(values: Floats, means: Floats, is_known: Bools, clip: Floats) -> Floats:
    """Distances from the means; from a mean that is known already at most `clip`."""
    distance = values - means
    return np.where(is_known, np.minimum(np.maximum(distance, -clip), clip), distance)


def learn(
    means: Floats,
    weights: npt.NDArray[np.float32],
    rows: Ints,
    points: Ints,
    *,
    hours: Floats,
    distances: Floats,
    memory: float,
) -> None:
    """Move one point of each sensor by what an hour brought: the hours it stands for, and the sum over its
    readings of distance times hours.
    """
    weight = np.minimum(weights[rows, points] + hours, memory)
    weights[rows, points] = weight
    with np.errstate(invalid="ignore", divide="ignore"):
        step = distances / np.maximum(weight, hours)
    means[rows, points] += np.where(hours > 0, step, 0.0)
