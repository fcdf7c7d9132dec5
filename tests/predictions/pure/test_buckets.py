import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictions.forecasting.buckets import (
    BUCKETS_S,
    DAY_S,
    HOUR_S,
    SECOND_US,
    bucket_medians,
    choose_bucket_s,
    usual_lag_us,
)
from tests.predictions.pure.series import times


@pytest.mark.parametrize(
    ("days", "step_s", "hours"),
    [
        (0.5, 60, 1),
        (365, 300, 1),
        (365, 2 * HOUR_S, 2),
        (30, 5 * HOUR_S, 6),
        (300, DAY_S, 24),
    ],
)
def test_the_bucket_fits_the_interval_and_not_the_span(days: float, step_s: int, hours: int) -> None:
    assert choose_bucket_s(ts_us=times(days=days, step_s=step_s)) == hours * HOUR_S


def test_a_weekly_reading_gets_buckets_of_whole_days() -> None:
    assert choose_bucket_s(ts_us=times(days=300, step_s=7 * DAY_S)) == 7 * DAY_S


def test_the_expected_interval_outweighs_the_readings() -> None:
    assert choose_bucket_s(ts_us=times(days=3, step_s=60), expected_interval_s=3 * HOUR_S) == 3 * HOUR_S


def test_no_reading_still_has_a_bucket() -> None:
    assert choose_bucket_s(ts_us=np.array([], dtype=np.int64)) == HOUR_S


@pytest.mark.parametrize(
    ("days", "step_s", "bucket_s", "lag_s"),
    [
        (10, HOUR_S, HOUR_S, 0),
        (10, 60, HOUR_S, 1_770),
        (10, HOUR_S, 6 * HOUR_S, 2.5 * HOUR_S),
        (300, DAY_S, DAY_S, 0),
        (0.01, HOUR_S, HOUR_S, 0),
    ],
)
def test_a_bucket_stands_for_the_middle_of_its_readings(
    days: float, step_s: int, bucket_s: int, lag_s: float
) -> None:
    assert usual_lag_us(ts_us=times(days=days, step_s=step_s), bucket_s=bucket_s) == lag_s * SECOND_US


def test_readings_at_a_quarter_to_stand_there_whatever_is_known_of_older_hours() -> None:
    older, newest = times(days=40)[:-48], times(days=2)[1:] + 45 * 60 * SECOND_US
    assert usual_lag_us(ts_us=np.concatenate((older, newest)), bucket_s=HOUR_S) == 2_700 * SECOND_US


@given(
    seconds=hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(-(10**6), 10**6)),
    seed=st.integers(0, 2**32 - 1),
    bucket_s=st.sampled_from(BUCKETS_S),
)
def test_each_bucket_holds_the_median_of_its_readings(seconds: np.ndarray, seed: int, bucket_s: int) -> None:
    values = np.random.default_rng(seed).normal(size=len(seconds))
    starts, medians = bucket_medians(ts_us=seconds * SECOND_US, values=values, bucket_s=bucket_s)
    owners = seconds // bucket_s * bucket_s
    assert (starts // SECOND_US).tolist() == sorted(set(owners.tolist()))
    expected = [np.median(values[owners == start // SECOND_US]) for start in starts]
    np.testing.assert_allclose(medians, expected, rtol=1e-12)
