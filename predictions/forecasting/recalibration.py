"""Recalibration: what share of predictions like this one came true, learned from resolved outcomes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTCOMES_AT_LEAST = 200
FAILURES_AT_LEAST = 20
CERTAIN = 1e-4
RIDGE = 1.0  # outcomes' worth of belief that nothing needs correction
ITERATIONS = 50
CONVERGED = 1e-8


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit P = intercept + slope x logit p + by_horizon x log(horizon / 30 days); identity until it is fitted."""

    intercept: float
    slope: float
    by_horizon: float
    outcomes: int
    failures: int
    is_fitted: bool

    @property
    def words(self) -> str:
        """What it was learned from, or what is still missing."""
        if self.is_fitted:
            return f"Recalibrated on {self.outcomes} outcomes of earlier predictions, with {self.failures} failures."
        return (
            f"Not recalibrated: {self.outcomes} outcomes of earlier predictions, with {self.failures} failures, are "
            f"known; {OUTCOMES_AT_LEAST} with {FAILURES_AT_LEAST} failures and as many without are needed to correct "
            "probabilities by what came true."
        )

    def apply(
        self, probabilities: NDArray[np.float64], horizons_days: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Corrected probabilities, in the shape that both arguments broadcast to."""
        if not self.is_fitted:
            return np.broadcast_arrays(probabilities, horizons_days)[0].copy()
        design = _design(probabilities, horizons_days)
        score = self.intercept + self.slope * design[1] + self.by_horizon * design[2]
        return np.asarray(1 / (1 + np.exp(-score)))


UNFITTED = Recalibration(0.0, 1.0, 0.0, 0, 0, is_fitted=False)


def fit_recalibration(
    probabilities: NDArray[np.float64], outcomes: NDArray[np.bool_], horizons_days: NDArray[np.float64]
) -> Recalibration:
    """Logistic regression of outcomes (n,) on predicted probabilities (n,) and their horizons in days (n,).

    Platt 1999, with a ridge towards the identity. Only resolved outcomes belong here: a preventive repair
    resolves nothing. The slope is kept positive, so that the order of predictions never changes.
    """
    failures = int(outcomes.sum())
    count = len(outcomes)
    if count < OUTCOMES_AT_LEAST or min(failures, count - failures) < FAILURES_AT_LEAST:
        return Recalibration(0.0, 1.0, 0.0, count, failures, is_fitted=False)
    coefficients = _fit_logistic(_design(probabilities, horizons_days), outcomes.astype(np.float64))
    intercept, slope, by_horizon = coefficients.tolist()
    return Recalibration(intercept, max(slope, CERTAIN), by_horizon, count, failures, is_fitted=True)


def _fit_logistic(design: NDArray[np.float64], outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (3,) by Newton's method; a step that makes it worse is halved, as certain wrong claims ask for."""
    identity = np.array([0.0, 1.0, 0.0])

    def loss(coefficients: NDArray[np.float64]) -> float:
        score = coefficients @ design
        ridge = 0.5 * RIDGE * float(((coefficients - identity) ** 2).sum())
        return float((np.logaddexp(0.0, score) - outcomes * score).sum()) + ridge

    coefficients = identity
    for _ in range(ITERATIONS):
        expected = 0.5 * (1 + np.tanh(0.5 * (coefficients @ design)))
        gradient = design @ (outcomes - expected) - RIDGE * (coefficients - identity)
        curvature = (design * (expected * (1 - expected))) @ design.T + RIDGE * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        while loss(coefficients + step) > loss(coefficients) and np.abs(step).max() > CONVERGED:
            step = step / 2
        coefficients = coefficients + step
        if np.abs(step).max() <= CONVERGED:
            break
    return coefficients


def _design(probabilities: NDArray[np.float64], horizons_days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows one, logit of the probability and logarithm of the horizon in months."""
    safe = np.clip(probabilities, CERTAIN, 1 - CERTAIN)
    logits = np.log(safe / (1 - safe))
    return np.stack(np.broadcast_arrays(np.ones(1), logits, np.log(horizons_days / 30.0)))
