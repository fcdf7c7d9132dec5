import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S
from predictions.forecasting.futures import draw_futures
from predictions.forecasting.latent import Drift, SeasonalCurve, TrendSeason, sample_bends
from tests.predictions.pure.series import HOUR_US, NOW_US

DRIFT = Drift("borrowed_drift", "drift.1", NOW_US, 10.0, 0.5, 0.1, 0.02, 2.0, "twelve pumps")


def trend_season(**more: object) -> TrendSeason:
    parts = {
        "name": "prophet",
        "version": "1",
        "origin_us": 0,
        "fitted_days": 10.0,
        "start_level": 5.0,
        "start_slope": 1.0,
        "change_days": np.array([4.0]),
        "slope_changes": np.array([-2.0]),
        "changes_per_day": 0.1,
        "seasons": (SeasonalCurve("daily", DAY_S, np.array([3.0, 0.0])),),
        "noise_sd": 0.0,
        "fit_settings": {},
    }
    return TrendSeason(**parts | more)


def test_the_trend_bends_at_its_changes() -> None:
    days = np.array([0, 4, 10], dtype=np.int64)
    assert trend_season().trend(days * DAY_US).tolist() == [5.0, 9.0, 3.0]


def test_the_season_returns_every_day() -> None:
    hours = np.array([0, 6, 18, 30], dtype=np.int64)
    np.testing.assert_allclose(trend_season().season(hours * HOUR_US), [0, 3, -3, 3], atol=1e-9)


def test_the_figures_tell_slope_and_share_of_the_season() -> None:
    figures = trend_season(slope_changes=np.array([0.0])).figures()
    assert figures["slope_per_day"] == pytest.approx(1.0)
    assert figures["slope_per_day_now"] == 1.0
    assert figures["seasonal_swing"] == pytest.approx(6.0, abs=1e-3)
    assert figures["seasonal_share"] == pytest.approx(4.5 / (4.5 + 100 / 12), abs=0.01)


def test_sampled_bends_spread_as_the_generative_model_says() -> None:
    """Changes at rate r with Laplace scale b give the variance 2 r b^2 t^3 / 3 after t days."""
    days = np.array([0.0, 10.0, 50.0, 90.0])
    bends = sample_bends(
        days=days, changes_per_day=0.4, change_scale=0.3, paths=20_000, rng=np.random.default_rng(2)
    )
    np.testing.assert_allclose(bends.var(axis=0)[1:], 2 * 0.4 * 0.3**2 * days[1:] ** 3 / 3, rtol=0.06)
    assert bends[:, 0].tolist() == [0.0] * 20_000


def test_paths_do_not_bend_within_the_fitted_history() -> None:
    ts_us = np.array([2, 9, 10], dtype=np.int64) * DAY_US
    paths = trend_season(seasons=()).sample(ts_us=ts_us, paths=3, rng=np.random.default_rng(0))
    assert paths.tolist() == [[7.0, 4.0, 3.0]] * 3


def test_drifting_paths_are_straight_lines_of_the_borrowed_spread() -> None:
    ts_us = NOW_US + np.array([0, 50, 100], dtype=np.int64) * DAY_US
    paths = DRIFT.sample(ts_us=ts_us, paths=20_000, rng=np.random.default_rng(3))
    slopes = (paths[:, 2] - paths[:, 0]) / 100
    np.testing.assert_allclose(paths[:, 1], (paths[:, 0] + paths[:, 2]) / 2)
    assert slopes.mean() == pytest.approx(0.1, abs=0.001)
    assert slopes.std() == pytest.approx(0.02, rel=0.03)
    assert paths[:, 0].std() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("bucket_s", [HOUR_S, DAY_S, 7 * DAY_S])
def test_bands_hold_the_noise_that_latent_paths_do_not(bucket_s: int) -> None:
    futures = draw_futures(model=DRIFT, now_us=NOW_US, bucket_s=bucket_s, seed=1)
    assert len(futures.path_ts_us) == 61
    assert (futures.ts_us[0], futures.ts_us[-1]) == (NOW_US, NOW_US + 90 * DAY_US)
    band = futures.path_quantiles["p95"][0] - futures.path_quantiles["p05"][0]
    assert band == pytest.approx(2 * 1.645 * np.hypot(0.5, 2.0), rel=0.08)
    assert futures.latent[:, 0].std() == pytest.approx(0.5, rel=0.15)
