from dataclasses import replace

import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S
from predictions.forecasting.guards import (
    Season,
    is_constant,
    least_sightings,
    no_reading,
    seasons_shown,
    stale,
    too_short,
)
from predictions.forecasting.history import History, read_history
from tests.predictions.pure.series import HOUR_US, NOW_US, ask, high, noise, times


def history_of(ts_us: np.ndarray, **more: object) -> History:
    return read_history(ask(ts_us, 50 + noise(len(ts_us), sd=1), high(100), **more))


def test_a_fresh_long_history_passes_every_guard() -> None:
    history = history_of(times(days=30))
    assert no_reading(history) is None
    assert stale(history, now_us=NOW_US) is None
    assert too_short(history) is None
    assert not is_constant(history)


def test_nothing_since_the_repair_is_said_in_words() -> None:
    history = history_of(times(days=30) - DAY_US, regime_started_us=NOW_US - HOUR_US)
    assert no_reading(history) == "There is no reading since the last repair."


@pytest.mark.parametrize(("hours", "is_stale"), [(3, False), (4, True)])
def test_a_newest_reading_older_than_three_buckets_is_stale(hours: int, is_stale: bool) -> None:
    history = history_of(times(days=30) - hours * HOUR_US)
    assert (stale(history, now_us=NOW_US) is not None) == is_stale


def test_staleness_is_said_in_words() -> None:
    history = history_of(times(days=30) - 5 * HOUR_US)
    assert (
        stale(history, now_us=NOW_US) == "The newest reading is 5.0 hours old; after 3 hours it is too old."
    )


def test_a_daily_reading_is_not_stale_after_two_days() -> None:
    history = history_of(times(days=60, step_s=DAY_S) - 2 * DAY_US, expected_interval_s=DAY_S)
    assert stale(history, now_us=NOW_US) is None


def test_a_thousand_readings_a_minute_apart_are_too_short() -> None:
    history = history_of(times(days=999 / 1440, step_s=60))
    assert too_short(history) == "Only 18 points in the last 365 days; 30 are needed."


def test_two_days_are_too_short_to_tell_a_trend_from_a_daily_cycle() -> None:
    history = history_of(times(days=2), regime_started_us=NOW_US - 20 * DAY_US)
    assert too_short(history) == "Only 2.0 days of readings since the last repair; 3 are needed."


@pytest.mark.parametrize(
    ("days", "step_s", "expected"),
    [
        (2, HOUR_S, ()),
        (4, HOUR_S, (Season("daily", DAY_S, 4),)),
        (22, HOUR_S, (Season("daily", DAY_S, 4), Season("weekly", 7 * DAY_S, 3))),
        (300, HOUR_S, (Season("daily", DAY_S, 4), Season("weekly", 7 * DAY_S, 3))),
        (300, 6 * HOUR_S, (Season("daily", DAY_S, 1), Season("weekly", 7 * DAY_S, 3))),
        (60, DAY_S, (Season("weekly", 7 * DAY_S, 3),)),
        (20, DAY_S, (Season("weekly", 7 * DAY_S, 3),)),
        (19, DAY_S, ()),
    ],
)
def test_a_cycle_is_fitted_when_it_fits_three_times(
    days: int, step_s: int, expected: tuple[Season, ...]
) -> None:
    assert seasons_shown(history_of(times(days=days, step_s=step_s))) == expected


def test_a_machine_that_is_off_at_night_shows_no_daily_cycle() -> None:
    ts_us = times(days=30)
    by_day = ts_us[(ts_us // HOUR_US) % 24 < 12]
    assert least_sightings(ts_us, DAY_S, HOUR_S) == 30
    assert least_sightings(by_day, DAY_S, HOUR_S) == 0


def test_a_constant_series_is_told_from_a_barely_moving_one() -> None:
    history = history_of(times(days=5))
    assert is_constant(replace(history, values=np.full(121, 101_325.0)))
    assert is_constant(replace(history, values=np.zeros(121)))
    assert not is_constant(replace(history, values=np.linspace(2e-12, 3e-12, 121)))
    assert not is_constant(replace(history, values=np.linspace(101_325.0, 101_325.1, 121)))
