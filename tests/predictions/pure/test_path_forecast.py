"""The contest and the intervals: who forecasts, and whether the intervals hold what they promise."""

import numpy as np
import pytest

from predictions.forecasting.candidates import CANDIDATES, INCUMBENT
from predictions.forecasting.conformal import interval_offsets
from predictions.forecasting.contest import hold_contest
from predictions.forecasting.path_forecast import PathForecast, forecast_paths
from predictions.forecasting.rolling_origin import choose_origins, past_errors

HOUR_S = 3_600.0
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
HOURS = np.arange(28 * 24)
DAILY = 5 * np.sin(2 * np.pi * HOURS / 24)


def predict(*series: np.ndarray, horizon: int = 24) -> PathForecast:
    return forecast_paths(np.stack(series), step_s=HOUR_S, horizon=horizon, quantiles=LEVELS)


def noise(sd: float = 1.0, seed: int = 1, points: int = len(HOURS)) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, points)


def test_a_constant_series_is_forecast_as_itself_and_its_interval_holds_it() -> None:
    result = predict(np.full(len(HOURS), 101_325.0))
    np.testing.assert_allclose(result.path, 101_325.0, rtol=1e-12)
    assert (result.quantiles[0.1] <= 101_325.0).all()
    assert (result.quantiles[0.9] >= 101_325.0).all()
    np.testing.assert_allclose(result.quantiles[0.975], 101_325.0, rtol=1e-6)


def test_a_series_without_readings_gets_nothing_and_its_neighbour_is_untouched() -> None:
    alone = predict(DAILY + noise())
    both = predict(np.full(len(HOURS), np.nan), DAILY + noise())
    assert np.isnan(both.path[0]).all()
    np.testing.assert_allclose(both.path[1], alone.path[0])


def test_two_readings_give_a_path_and_a_wide_interval() -> None:
    context = np.full(len(HOURS), np.nan)
    context[-1], context[-30] = 7.0, 5.0
    result = predict(context)
    assert np.isfinite(result.path).all()
    assert (result.quantiles[0.975] - result.quantiles[0.025] >= 2.0).all()
    assert result.contests[0].winners == (INCUMBENT,)


@pytest.mark.parametrize(("offset", "factor"), [(101_325.0, 1.0), (-500.0, 1.0), (0.0, 1e6)])
def test_forecasts_move_and_stretch_with_the_unit(offset: float, factor: float) -> None:
    plain, moved = predict(DAILY + noise()), predict(offset + factor * (DAILY + noise()))
    np.testing.assert_allclose(moved.path, offset + factor * plain.path, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.quantiles[0.9], offset + factor * plain.quantiles[0.9], rtol=1e-6)


def test_a_step_is_followed_within_days() -> None:
    stepped = DAILY + noise(0.3) + np.where(HOURS >= 24 * 25, 20.0, 0.0)
    path = predict(stepped).path[0]
    assert np.abs(path - DAILY[:24] - 20.0).mean() < 4.0


@pytest.mark.parametrize("at", [-1, -30, -200])
def test_one_wild_reading_does_not_move_the_path(at: int) -> None:
    clean = DAILY + noise(0.3)
    wild = clean.copy()
    wild[at] = 500.0
    np.testing.assert_allclose(predict(wild).path, predict(clean).path, atol=0.5)


def test_gaps_do_not_stop_a_forecast() -> None:
    context = DAILY + noise(0.3)
    context[100:180] = np.nan
    context[np.random.default_rng(2).random(len(HOURS)) < 0.2] = np.nan
    path = predict(context).path[0]
    assert np.abs(path - DAILY[:24]).mean() < 0.5


def test_the_same_context_gives_the_same_forecast() -> None:
    first, second = predict(DAILY + noise()), predict(DAILY + noise())
    np.testing.assert_array_equal(first.path, second.path)
    np.testing.assert_array_equal(first.quantiles[0.1], second.quantiles[0.1])


def test_the_past_is_forecast_without_the_future() -> None:
    """Changing the last week leaves every error before it as it was."""
    context = (DAILY + noise())[None]
    changed = context.copy()
    changed[:, -7 * 24 :] += 100.0
    origins = choose_origins(points=context.shape[1], step_s=HOUR_S)
    one = past_errors(context, step_s=HOUR_S, horizon=24, candidates=CANDIDATES, origins=origins)
    other = past_errors(changed, step_s=HOUR_S, horizon=24, candidates=CANDIDATES, origins=origins)
    for name in CANDIDATES:
        np.testing.assert_array_equal(one[name][:, 7:], other[name][:, 7:])
        assert not np.array_equal(one[name][:, :7], other[name][:, :7])


def test_intervals_cover_what_they_promise_on_exchangeable_noise() -> None:
    rng = np.random.default_rng(5)
    whole = rng.normal(0, 2, (120, len(HOURS) + 24))
    result = forecast_paths(whole[:, :-24], step_s=HOUR_S, horizon=24, quantiles=LEVELS)
    truth = whole[:, -24:]
    inside = {
        level: float(((result.quantiles[low] <= truth) & (truth <= result.quantiles[high])).mean())
        for level, low, high in ((80, 0.1, 0.9), (95, 0.025, 0.975))
    }
    assert 0.78 <= inside[80] <= 0.86
    assert 0.94 <= inside[95] <= 0.98


def test_quantiles_are_in_order() -> None:
    result = predict(DAILY + noise(), noise().cumsum(), horizon=168)
    stacked = np.stack([result.quantiles[level] for level in LEVELS])
    assert (np.diff(stacked, axis=0) >= 0).all()


def test_skewed_errors_get_a_skewed_interval() -> None:
    skewed = DAILY + np.random.default_rng(3).exponential(3.0, (20, len(HOURS)))
    result = predict(*skewed)
    above = (result.quantiles[0.9] - result.path).mean()
    below = (result.path - result.quantiles[0.1]).mean()
    assert above > 1.04 * below


def test_horizons_that_no_origin_reached_get_wider_intervals() -> None:
    result = predict((DAILY + noise())[-10 * 24 :], horizon=14 * 24)
    width = (result.quantiles[0.9] - result.quantiles[0.1])[0].reshape(14, 24).mean(axis=1)
    assert np.isfinite(width).all()
    assert width[-1] > 1.3 * width[3]


def test_a_series_without_any_earlier_origin_is_as_wide_as_its_own_changes_say() -> None:
    short = (DAILY + noise(seed=9))[None, -2 * 24 :]
    offsets = interval_offsets(np.full((1, 0, 24), np.nan), context=short, cycle=24, quantiles=(0.1, 0.9))
    width = (offsets[0.9] - offsets[0.1]).mean()
    assert 2.6 < width < 30.0  # of unit noise it is 2.6 wide; so little evidence widens it, within reason


EIGHT_WEEKS = np.arange(56 * 24)
SERIES = {
    "profile_and_residuals": lambda rng: (
        5 * np.sin(2 * np.pi * EIGHT_WEEKS / 24) + _autoregressive(rng, 0.95, 1.0)
    ),
    "seasonal_naive": lambda rng: (
        np.tile(rng.normal(0, 1, 24 * 7), 8) + rng.normal(0, 0.01, len(EIGHT_WEEKS))
    ),
    "last_level": lambda rng: (
        rng.normal(0, 5, len(EIGHT_WEEKS)) * (rng.random(len(EIGHT_WEEKS)) < 0.01)
    ).cumsum(),
    "drift": lambda rng: 0.5 * EIGHT_WEEKS + rng.normal(0, 0.2, len(EIGHT_WEEKS)).cumsum(),
    "weekday_profile": lambda rng: (
        np.repeat(np.tile([5.0, 5, 5, 5, 5, 0, 0], 8), 24) + rng.normal(0, 1, len(EIGHT_WEEKS))
    ),
}


def _autoregressive(rng: np.random.Generator, carry: float, sd: float) -> np.ndarray:
    values = rng.normal(0, sd, len(EIGHT_WEEKS))
    for index in range(1, len(values)):
        values[index] += carry * values[index - 1]
    return values


@pytest.mark.parametrize("name", sorted(SERIES))
def test_the_contest_finds_the_one_that_suits(name: str) -> None:
    rng = np.random.default_rng(11)
    results = predict(*[SERIES[name](rng) for _ in range(8)], horizon=48).contests
    assert sum(name in result.winners for result in results) >= 5, [result.name for result in results]


def test_the_incumbent_stays_when_the_challenger_is_better_by_chance() -> None:
    rng = np.random.default_rng(1)
    errors = {"held": rng.normal(0, 1, (50, 14, 24)), "other": rng.normal(0, 1, (50, 14, 24))}
    results = hold_contest(errors, incumbents=["held"] * len(errors["held"]), origins_overlap=1.0)
    assert sum(result.winners == ("other",) for result in results) <= 2
    better = next(result for result in results if result.mean_errors["other"] < result.mean_errors["held"])
    assert "stays" in better.reason or "other" in better.winners


def test_a_clear_challenger_wins_and_the_reason_has_both_numbers() -> None:
    rng = np.random.default_rng(1)
    errors = {"held": rng.normal(0, 2, (1, 14, 24)), "other": rng.normal(0, 1, (1, 14, 24))}
    [result] = hold_contest(errors, incumbents=["held"] * len(errors["held"]), origins_overlap=1.0)
    assert result.winners == ("other",)
    for name in ("held", "other"):
        assert f"{result.mean_errors[name]:.4g}" in result.reason


def test_without_earlier_origins_the_incumbent_forecasts() -> None:
    [result] = hold_contest({"held": np.full((1, 2, 3), np.nan)}, incumbents=["held"], origins_overlap=1.0)
    assert result.winners == ("held",)
    assert "0 earlier origins" in result.reason
