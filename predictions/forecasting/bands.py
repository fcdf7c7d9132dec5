"""Quantiles of Prophet's predictive distribution, without drawing from it.

Prophet lets the slope go on changing as it did: changes come as a Poisson process at the rate of the history, with
Laplace sizes of its mean absolute size b (Taylor and Letham 2018, section 3.1.4), and readings have normal noise.
At the time t after the history, c changes are expected, and what they add to the trend, in units of b t, has the
characteristic function

    exp(c (arctan(u) / u - 1))          of variance 2 c / 3,

the Poisson mean of the Laplace one, 1 / (1 + u^2 x^2), over the shares x of t that a change has been at work.
With the noise it makes a symmetric family of two parameters: c, and the noise in units of the trend's deviation.
Its quantiles are tabulated once, by inverting the characteristic function, and looked up.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The table's axes, in natural logarithms. Fewer changes hardly ever happen, more are normal by the central limit;
# less noise does not show beside the trend, with more the trend does not show.
LOG_CHANGES = np.arange(-5.0, 7.01, 0.25)
LOG_NOISE = np.arange(-3.5, 4.01, 0.25)
REACH = 16.0  # standard deviations on either side, beyond which the density is nothing
CELLS = 2048
ROWS_AT_ONCE = 256


def deviations(
    *, time: Floats, rate: Floats, size: Floats, noise: Floats, shares: tuple[float, ...]
) -> Floats:
    """How far each of the quantiles `shares` lies from the most likely value: (k, s, h) at times (s, h).

    Times are since the end of the history, in any unit; up to then only the noise counts. Per series (s,): `rate`
    is the number of slope changes in a unit of time, `size` their mean absolute size per unit of time, and
    `noise` the standard deviation of readings.
    """
    time = np.maximum(time, 0.0)
    changes = rate[:, None] * time
    trend = size[:, None] * time * np.sqrt(changes * (2 / 3))
    whole = np.hypot(trend, noise[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        look_up = _LookUp.at(np.log(changes), np.log(noise[:, None] / trend))
    # The distribution is symmetric: the upper quantiles are the lower ones of the same tail.
    tails = [round(min(share, 1.0 - share), 12) for share in shares]
    found = {tail: whole * look_up(standard_quantiles(tail)) for tail in set(tails)}
    return np.stack(
        [found[tail] if share < 0.5 else -found[tail] for share, tail in zip(shares, tails, strict=True)]
    )


@lru_cache(maxsize=16)
def standard_quantiles(tail: float) -> Floats:
    """The quantile `tail`, at most a half, in standard deviations, on the table's axes (changes, noise)."""
    if tail == 0.5:
        return np.zeros((len(LOG_CHANGES), len(LOG_NOISE)))
    changes, noise = (axis.ravel() for axis in np.meshgrid(LOG_CHANGES, LOG_NOISE, indexing="ij"))
    parts = [
        _invert(np.exp(changes[rows]), np.exp(noise[rows]), tail)
        for rows in np.split(np.arange(changes.size), range(ROWS_AT_ONCE, changes.size, ROWS_AT_ONCE))
    ]
    return np.concatenate(parts).reshape(len(LOG_CHANGES), len(LOG_NOISE))


def _invert(changes: Floats, noise: Floats, tail: float) -> Floats:
    """Quantile (n,) by a Fourier transform of the characteristic function of the standardised variable."""
    frequency = np.arange(CELLS // 2 + 1) * (np.pi / REACH)
    variance = 1.0 + noise**2
    scaled = np.outer(np.sqrt(1.5 / (changes * variance)), frequency)
    scaled[:, 0] = 1.0
    exponent = changes[:, None] * (np.arctan(scaled) / scaled - 1.0)
    exponent[:, 0] = 0.0
    exponent -= np.outer(noise**2 / variance, frequency**2 / 2)
    density = np.fft.fftshift(np.fft.irfft(np.exp(exponent), axis=1), axes=1)
    below = np.cumsum(density, axis=1) - density / 2
    edges = (np.arange(CELLS) - CELLS // 2) * (2 * REACH / CELLS)
    return np.array([np.interp(tail, row, edges) for row in np.maximum.accumulate(below, axis=1)])


@dataclass(frozen=True, slots=True, eq=False)
class _LookUp:
    """Places between the nodes of a table: what lies between is bilinear, what lies beyond is as at the edge."""

    corner: NDArray[np.intp]
    down: Floats
    right: Floats

    @classmethod
    def at(cls, log_changes: Floats, log_noise: Floats) -> "_LookUp":
        row, down = _place(log_changes, LOG_CHANGES)
        column, right = _place(log_noise, LOG_NOISE)
        return cls(row * len(LOG_NOISE) + column, down, right)

    def __call__(self, table: Floats) -> Floats:
        flat, width = table.ravel(), table.shape[1]
        upper, lower = flat[self.corner], flat[self.corner + width]
        upper = upper + self.right * (flat[self.corner + 1] - upper)
        lower = lower + self.right * (flat[self.corner + width + 1] - lower)
        return upper + self.down * (lower - upper)


def _place(values: Floats, axis: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Index of the node below each value, and how far it is to the next, 0..1. Not a number counts as no trend."""
    steps = np.clip(np.nan_to_num((values - axis[0]) / (axis[1] - axis[0]), nan=np.inf), 0.0, len(axis) - 1)
    node = np.minimum(steps.astype(np.intp), len(axis) - 2)
    return node, steps - node
