from dataclasses import replace

import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.history import read_history
from predictions.forecasting.request import BorrowedBehaviour, ForecastRequest, LimitTarget, borrow_behaviour
from tests.predictions.pure.series import HOUR_US, NOW_US, ask, high, low, times


def test_what_is_left_out_is_counted() -> None:
    ts_us = times(days=10)
    ts_us = np.concatenate((ts_us, [NOW_US + HOUR_US, NOW_US - 400 * DAY_US]))
    values = np.arange(len(ts_us), dtype=float)
    values[200] = 1e308
    history = read_history(ask(ts_us, values, high(1e6), regime_started_us=NOW_US - 5 * DAY_US))
    assert history.input_quality == {
        "readings": 243,
        "used": 120,
        "not_a_number": 1,
        "after_now": 1,
        "before_look_back": 1,
        "before_last_repair": 121,
        "buckets": 120,
        "masked": 0,
        "gap_share": 0.0083,
        "longest_gap_s": 3600,
        "newest_age_s": 0,
    }


def test_order_does_not_matter() -> None:
    ts_us = times(days=3, step_s=600)
    values = np.sin(np.arange(len(ts_us)))
    shuffled = np.random.default_rng(5).permutation(len(ts_us))
    one, other = (
        read_history(ask(ts_us[order], values[order], high(9))) for order in (slice(None), shuffled)
    )
    assert one.ts_us.tolist() == other.ts_us.tolist()
    assert one.values.tolist() == other.values.tolist()
    assert (one.newest_us, one.newest_value) == (other.newest_us, other.newest_value)


def test_times_and_values_must_pair() -> None:
    with pytest.raises(ValueError, match="has 2 times and 1 values"):
        ForecastRequest("a", np.zeros(2, np.int64), np.zeros(1), [high(1)], now_us=0, seed=0)


@pytest.mark.parametrize(
    ("values", "on_delay_hours", "has_passed"),
    [
        ([50, 50, 90], 0, True),
        ([90, 90, 50], 0, False),
        ([50, 50, 90], 0.1, False),  # that it lasted is not known yet
        ([50, 90, 90], 1, True),
        ([50, 90, 90], 1.1, False),
        ([90, 50, 90], 1, False),
        ([90, 90, 90], 2, True),
        ([], 0, False),
    ],
)
def test_a_limit_is_passed_when_all_was_beyond_it_for_its_on_delay(
    values: list[float], on_delay_hours: float, has_passed: bool
) -> None:
    ts_us = NOW_US - HOUR_US * np.arange(len(values), dtype=np.int64)[::-1]
    delay_s = on_delay_hours * 3600
    upper, lower = replace(high(80), on_delay_s=delay_s), replace(low(-80), on_delay_s=delay_s)
    series = np.array(values, dtype=np.float64)
    assert read_history(ask(ts_us, series, upper)).has_passed(upper) == has_passed
    assert read_history(ask(ts_us, -series, lower)).has_passed(lower) == has_passed


@pytest.mark.parametrize("on_delay_s", [-1.0, float("nan"), float("inf")])
def test_an_on_delay_without_meaning_is_refused(on_delay_s: float) -> None:
    with pytest.raises(ValueError, match="on-delay"):
        LimitTarget("oil", 1.0, "high", on_delay_s)


def test_a_request_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="no limit"):
        ForecastRequest("a", np.zeros(1, np.int64), np.zeros(1), [], now_us=0, seed=0)


@pytest.mark.parametrize(("value", "direction"), [(float("nan"), "high"), (1.0, "up")])
def test_a_limit_without_meaning_is_refused(value: float, direction: str) -> None:
    with pytest.raises(ValueError, match="Limit oil"):
        LimitTarget("oil", value, direction)


def test_behaviour_is_borrowed_from_three_or_more() -> None:
    assert borrow_behaviour(drifts_per_day=[1, 2], noise_sds=[1, 1], source="two fans") is None
    borrowed = borrow_behaviour(
        drifts_per_day=[0.1, 0.2, 0.4], noise_sds=[1.0, 2.0, 9.0], source="three fans"
    )
    assert borrowed == BorrowedBehaviour(0.2, 1.4826 * 0.1, 2.0, "three fans")
