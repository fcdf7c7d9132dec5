import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.forecasting.bands import deviations
from predictions.forecasting.buckets import DAY_S, HOUR_S
from predictions.forecasting.guards import SEASONS, Season
from predictions.forecasting.latent import sample_bends
from predictions.forecasting.solver import FleetFit, fit_fleet
from tests.predictions.pure.prophets_objective import (
    START,
    instants,
    objective_of,
    objective_of_prophet,
    parameters_of,
    prophet_of,
)
from tests.predictions.pure.series import noise

DAILY = (Season("daily", DAY_S, 4),)
HOURS = np.arange(480)


def hourly(values: np.ndarray, *more: np.ndarray) -> FleetFit:
    return fit_fleet(np.stack((values, *more)), bucket_s=HOUR_S, seasons=DAILY)


def wave(*, sd: float = 0.02, seed: int = 1) -> np.ndarray:
    """A line from 0.3 to 0.6 with a daily cycle of 0.1 up and down, and noise."""
    cycle = 0.1 * np.sin(2 * np.pi * HOURS / 24)
    return 0.3 + 0.3 * HOURS / HOURS[-1] + cycle + noise(len(HOURS), sd=sd, seed=seed)


def test_a_line_with_a_daily_cycle_is_found() -> None:
    fit = hourly(wave())
    ahead = np.arange(480, 648)
    expected = 0.3 + 0.3 * ahead / HOURS[-1] + 0.1 * np.sin(2 * np.pi * ahead / 24)
    assert fit.converged.tolist() == [True]
    np.testing.assert_allclose(fit.latent(ahead)[0], expected, atol=0.02)
    assert fit.sigma[0] == pytest.approx(0.02, rel=0.15)


def test_a_series_has_the_same_fit_alone_as_among_others() -> None:
    gappy = wave(seed=2)
    gappy[100:140] = np.nan
    together = hourly(wave(), gappy, wave(seed=3))
    for series, values in enumerate((wave(), gappy, wave(seed=3))):
        alone = hourly(values)
        np.testing.assert_allclose(
            alone.latent(HOURS + 240)[0], together.latent(HOURS + 240)[series], atol=1e-9
        )
        assert alone.sigma[0] == pytest.approx(together.sigma[series], rel=1e-9)


def test_a_constant_is_itself_and_nothing_cannot_be_fitted() -> None:
    nothing, single = np.full(480, np.nan), np.full(480, np.nan)
    single[7] = 0.5
    fit = hourly(np.full(480, 0.7), nothing, single)
    assert fit.converged.tolist() == [True, False, False]
    assert np.unique(fit.latent(HOURS)[0]).tolist() == [0.7]
    assert np.isnan(fit.latent(HOURS)[1:]).all()


def test_unscaled_values_are_refused() -> None:
    with pytest.raises(ValueError, match="scaled"):
        hourly(np.full(480, 101_325.0))


def test_two_points_make_a_line() -> None:
    values = np.full(480, np.nan)
    values[[100, 300]] = 0.2, 0.6
    fit = fit_fleet(values[None], bucket_s=HOUR_S, seasons=())
    assert (fit.converged.tolist(), fit.changes.tolist()) == ([True], [0])
    np.testing.assert_allclose(fit.latent(np.array([100, 200, 300, 400]))[0], [0.2, 0.4, 0.6, 0.8], atol=1e-4)


def test_an_exact_line_keeps_a_ten_thousandth_of_noise() -> None:
    fit = hourly(np.linspace(0, 1, 480))
    assert fit.converged.tolist() == [True]
    assert fit.sigma[0] == pytest.approx(1e-4)
    np.testing.assert_allclose(fit.latent(np.array([0, 479, 958]))[0], [0, 1, 2], atol=1e-3)


def gappy(values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """Without its first hours, four days in the middle, and a tenth of the others."""
    kept = np.where(np.random.default_rng(4).uniform(size=len(values)) < share, np.nan, values)
    kept[:5] = kept[200:296] = np.nan
    return kept


def unit(values: np.ndarray) -> np.ndarray:
    return (values - np.nanmin(values)) / (np.nanmax(values) - np.nanmin(values))


LEVELS = np.concatenate((np.zeros(250), np.full(230, 0.5)))
STUBBORN = {
    "gaps": gappy(wave()),
    "negative": -gappy(wave(seed=5)),
    "step": unit(LEVELS + noise(480, sd=0.02)),
    "outlier": unit(wave() + 3 * (HOURS == 400)),
    "walk": unit(np.cumsum(noise(480, sd=1))),
    "little noise": unit(wave(sd=1e-3)),
}


@pytest.mark.parametrize("kind", STUBBORN)
def test_no_optimiser_of_prophets_comes_lower(kind: str) -> None:
    """Stan's Newton method, slow and exact, ends at our optimum from above; so do the forecasts."""
    values = STUBBORN[kind]
    fit = fit_fleet(values[None], bucket_s=HOUR_S, seasons=DAILY)
    model = prophet_of(values, bucket_s=HOUR_S, seasons=DAILY, algorithm="Newton")
    scale = model.y_scale
    if scale != 1.0:
        fit = fit_fleet(values[None] / scale, bucket_s=HOUR_S, seasons=DAILY)
    above = objective_of_prophet(model) - objective_of(fit, 0, values / scale)
    assert fit.converged.tolist() == [True]
    assert above + 1e-4 >= 0
    assert above < 0.5
    assert fit.changes[0] == len(model.changepoints_t)
    np.testing.assert_allclose(fit.change_times[0], model.changepoints_t, atol=1e-12)
    ahead = np.arange(480, 648)
    expected = model.predict(pd.DataFrame({"ds": instants(ahead, HOUR_S)}))["yhat"]
    assert np.abs(fit.latent(ahead)[0] * scale - expected).mean() < 0.01


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    points=st.integers(30, 300),
    sd=st.floats(0.001, 0.3),
    bucket_s=st.sampled_from([HOUR_S, 6 * HOUR_S]),
    gaps=st.floats(0, 0.4),
)
def test_no_neighbour_is_better(seed: int, points: int, sd: float, bucket_s: int, gaps: float) -> None:
    """What holds at an optimum: a step in any direction, of slopes that bend or not, only makes it worse."""
    rng = np.random.default_rng(seed)
    bends = np.abs(np.arange(points) - rng.integers(points)) * rng.normal(0, 2 / points)
    values = bends + rng.normal(0, sd, points)
    values[rng.uniform(size=points) < gaps] = np.nan
    values = unit(values)
    fit = fit_fleet(values[None], bucket_s=bucket_s, seasons=(Season("daily", DAY_S, 1),))
    assert fit.converged.tolist() == [True]
    best, found = objective_of(fit, 0, values), parameters_of(fit, 0)
    if found["sigma"] == pytest.approx(1e-4):
        del found["sigma"]  # the least that is allowed, where the objective still falls
    for name, value in found.items():
        for step in (1e-2, 1e-4):
            nearby = value + step * fit.sigma[0] * rng.normal(size=np.shape(value))
            assert objective_of(fit, 0, values, **{name: nearby}) >= best - 1e-6


def test_the_phase_of_a_season_is_turned_to_the_epoch() -> None:
    """On a grid that starts at seven in the morning of a Monday, as Prophet's features have it."""
    fit = fit_fleet(wave()[None], bucket_s=HOUR_S, seasons=SEASONS)
    start_us = int(START.timestamp() * 1e6)
    model = fit.trend_season(0, grid_start_us=start_us, low=100_000.0, scale=2_000.0)
    index = np.arange(0, 960, 7)
    step_us = HOUR_S * 1_000_000
    ts_us = start_us + index * step_us
    season = model.season(start_us=start_us, step_us=7 * step_us, count=len(index))
    np.testing.assert_allclose(model.trend(ts_us) + season, 100_000 + 2_000 * fit.latent(index)[0], atol=1e-6)


@pytest.mark.parametrize(("size", "noise_sd"), [(0.05, 0.3), (1.0, 0.1), (1.0, 0.002)])
def test_quantiles_are_those_that_drawing_approaches(size: float, noise_sd: float) -> None:
    index = np.array([479, 482, 500, 560, 648, 900])
    shares = (0.05, 0.1, 0.5, 0.9)
    times = (index - 479) / 479
    drawn = sample_bends(
        days=times,
        changes_per_day=25,
        change_scale=size,
        paths=100_000,
        rng=np.random.default_rng(1),
    )
    drawn += np.random.default_rng(2).normal(0, noise_sd, drawn.shape)
    found = deviations(
        time=times[None],
        rate=np.array([25.0]),
        size=np.array([size]),
        noise=np.array([noise_sd]),
        shares=shares,
    )
    off = found[:, 0] - np.quantile(drawn, shares, axis=0)
    assert np.abs(off / drawn.std(axis=0)).max() < 0.04
