import numpy as np
import pytest

from predictions.forecasting.recalibration import fit_recalibration


def outcomes_of(true: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(true.shape) < true


def test_too_few_outcomes_change_nothing_and_say_so() -> None:
    probabilities = np.linspace(0.1, 0.9, 150)
    recalibration = fit_recalibration(probabilities, outcomes_of(probabilities), np.full(150, 30.0))
    assert not recalibration.is_fitted
    assert "Not recalibrated: 150 outcomes" in recalibration.words
    np.testing.assert_array_equal(recalibration.apply(probabilities, np.full(150, 7.0)), probabilities)


def test_many_outcomes_without_failures_change_nothing() -> None:
    recalibration = fit_recalibration(np.full(900, 0.3), np.zeros(900, dtype=bool), np.full(900, 30.0))
    assert not recalibration.is_fitted


def test_overconfidence_is_taken_back() -> None:
    true = np.random.default_rng(3).uniform(0.02, 0.98, 5_000)
    logits = np.log(true / (1 - true))
    claimed = 1 / (1 + np.exp(-2 * logits))
    recalibration = fit_recalibration(claimed, outcomes_of(true), np.full(5_000, 30.0))
    assert recalibration.slope == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(recalibration.apply(claimed, np.full(5_000, 30.0)), true, atol=0.05)
    assert "5000 outcomes" in recalibration.words


def test_a_bias_that_grows_with_the_horizon_is_taken_back() -> None:
    rng = np.random.default_rng(4)
    horizons = rng.choice([7.0, 30.0, 90.0], 9_000)
    true = rng.uniform(0.1, 0.9, 9_000)
    logits = np.log(true / (1 - true)) - 0.8 * np.log(horizons / 30.0)
    claimed = 1 / (1 + np.exp(-logits))
    recalibration = fit_recalibration(claimed, outcomes_of(true), horizons)
    assert recalibration.by_horizon == pytest.approx(0.8, abs=0.1)


def test_certain_predictions_stay_finite() -> None:
    probabilities = np.r_[np.zeros(300), np.ones(300)]
    outcomes = probabilities > 0.5
    recalibration = fit_recalibration(probabilities, outcomes, np.full(600, 30.0))
    corrected = recalibration.apply(probabilities, np.full(600, 30.0))
    assert np.isfinite(corrected).all()
    assert (corrected[:300] < 0.05).all()


def test_claims_that_are_certain_and_often_wrong_become_modest() -> None:
    rng = np.random.default_rng(5)
    claimed = np.where(rng.random(4_000) < 0.85, 0.0, 1.0)
    outcomes = outcomes_of(np.where(claimed > 0.5, 0.6, 0.05), seed=6)
    corrected = fit_recalibration(claimed, outcomes, np.full(4_000, 90.0)).apply(
        claimed, np.full(4_000, 90.0)
    )
    assert corrected[claimed < 0.5][0] == pytest.approx(0.05, abs=0.02)
    assert corrected[claimed > 0.5][0] == pytest.approx(0.6, abs=0.08)
