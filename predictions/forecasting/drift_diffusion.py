"""Probability of failure by a drift-diffusion whose drift may change: the companion of Prophet's paths.

The level of a machine is a Wiener process with an uncertain, slowly wandering drift; readings add noise and a weekly
cycle that no failure follows. How much of the movement is process and how much noise, and how much the drift
wanders, is not chosen: a grid of hypotheses is weighted by its evidence in the series. First passage is by formula,
so nothing is drawn, and the same series gives the same probability without a seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.cycles import weighted_mean
from predictions.forecasting.drift_filter import DriftState, Hypotheses, filter_drift
from predictions.forecasting.normal import passage_probability

PROCESS_SHARES = (0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.75)
WANDERS = (0.0, 0.003, 0.03)  # a step, in units of the variance of the drift between machines
NOISE_CARRY = (
    0.3  # neighbouring errors of a sensor resemble each other: differences show less noise than there is
)
CYCLE_SHRINKAGE = 10.0  # turns: a cycle seen that often is believed by half
NODES = 5
STEPS_FOR_A_DRIFT = 30
TINY = 1e-12  # of values that were divided by their range
FLAT_RELATIVE_RANGE = 1e-9  # less than that is rounding
NEGLIGIBLE = (
    1e-3  # a hypothesis with less evidence than this is left out: together they hold two per cent at most
)


def without_cycle(values: NDArray[np.float64], cycle: int) -> NDArray[np.float64]:
    """(series, points) less its mean cycle of `cycle` points, which is shrunk towards none.

    The cycle is what is left over by a centred moving mean of one turn.
    """
    if cycle < 2:
        return values
    half = cycle // 2
    padded = np.pad(values, ((0, 0), (half, cycle - 1 - half)), constant_values=np.nan)
    points = values.shape[1]
    smooth = np.mean([padded[:, shift : shift + points] for shift in range(cycle)], axis=0)
    left = values - smooth
    cleaned = values.copy()
    for phase in range(min(cycle, points)):
        columns = slice(points - 1 - phase, None, -cycle)
        seen = np.isfinite(left[:, columns])
        mean = np.where(seen, left[:, columns], 0.0).sum(axis=1) / (seen.sum(axis=1) + CYCLE_SHRINKAGE)
        cleaned[:, columns] -= mean[:, None]
    return cleaned


def failure_probabilities(
    values: NDArray[np.float64],
    *,
    limits: NDArray[np.float64],
    steps_ahead: tuple[int, ...],
    cycle: int,
) -> NDArray[np.float64]:
    """P(the level has come to its limit within so many steps), (series, steps_ahead).

    `values` (series, points) since the last repair, aligned at the end, NaN for gaps; `limits` (series,) are
    crossed from below: negate both for a lower limit. `cycle` is removed first. The drift starts from zero
    with the spread of the series' own steps. The machine is known not to have failed yet. NaN where no step was
    read. A series that never moved does not start to. The unit does not matter: all is counted in the series' range.
    """
    low, scale = _range(values)
    cleaned = without_cycle((values - low[:, None]) / np.where(scale > 0, scale, 1.0)[:, None], cycle)
    change = weighted_mean(np.diff(cleaned, axis=1) ** 2, np.ones(1), 1)
    probabilities = np.full((len(values), len(steps_ahead)), np.nan)
    probabilities[np.isfinite(change)] = 0.0
    moving = np.flatnonzero((scale > 0) & (change > TINY))
    if len(moving):
        hypotheses = _hypotheses(change[moving])
        state = filter_drift(cleaned[moving], hypotheses)
        believed = _Believed.of(state, hypotheses, (limits[moving] - low[moving]) / scale[moving])
        probabilities[moving] = np.stack([believed.crossed(steps) for steps in steps_ahead], axis=1)
    return probabilities


def _range(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest value of each series and how far it moved, (series,) each; 0 where that is but rounding or nothing."""
    known = np.isfinite(values)
    low, high = np.where(known, values, np.inf).min(axis=1), np.where(known, values, -np.inf).max(axis=1)
    low, high = (np.where(np.isfinite(bound), bound, 0.0) for bound in (low, high))
    scale = high - low
    largest = np.maximum(np.abs(low), np.abs(high))
    return low, np.where(scale > FLAT_RELATIVE_RANGE * largest, scale, 0.0)


def _hypotheses(change: NDArray[np.float64]) -> Hypotheses:
    """`change` (series,) is the mean squared step: process plus twice the noise that a step shows."""
    shares, wanders = (part.ravel() for part in np.meshgrid(PROCESS_SHARES, WANDERS, indexing="ij"))
    total = change[:, None]
    variance = total / STEPS_FOR_A_DRIFT
    return Hypotheses(
        process=total * shares,
        wander=variance * wanders,
        noise=total * (1 - shares) / (2 * (1 - NOISE_CARRY)),
        drift_mean=np.zeros_like(total),
        drift_variance=variance,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Believed:
    """The hypotheses that a series' past leaves over, (n,) each over all series: their owner, weight, and state.

    `distance` (levels, n) to the limit and `drift` (levels, n) are those at each node of the level, which
    weigh `level_weights` (levels, n): none where the machine would have failed already.
    """

    series: int
    owner: NDArray[np.intp]
    weight: NDArray[np.float64]
    process: NDArray[np.float64]
    wander: NDArray[np.float64]
    drift_variance: NDArray[np.float64]
    distance: NDArray[np.float64]
    drift: NDArray[np.float64]
    level_weights: NDArray[np.float64]

    @classmethod
    def of(cls, state: DriftState, hypotheses: Hypotheses, limits: NDArray[np.float64]) -> "_Believed":
        kept = state.weight > NEGLIGIBLE
        owner = np.nonzero(kept)[0]
        weight = state.weight[kept]
        weight = weight / np.bincount(owner, weight, minlength=len(limits))[owner]
        level_sd = np.sqrt(np.maximum(state.level_variance[kept], TINY))
        shared = state.covariance[kept] / level_sd
        nodes, node_weights = _gauss()
        distance = limits[owner] - state.level[kept] - level_sd * nodes[:, None]
        possible = node_weights[:, None] * (distance > 0)
        total = possible.sum(axis=0)
        return cls(
            series=len(limits),
            owner=owner,
            weight=weight,
            process=hypotheses.process[kept],
            wander=hypotheses.wander[kept],
            drift_variance=state.drift_variance[kept] - shared**2,
            distance=distance,
            drift=state.drift[kept] + shared * nodes[:, None],
            level_weights=np.divide(possible, total, out=np.zeros_like(possible), where=total > 0),
        )

    def crossed(self, steps: int) -> NDArray[np.float64]:
        """P(at the limit within so many steps), (series,): a quadrature over level and drift, over the hypotheses."""
        # Over so many steps a drift that wanders differs from its present value by a third of what it wanders.
        drift_sd = np.sqrt(np.maximum(self.drift_variance + self.wander * steps / 3, 0.0))
        nodes, node_weights = _gauss()
        share = sum(
            node_weight
            * passage_probability(
                distance=self.distance,
                drift=self.drift + drift_sd * node,
                variance=self.process,
                time=float(steps),
            )
            for node, node_weight in zip(nodes, node_weights, strict=True)
        )
        is_possible = self.level_weights.any(axis=0)
        given_not_yet = np.where(is_possible, (self.level_weights * share).sum(axis=0), 1.0)
        return np.bincount(self.owner, self.weight * given_not_yet, minlength=self.series).astype(np.float64)


def _gauss() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes (levels,) of a standard normal variable, and their weights, which sum to one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()
