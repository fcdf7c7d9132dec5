import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.forecasting.drift_diffusion import failure_probabilities, without_cycle
from predictions.forecasting.normal import log_normal_cdf, passage_probability

STEPS = (7, 14, 30, 60, 90)


def walks(
    count: int, *, drift: float, sd: float, noise: float, steps: int = 200, seed: int = 1
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = 60 + np.cumsum(rng.normal(drift, sd, (count, steps)), axis=1)
    return level + rng.normal(0, noise, level.shape)


def ask(values: np.ndarray, limit: float = 100.0, **more: object) -> np.ndarray:
    told = {"steps_ahead": STEPS, "cycle": 7} | more
    return failure_probabilities(values, limits=np.full(len(values), limit), **told)


def test_the_normal_distribution_function() -> None:
    expected = {-8.0: 6.22096e-16, -1.959964: 0.025, 0.0: 0.5, 1.281552: 0.9}
    found = np.exp(log_normal_cdf(np.array(list(expected))))
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-5)


def test_first_passage_is_what_sampled_paths_do() -> None:
    rng = np.random.default_rng(4)
    steps = 3_000
    paths = np.cumsum(rng.normal(0.2 * 30 / steps, np.sqrt(30 / steps), (4_000, steps)), axis=1)
    [formula] = passage_probability(
        distance=np.array([8.0]), drift=np.array([0.2]), variance=np.array([1.0]), time=30.0
    )
    assert formula == pytest.approx((paths.max(axis=1) >= 8.0).mean(), abs=0.025)


def test_probabilities_rise_with_time_and_with_nearness() -> None:
    values = walks(20, drift=0.1, sd=0.3, noise=1.0)
    far, near = ask(values, limit=130.0), ask(values, limit=105.0)
    assert (np.diff(far, axis=1) >= 0).all()
    assert (near >= far).all()
    assert ((far >= 0) & (near <= 1)).all()


def test_noise_and_a_weekly_cycle_do_not_fail_a_healthy_machine() -> None:
    steady = walks(20, drift=0.0, sd=0.0, noise=2.0) + 3 * np.sin(2 * np.pi * np.arange(200) / 7)
    assert (ask(steady, limit=75.0)[:, -1] < 0.2).all()


def test_a_machine_that_bends_upwards_is_seen() -> None:
    bent = walks(20, drift=0.0, sd=0.1, noise=0.5)
    bent[:, -40:] += np.arange(1, 41) * 0.6
    straight = walks(20, drift=0.0, sd=0.1, noise=0.5)
    assert (ask(bent)[:, 3] > 0.5).mean() > 0.8
    assert (ask(straight)[:, 3] < 0.1).all()


def test_a_series_that_never_moved_and_one_that_was_never_read() -> None:
    found = ask(np.stack([np.full(50, 60.0), np.full(50, np.nan), np.r_[np.full(49, np.nan), 3.0]]))
    assert found[0].tolist() == [0.0] * 5
    assert np.isnan(found[1:]).all()


@settings(deadline=None)
@given(
    exponent=st.floats(-9, 9),
    offset=st.floats(-1000, 1000),
    seed=st.integers(0, 2**32 - 1),
    drift=st.floats(-0.2, 0.4),
)
def test_units_do_not_matter(exponent: float, offset: float, seed: int, drift: float) -> None:
    """Microampere or ampere, kelvin or degrees Celsius."""
    values = walks(3, drift=drift, sd=0.3, noise=1.0, steps=90, seed=seed)
    factor = 10.0**exponent
    moved = failure_probabilities(
        factor * (values + offset), limits=np.full(3, factor * (100.0 + offset)), steps_ahead=STEPS, cycle=7
    )
    np.testing.assert_allclose(moved, ask(values), atol=1e-6)
    assert ((moved > 0) & (moved < 1)).any()


def test_neighbours_and_padding_change_nothing() -> None:
    values = walks(6, drift=0.1, sd=0.3, noise=1.0)
    padded = np.pad(values[2:3], ((0, 0), (40, 0)), constant_values=np.nan)
    np.testing.assert_allclose(ask(padded), ask(values)[2:3], atol=1e-9)
    np.testing.assert_array_equal(ask(values), ask(values))


def test_gaps_are_bridged() -> None:
    values = walks(10, drift=0.1, sd=0.3, noise=1.0)
    gappy = np.where(np.random.default_rng(3).random(values.shape) < 0.2, np.nan, values)
    np.testing.assert_allclose(ask(gappy), ask(values), atol=0.25)


def test_a_cycle_is_removed_and_a_slope_is_not() -> None:
    days = np.arange(140)
    series = 0.5 * days + 4 * np.sin(2 * np.pi * days / 7)
    left = without_cycle(series[None], 7)[0] - 0.5 * days
    assert np.abs(left).max() < 0.45 * 4
    assert abs(np.polyfit(days, left, 1)[0]) < 0.005


def test_probabilities_are_calibrated_on_machines_of_the_kind() -> None:
    rng = np.random.default_rng(8)
    count, past, ahead = 600, 120, 90
    drifts = np.maximum(rng.normal(0.15, 0.1, (count, 1)), 0)
    level = 70 + np.cumsum(rng.normal(drifts, 0.4, (count, past + ahead)), axis=1)
    alive = level[:, :past].max(axis=1) < 100
    level = level[alive]
    readings = level[:, :past] + rng.normal(0, 1.0, (len(level), past))
    found = ask(readings)
    for column, steps in enumerate(STEPS):
        failed = level[:, past : past + steps].max(axis=1) >= 100
        assert found[:, column].mean() == pytest.approx(failed.mean(), abs=0.04)
