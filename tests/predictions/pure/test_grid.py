import numpy as np
import pytest

from predictions.forecasting.backtest import cut_windows
from predictions.forecasting.grid import to_grid

SECOND_US = 1_000_000


def at(*seconds: float) -> np.ndarray:
    return (np.array(seconds) * SECOND_US).astype(np.int64)


def test_order_duplicates_and_gaps() -> None:
    grid = to_grid(at(10_800, 0, 3_600, 3_600, 14_400), np.array([4.0, 1.0, 2.0, 3.0, 5.0]))
    assert grid.step_s == 3_600
    np.testing.assert_array_equal(grid.values, [1.0, 2.5, np.nan, 4.0, 5.0])


def test_an_hour_that_comes_twice_is_one_point() -> None:
    """Clocks set back in local time: 2:00 to 2:50 comes twice, at ten minutes a reading."""
    minutes = [*range(0, 180, 10), *range(120, 300, 10)]
    grid = to_grid(at(*(60 * minute for minute in minutes)), np.arange(len(minutes), dtype=float))
    assert grid.step_s == 600
    assert len(grid.values) == 30
    np.testing.assert_array_equal(grid.values[12:18], np.arange(12, 18) + 3.0)


def test_a_clock_a_little_off_keeps_its_day() -> None:
    grid = to_grid(at(*(301 * index for index in range(600))), np.arange(600, dtype=float))
    assert grid.step_s == 300


def test_a_single_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="1 instants have a number"):
        to_grid(at(0, 0, 5), np.array([1.0, 2.0, np.nan]))


def test_windows_begin_at_the_stride_and_hold_context_and_truth() -> None:
    grid = to_grid(at(*(3_600 * index for index in range(20))), np.arange(20.0))
    windows = cut_windows(grid, context=8, horizon=4, stride=5)
    assert windows.contexts[:, 0].tolist() == [0.0, 5.0]
    assert windows.truths[1].tolist() == [13.0, 14.0, 15.0, 16.0]
    assert windows.starts_us.tolist() == [0, 5 * 3_600 * SECOND_US]


def test_too_few_rows_say_how_many_are_needed() -> None:
    grid = to_grid(at(0, 3_600, 7_200), np.arange(3.0))
    with pytest.raises(ValueError, match="3 points of 3600 s; one window needs 12"):
        cut_windows(grid, context=8, horizon=4, stride=5)
