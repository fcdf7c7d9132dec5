import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictions.forecasting.buckets import DAY_US, HOUR_S
from predictions.forecasting.failure_curve import INSTANTS_D, shares_crossed
from predictions.forecasting.futures import Futures, draw_futures
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.passage import NEVER_US, first_passage
from predictions.forecasting.request import LimitTarget
from tests.predictions.pure.models import DRIFT, trend_season
from tests.predictions.pure.series import HOUR_US, NOW_US, high, low


def by_days(paths: np.ndarray) -> Futures:
    """Paths (n, 11) that are looked at once a day."""
    return Futures(0, DAY_US, np.zeros(11), np.arange(11), paths, np.array([], dtype=np.int64), {})


def shares_by(crossed_us: np.ndarray, now_us: int, *days: int) -> dict[int, float]:
    """By so many days, as the curve of failure has them."""
    shares = shares_crossed(crossed_us, now_us=now_us)
    return {one: float(shares[INSTANTS_D.searchsorted(one)]) for one in days}


def test_the_first_instant_at_the_limit_counts_and_is_not_undone() -> None:
    latent = np.array([[0, 1, 5, 1, 0, 0, 0, 0, 0, 0, 0.0], np.zeros(11), np.arange(11.0)])
    crossed_us = first_passage(futures=by_days(latent), limit=high(5))
    assert crossed_us.tolist() == [2 * DAY_US, NEVER_US, 5 * DAY_US]
    assert shares_by(crossed_us, 0, 1, 2, 4, 5, 10) == {1: 0, 2: 1 / 3, 4: 1 / 3, 5: 2 / 3, 10: 2 / 3}


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(11)), elements=st.floats(-10, 10)),
    st.floats(-10, 10),
)
def test_probabilities_grow_with_time_and_mirror_with_direction(latent: np.ndarray, value: float) -> None:
    upward = first_passage(futures=by_days(latent), limit=high(value))
    shares = list(shares_by(upward, 0, *range(11)).values())
    assert shares == sorted(shares)
    running = np.maximum.accumulate(latent, axis=1) >= value
    np.testing.assert_allclose(shares, running.mean(axis=0))
    downward = first_passage(futures=by_days(-latent), limit=low(-value))
    assert downward.tolist() == upward.tolist()


@settings(deadline=None)
@given(
    course=hnp.arrays(np.float64, 73, elements=st.integers(-9, 9)),
    deviations=hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.just(4)), elements=st.integers(-9, 9)),
    # No sum of the others: that two ways of computing differ in their last digit then does not matter.
    value=st.integers(-20, 20).map(lambda whole: whole + 0.01),
)
def test_looking_at_days_first_finds_the_hour_that_looking_at_all_hours_finds(
    course: np.ndarray, deviations: np.ndarray, value: float
) -> None:
    knots = np.array([0, 3, 24, 72])
    futures = Futures(NOW_US, HOUR_US, course, knots, deviations, np.array([], dtype=np.int64), {})
    moved = np.stack([np.interp(np.arange(73), knots, path) for path in deviations])
    crossed = moved >= value - course
    expected = np.where(crossed.any(axis=1), NOW_US + crossed.argmax(axis=1) * HOUR_US, NEVER_US)
    found = first_passage(futures=futures, limit=high(value))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (trend_season(slope_changes=np.array([-0.9])), high(20.0)),
        (trend_season(slope_changes=np.array([-0.9])), high(12.5)),
        (trend_season(slope_changes=np.array([-1.0]), seasons=()), low(7.0)),
        (DRIFT, high(17.0)),
    ],
)
def test_days_with_their_daily_cycle_tell_what_paths_by_the_hour_tell(
    model: LatentModel, limit: LimitTarget
) -> None:
    """Against paths whose every hour is drawn: the same first passages, within the error of sampling."""
    hourly = by_the_hour(model, paths=20_000, seed=5)
    shares = {
        days: float(limit.are_crossed_by(hourly[:, : days * 24 + 1]).any(axis=1).mean())
        for days in (1, 7, 14, 30, 90)
    }
    drawn = [
        shares_by(
            first_passage(
                futures=draw_futures(model=model, now_us=NOW_US, bucket_s=HOUR_S, seed=seed), limit=limit
            ),
            NOW_US,
            *shares,
        )
        for seed in range(40)
    ]
    for days, share in shares.items():
        mean = np.mean([one[days] for one in drawn])
        # Of 20,000 paths each: three standard errors of the difference, and what a kink within a day may do.
        assert mean == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / 10_000) + 0.003)


def by_the_hour(model: LatentModel, *, paths: int, seed: int) -> np.ndarray:
    """Paths (paths, 2161) with slope changes at their exact times, hour by hour."""
    count = 90 * 24 + 1
    course = model.course(start_us=NOW_US, step_us=HOUR_US, count=count)
    rng = np.random.default_rng(seed)
    if model is DRIFT:
        return (
            course + rng.normal(0, 0.5, (paths, 1)) + rng.normal(0, 0.02, (paths, 1)) * np.arange(count) / 24
        )
    days = np.arange(count) / 24
    levels = np.tile(course, (paths, 1))
    for path in levels:
        changes = rng.poisson(model.changes_per_day * 90)
        when, sizes = rng.uniform(0, 90, changes), rng.laplace(0, model.change_scale, changes)
        path += np.maximum(days[:, None] - when, 0) @ sizes
    return levels
