"""Level and drift of many series, as several hypotheses about their noise see them: a bank of Kalman filters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Hypotheses:
    """Variances a step per series and hypothesis, (series, hypotheses) each.

    `process` moves the level, `wander` the drift, `noise` only the readings. The drift starts from a normal
    distribution of `drift_mean` and `drift_variance`, (series, 1) each.
    """

    process: NDArray[np.float64]
    wander: NDArray[np.float64]
    noise: NDArray[np.float64]
    drift_mean: NDArray[np.float64]
    drift_variance: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DriftState:
    """Level and drift after the last reading: means, (co)variances and evidence, (series, hypotheses) each."""

    level: NDArray[np.float64]
    drift: NDArray[np.float64]
    level_variance: NDArray[np.float64]
    covariance: NDArray[np.float64]
    drift_variance: NDArray[np.float64]
    weight: NDArray[np.float64]


def filter_drift(values: NDArray[np.float64], hypotheses: Hypotheses) -> DriftState:
    """Run the local linear trend over `values` (series, points), NaN is a gap; each series needs one reading.

    Durbin and Koopman 2012, sections 3.2 and 4.3. `weight` is the posterior of the hypotheses, equal beforehand.
    """
    first = np.isfinite(values).argmax(axis=1)
    process, wander, noise = hypotheses.process, hypotheses.wander, hypotheses.noise
    level = np.repeat(values[np.arange(len(values)), first][:, None], process.shape[1], axis=1)
    drift = np.broadcast_to(hypotheses.drift_mean, process.shape).copy()
    p_level, p_both = noise.copy(), np.zeros_like(process)
    p_drift = np.broadcast_to(hypotheses.drift_variance, process.shape).copy()
    evidence = np.zeros_like(process)
    for point in range(int(first.min()) + 1, values.shape[1]):
        begun = (point > first)[:, None]
        reading = values[:, point, None]
        known = begun & np.isfinite(reading)
        ahead = level + drift
        ahead_level = p_level + 2 * p_both + p_drift + process
        ahead_both, ahead_drift = p_both + p_drift, p_drift + wander
        spread = ahead_level + noise
        surprise = np.where(known, reading - ahead, 0.0)
        evidence -= np.where(known, 0.5 * (np.log(spread) + surprise**2 / spread), 0.0)
        gain_level = np.where(known, ahead_level / spread, 0.0)
        gain_drift = np.where(known, ahead_both / spread, 0.0)
        level = np.where(begun, ahead + gain_level * surprise, level)
        drift = np.where(begun, drift + gain_drift * surprise, drift)
        p_drift = np.where(begun, ahead_drift - gain_drift * ahead_both, p_drift)
        p_both = np.where(begun, ahead_both * (1 - gain_level), p_both)
        p_level = np.where(begun, ahead_level * (1 - gain_level), p_level)
    weight = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return DriftState(level, drift, p_level, p_both, p_drift, weight)
