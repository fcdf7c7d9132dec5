"""How rare a value is among all that the sensor has shown: novelty in powers of ten.

Novelty 3 says: about one in a thousand readings lay there. Three coarse histograms, whose bins are a 6th, an
8th and a 10th of the range of the warm-up, reach one such range beyond it on either side; the novelty is
the mean of -log10 of the smoothed frequencies. On the Numenta benchmark this beats every distance from a mean.
A distance has a novelty of its own, from how often one as large was there before.
"""

import math

import numpy as np
import numpy.typing as npt

from sensors.detection.cycle import Bools, Floats, Ints
from sensors.detection.memory import ALL_BINS, BINS, FINE_BINS, TAIL_BINS, Memory

_SMOOTHING = 0.1  # of a reading in every bin: a new bin among n readings has the novelty log10(10 n)
_FINE_BITS = 30  # of the first value: the finest bins of the warm-up
_FINE_BINS_BITS = FINE_BINS.bit_length() - 1
MOST_COUNTED = 20_000.0  # readings; from there on older ones fade
_LEAST_SHARE = 0.01  # of its value: the width taken for a sensor that never moved
TAIL_FROM = 3.0
_TAIL_STEP = math.log(1.25)
_NOISE = 1.0  # standard deviations


def count_warm_up(memory: Memory, of: Ints, starts: Ints, values: Floats) -> None:
    """Count readings finely until there are histograms, for these are made from that.

    The fine bins are a power of two wide and lie at its multiples; it doubles when the values need more room.
    So the counts hang on the values alone, not on their order.
    """
    is_new = memory["bin_width"] == 0
    if not is_new.any():
        return
    lowest = np.minimum(memory["warm_lowest"], np.minimum.reduceat(values, starts))
    highest = np.maximum(memory["warm_highest"], np.maximum.reduceat(values, starts))
    is_wider = is_new & ((lowest < memory["warm_lowest"]) | (highest > memory["warm_highest"]))
    memory["warm_lowest"][is_new], memory["warm_highest"][is_new] = lowest[is_new], highest[is_new]
    for row in np.flatnonzero(is_wider).tolist():
        _make_room(memory[row], float(lowest[row]), float(highest[row]))
    rows = is_new[of]
    of, values = of[rows], values[rows]
    places = np.floor(values / memory["fine_width"][of]) - memory["fine_first"][of]
    np.add.at(memory["fine_counts"], (of, places.astype(np.int64)), np.float32(1))


def _make_room(one: np.void, low: float, high: float) -> None:
    """Let the fine bins of a sensor reach from the lowest to the highest value."""
    before = float(one["fine_width"])
    finest = before or math.ldexp(1.0, max(math.frexp(max(abs(low), abs(high)))[1] - _FINE_BITS, -1000))
    reach = high / 2 - low / 2
    # A first reading by itself needs no room, whatever its size: frexp has no exponent for 0.
    needed = math.ldexp(1.0, max(math.frexp(reach)[1] + 1 - _FINE_BINS_BITS, -1000)) if reach else 0.0
    width = max(finest, needed)
    while math.floor(high / width) - math.floor(low / width) >= FINE_BINS:
        width *= 2
    first = math.floor(low / width)
    counts = np.zeros(FINE_BINS, np.float32)
    if before:
        old = np.flatnonzero(one["fine_counts"])
        places = np.floor((old + float(one["fine_first"])) * (before / width)) - first
        np.add.at(counts, places.astype(np.int64), one["fine_counts"][old])
    one["fine_counts"], one["fine_first"], one["fine_width"] = counts, first, width


def times_before(keys: Ints) -> Ints:
    """How often each key came before in the array, shape (k,)."""
    if len(keys) == 1:
        return np.zeros(1, np.int64)
    order = np.argsort(keys, kind="stable")
    inorder = keys[order]
    places = np.arange(len(keys))
    starts = np.maximum.accumulate(np.where(inorder[1:] != inorder[:-1], places[1:], 0))
    starts = np.concatenate([[0], starts])
    times = np.empty(len(keys), np.int64)
    times[order] = places - starts
    return times


def start_counting(memory: Memory, is_warm: Bools) -> None:
    """Lay the histograms over what the sensors have shown, when they have just become warm."""
    for row in np.flatnonzero(is_warm & (memory["bin_width"] == 0)).tolist():
        one = memory[row]
        low, high = float(one["warm_lowest"]), float(one["warm_highest"])
        if not high > low:
            margin = max(abs(low) * _LEAST_SHARE, 1e-9)
            low, high = low - margin, high + margin
        one["bin_low"], one["bin_width"] = low, high - low
        fine = np.flatnonzero(one["fine_counts"])
        middles = np.clip((fine + one["fine_first"] + 0.5) * one["fine_width"], low, high)
        for places in _bins_of(np.full(len(fine), low), np.full(len(fine), high - low), middles):
            np.add.at(one["counts"], places, one["fine_counts"][fine])
        one["counted"] = one["fine_counts"].sum()


def _bins_of(low: Floats, width: Floats, values: Floats) -> list[Ints]:
    """The place in `counts` of each value, in each of the histograms."""
    with np.errstate(over="ignore", invalid="ignore"):
        place = (values - low) / width
    found, first = [], 0
    for bins in BINS:
        inside = np.clip(np.floor(np.clip(place, -2, 3) * bins), -bins, 2 * bins - 1)
        found.append(inside.astype(np.int64) + bins + first)
        first += 3 * bins
    return found


def rate(memory: Memory, of: Ints, values: Floats) -> Floats:
    """The novelty of readings in order of time, shape (k,), which are counted too; 0 before the warm-up."""
    is_counted = memory["bin_width"][of] > 0
    novelty = np.zeros(len(of))
    if not is_counted.any():
        return novelty
    of, values = of[is_counted], values[is_counted]
    known = memory["counted"][of] + times_before(of)
    total = np.zeros(len(of))
    added = np.zeros((len(memory), ALL_BINS), np.float32)
    for bins, places in zip(
        BINS, _bins_of(memory["bin_low"][of], memory["bin_width"][of], values), strict=True
    ):
        keys = of * ALL_BINS + places
        there = memory["counts"][of, places] + times_before(keys)
        total -= np.log10((there + _SMOOTHING) / (known + _SMOOTHING * bins))
        np.add.at(added.reshape(-1), keys, np.float32(1))
    memory["counts"] += added
    memory["counted"] += np.bincount(of, minlength=len(memory))
    novelty[is_counted] = total / len(BINS)
    return novelty


def fade(memory: Memory) -> None:
    """Halve the counts of sensors that have counted enough, at the end of an hour."""
    is_full = memory["counted"] > MOST_COUNTED
    if is_full.any():
        for name in ("counts", "counted", "tails", "lone_tails", "judged"):
            memory[name][is_full] /= 2


def rate_distance(tails: npt.NDArray[np.float32], size: float, judged: float) -> float:
    """The novelty of a distance, at least `TAIL_FROM` standard deviations, which is counted too.

    It comes from how many of the `judged` readings were as far out, give or take the noise of one.
    """
    as_far = float(tails[_tail_bin(abs(size) - _NOISE) :].sum())
    tails[_tail_bin(abs(size))] += 1
    return math.log10((judged + _SMOOTHING) / (as_far + _SMOOTHING))


def _tail_bin(size: float) -> int:
    return min(int(math.log(max(size / TAIL_FROM, 1.0)) / _TAIL_STEP), TAIL_BINS - 1)
