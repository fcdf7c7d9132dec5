"""Noise as a function of time: whoever asks for an instant, in whatever block, gets the same number.

Counter-based after SplitMix64 (Steele, Lea and Flood 2014): the state is the instant itself, so there is no
sequence to replay, and live readings continue the history without a jump.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def stream(seed: int, name: str) -> np.uint64:
    """The key of an independent stream of noise."""
    return np.uint64(int.from_bytes(blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big"))


def uniform(key: np.uint64, counter: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform numbers above 0 and up to 1, one per counter, of the counter's shape."""
    state = (counter.astype(np.uint64) + np.uint64(1)) * _GOLDEN ^ key
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    state ^= state >> np.uint64(31)
    return ((state >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53


def normal(key: np.uint64, counter: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard normal numbers, one per counter (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(key, counter)))
    return radius * np.cos(2.0 * np.pi * uniform(~key, counter))


def smooth(key: np.uint64, ts_us: NDArray[np.int64], knot_us: int) -> NDArray[np.float64]:
    """A smooth curve within -1 and 1 that takes a random value at each whole multiple of `knot_us`."""
    knot, offset_us = np.divmod(ts_us, knot_us)
    share = offset_us / knot_us
    share = share * share * (3.0 - 2.0 * share)
    before, after = uniform(key, knot), uniform(key, knot + 1)
    return 2.0 * (before + (after - before) * share) - 1.0
