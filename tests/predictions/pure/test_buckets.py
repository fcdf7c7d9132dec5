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
)
from tests.predictions.pure.series import times


@pytest.mark.parametrize(
    ("days", "step_s", "hours"),
    [
        (0.5, 60, 1),
        (62, 300, 1),
        (90, 300, 2),
        (180, 300, 3),
        (365, 300, 6),
        (30, 5 * HOUR_S, 6),
        (300, DAY_S, 24),
    ],
)
def test_the_bucket_fits_the_span_and_the_interval(days: float, step_s: int, hours: int) -> None:
    assert choose_bucket_s(ts_us=times(days=days, step_s=step_s)) == hours * HOUR_S


def test_a_weekly_reading_gets_buckets_of_whole_days() -> None:
    assert choose_bucket_s(ts_us=times(days=300, step_s=7 * DAY_S)) == 7 * DAY_S


def test_the_expected_interval_outweighs_the_readings() -> None:
    assert choose_bucket_s(ts_us=times(days=3, step_s=60), expected_interval_s=3 * HOUR_S) == 3 * HOUR_S


def test_no_reading_still_has_a_bucket() -> None:
    assert choose_bucket_s(ts_us=np.array([], dtype=np.int64)) == HOUR_S


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
