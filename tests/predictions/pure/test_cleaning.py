import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictions.forecasting.cleaning import MASKED_SHARE_AT_MOST, outlier_mask
from tests.predictions.pure.series import noise


def masked_places(values: np.ndarray) -> list[int]:
    return np.flatnonzero(outlier_mask(values)).tolist()


def test_a_spike_of_ten_times_the_level_is_masked() -> None:
    values = 50 + noise(120, sd=1)
    values[60] = 500
    assert 60 in masked_places(values)
    assert len(masked_places(values)) <= 3


def test_a_spike_in_a_constant_series_is_masked() -> None:
    values = np.full(120, 5.0)
    values[60] = 50.0
    assert masked_places(values) == [60]


def test_steps_of_a_coarse_sensor_are_kept() -> None:
    values = np.where(np.arange(200) % 7 == 0, 20.1, 20.0)
    assert masked_places(values) == []


def test_a_steep_trend_is_kept() -> None:
    assert masked_places(np.arange(100.0) * 3) == []


def test_a_change_of_level_stays() -> None:
    values = np.repeat([10.0, 30.0], 50) + noise(100, sd=0.5)
    assert set(range(40, 60)).isdisjoint(masked_places(values))


def test_a_single_spike_at_the_end_is_masked_until_a_second_bucket_confirms_it() -> None:
    values = 50 + noise(60, sd=1)
    values[-1] = 90
    assert masked_places(values)[-1] == 59
    values[-2] = 90
    assert 58 not in masked_places(values)
    assert 59 not in masked_places(values)


def test_short_duty_cycles_are_how_the_machine_works() -> None:
    values = np.where(np.arange(240) % 12 < 2, 80.0, 10.0) + noise(240, sd=0.5)
    assert masked_places(values) == []


def test_too_few_values_are_left_alone() -> None:
    assert masked_places(np.array([1.0, 1.0, 100.0, 1.0])) == []


@given(hnp.arrays(np.float64, st.integers(0, 80), elements=st.floats(-1e6, 1e6)))
def test_never_more_than_a_tenth_is_masked(values: np.ndarray) -> None:
    mask = outlier_mask(values)
    assert mask.shape == values.shape
    assert mask.sum() <= MASKED_SHARE_AT_MOST * len(values)
