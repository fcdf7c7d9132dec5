import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S
from predictions.forecasting.futures import draw_futures
from predictions.forecasting.latent import LatentModel, sample_bends
from predictions.forecasting.result import PATH_QUANTILES
from tests.predictions.pure.models import DRIFT, trend_season
from tests.predictions.pure.series import HOUR_US, NOW_US

ORIGIN_US = NOW_US - 10 * DAY_US


def test_the_trend_bends_at_its_changes() -> None:
    days = np.array([0, 4, 10], dtype=np.int64)
    assert trend_season().trend(ORIGIN_US + days * DAY_US).tolist() == [5.0, 9.0, 3.0]


def test_the_season_returns_every_day() -> None:
    by_six_hours = trend_season().season(start_us=ORIGIN_US, step_us=6 * HOUR_US, count=7)
    np.testing.assert_allclose(by_six_hours, [0, 3, 0, -3, 0, 3, 0], atol=1e-9)
    by_seven = trend_season().season(start_us=ORIGIN_US, step_us=7 * HOUR_US, count=7)
    np.testing.assert_allclose(by_seven, 3 * np.sin(np.arange(7) * 7 / 24 * 2 * np.pi), atol=1e-9)


def test_the_figures_tell_slope_and_share_of_the_season() -> None:
    figures = trend_season(slope_changes=np.array([0.0])).figures()
    assert figures["slope_per_day"] == pytest.approx(1.0)
    assert figures["slope_per_day_now"] == 1.0
    assert figures["seasonal_swing"] == pytest.approx(6.0, abs=1e-3)
    assert figures["seasonal_share"] == pytest.approx(4.5 / (4.5 + 100 / 12), abs=0.01)


def test_sampled_bends_spread_as_the_generative_model_says() -> None:
    """Changes at rate r with Laplace scale b give the variance 2 r b^2 t^3 / 3 after t days."""
    days = np.array([0.0, 0.1, 10.0, 50.0, 90.0])
    bends = sample_bends(
        days=days, changes_per_day=0.4, change_scale=0.3, paths=40_000, rng=np.random.default_rng(2)
    )
    np.testing.assert_allclose(bends.var(axis=0)[2:], 2 * 0.4 * 0.3**2 * days[2:] ** 3 / 3, rtol=0.06)
    np.testing.assert_allclose(bends.mean(axis=0), 0.0, atol=4 * bends.std(axis=0).max() / 200)
    assert (bends[:, 1] != 0).mean() == pytest.approx(1 - np.exp(-0.04), abs=0.005)
    assert not bends[:, 0].any()


def test_paths_do_not_bend_within_the_fitted_history() -> None:
    ts_us = NOW_US + np.array([-3, -1, 0], dtype=np.int64) * DAY_US
    far = np.append(ts_us, NOW_US + 90 * DAY_US)
    deviations = trend_season().deviate(ts_us=far, paths=50, rng=np.random.default_rng(0))
    assert not deviations[:, :3].any()
    assert deviations[:, 3].all()


def test_sampled_bends_do_not_know_each_other() -> None:
    """The changes of all paths are drawn as one process: neighbours, and a path's halves, must not go together."""
    bends = sample_bends(
        days=np.arange(21.0),
        changes_per_day=0.4,
        change_scale=0.3,
        paths=20_000,
        rng=np.random.default_rng(4),
    )
    slopes = np.diff(bends, axis=1)
    early, late = slopes[:, 9] - slopes[:, 0], slopes[:, 19] - slopes[:, 10]
    for one, other in ((early, late), (early[1:], early[:-1]), (early[1:], late[:-1])):
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(0.0, abs=4 / 20_000**0.5)


def test_the_course_goes_on_in_a_line_with_its_season() -> None:
    course = trend_season().course(start_us=NOW_US, step_us=6 * HOUR_US, count=5)
    np.testing.assert_allclose(course, [3.0, 5.75, 2.5, -0.75, 2.0], atol=1e-9)


def test_drifting_paths_are_straight_lines_of_the_borrowed_spread() -> None:
    course = DRIFT.course(start_us=NOW_US, step_us=DAY_US, count=101)
    paths = course + DRIFT.deviate(
        ts_us=NOW_US + np.arange(101) * DAY_US, paths=20_000, rng=np.random.default_rng(3)
    )
    slopes = (paths[:, 100] - paths[:, 0]) / 100
    np.testing.assert_allclose(paths[:, 50], (paths[:, 0] + paths[:, 100]) / 2)
    assert slopes.mean() == pytest.approx(0.1, abs=0.001)
    assert slopes.std() == pytest.approx(0.02, rel=0.03)
    assert paths[:, 0].std() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(
    "model", [DRIFT, trend_season(noise_sd=0.5), trend_season(noise_sd=30.0, changes_per_day=2.0)]
)
def test_the_reach_is_that_of_drawn_paths_with_drawn_noise(model: LatentModel) -> None:
    rng = np.random.default_rng(6)
    deviations = model.deviate(ts_us=NOW_US + np.arange(91) * DAY_US, paths=40_000, rng=rng)
    noisy = deviations + rng.normal(0.0, model.noise_sd, deviations.shape)
    days, shares = np.array([0, 1, 2, 30, 90]), tuple(PATH_QUANTILES.values())
    reach = model.reach(ts_us=NOW_US + days * DAY_US, shares=shares)
    drawn = np.quantile(noisy[:, days], shares, axis=0)
    np.testing.assert_allclose(
        reach / noisy[:, days].std(axis=0), drawn / noisy[:, days].std(axis=0), atol=0.05
    )


@pytest.mark.parametrize("bucket_s", [HOUR_S, 2 * HOUR_S, DAY_S, 7 * DAY_S])
def test_bands_hold_the_noise_that_paths_do_not(bucket_s: int) -> None:
    futures = draw_futures(model=DRIFT, now_us=NOW_US, bucket_s=bucket_s, seed=1)
    assert len(futures.path_ts_us) == 61
    assert futures.start_us == NOW_US
    assert futures.step_us * (len(futures.course) - 1) == 90 * DAY_US
    band = futures.path_quantiles["p95"][0] - futures.path_quantiles["p05"][0]
    assert band == pytest.approx(2 * 1.645 * np.hypot(0.5, 2.0), rel=0.001)
    middle = [10.0, 10.0 + 0.1 * 3 / 24, 10.0 + 0.1 * 90]
    assert [futures.path_quantiles["p50"][place] for place in (0, 1, -1)] == pytest.approx(middle)
    assert futures.deviations[:, 0].std() == pytest.approx(0.5, rel=0.15)
