import numpy as np
import pytest

from predictions.forecasting import BorrowedBehaviour, ForecastRequest, LimitTarget, borrow_behaviour
from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.history import read_history
from tests.predictions.pure.series import HOUR_US, NOW_US, ask, high, times


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
