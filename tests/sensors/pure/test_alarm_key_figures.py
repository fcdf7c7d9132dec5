"""Key figures after EEMUA 191, from times and names alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensors.alarms.key_figures import HOUR_US, MINUTE_US, TEN_MINUTES_US, key_figures, peak_within

DAY_US = 24 * HOUR_US


def figures(at_us, *, points=None, severities=None, begin_us=0, end_us=10 * DAY_US, operators=1):
    at_us = np.array(at_us, dtype=np.int64)
    points = np.zeros(len(at_us), dtype=np.int64) if points is None else np.array(points, dtype=np.int64)
    return key_figures(
        at_us,
        points,
        severities or ["minor"] * len(at_us),
        begin_us=begin_us,
        end_us=end_us,
        operators=operators,
    )


def test_calls_are_counted_per_person_and_hour():
    found = figures(range(0, 10 * DAY_US, HOUR_US), operators=2)
    assert (found.calls, found.hours, found.per_person_hour) == (240, 240.0, 0.5)


def test_less_than_a_day_is_not_enough_for_a_rate():
    found = figures([HOUR_US], end_us=23 * HOUR_US)
    assert (found.per_person_hour, found.peak, found.busy_share) == (None, None, None)
    assert found.calls == 1


def test_a_calm_time_is_a_nought_and_not_unknown():
    found = figures([])
    assert (found.per_person_hour, found.peak, found.busy_share, found.shares) == (0.0, 0, 0.0, None)
    assert (found.peak_at_us, found.frequent) == (None, [])


def test_no_time_at_all_is_not_enough_either():
    found = figures([], begin_us=DAY_US, end_us=0)
    assert (found.hours, found.per_person_hour) == (0.0, None)


def test_the_peak_slides_and_leaves_out_the_end_of_its_ten_minutes():
    minutes = [1, 9, 10, 11, 18, 30]
    found = figures([minute * MINUTE_US for minute in minutes])
    assert (found.peak, found.peak_at_us) == (4, 9 * MINUTE_US)


def test_the_share_of_busy_ten_minutes():
    crowd = [5 * TEN_MINUTES_US + second * 1_000_000 for second in range(11)]
    found = figures(crowd, end_us=DAY_US)
    assert found.busy_share == 1 / 144
    assert figures(crowd[:10], end_us=DAY_US).busy_share == 0


def test_ten_minutes_that_are_not_over_count_neither_as_busy_nor_as_calm():
    crowd = [DAY_US + second * 1_000_000 for second in range(11)]
    assert figures(crowd, end_us=DAY_US + 5 * MINUTE_US).busy_share == 0


def test_shares_of_severities_name_those_that_there_are_none_of():
    found = figures(range(20), severities=["minor"] * 15 + ["critical"] * 5)
    assert found.shares == {"critical": 0.25, "major": 0.0, "minor": 0.75, "warning": 0.0}


def test_shares_of_a_few_calls_are_not_told():
    assert figures(range(19)).shares is None


def test_what_calls_most_comes_first_and_chattering_is_told_from_repeating():
    at_us = [0, 20_000_000, 59_000_000, 20 * MINUTE_US, 40 * MINUTE_US, 59 * MINUTE_US, DAY_US]
    found = figures(at_us, points=[7, 7, 7, 8, 8, 8, 9])
    assert [(one.point, one.calls) for one in found.frequent] == [(7, 3), (8, 3), (9, 1)]
    assert [(one.is_chattering, one.is_repeating) for one in found.frequent] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert sum(one.share for one in found.frequent) == 1


times = st.lists(st.integers(0, 10 * DAY_US - 1), max_size=60).map(sorted)


@given(times, st.integers(1, DAY_US))
def test_the_peak_is_what_counting_by_hand_finds(at_us, window_us):
    by_hand = max((sum(begin <= at < begin + window_us for at in at_us) for begin in at_us), default=0)
    assert peak_within(np.array(at_us, dtype=np.int64), window_us)[0] == by_hand


@given(times)
def test_every_call_is_somebodys(at_us):
    found = key_figures(
        np.array(at_us, dtype=np.int64),
        np.arange(len(at_us), dtype=np.int64) % 3,
        ["warning"] * len(at_us),
        begin_us=0,
        end_us=10 * DAY_US,
        operators=1,
    )
    assert sum(one.calls for one in found.frequent) == len(at_us)
