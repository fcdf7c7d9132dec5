"""How many events lie in a window that moves along, compared with counting them one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensors.counting import Happened, count_at


def happened(moments: list[int]) -> Happened:
    ts_us, events = np.unique(np.array(moments, dtype=np.int64), return_counts=True)
    return Happened(ts_us, events)


@given(st.lists(st.integers(0, 60)), st.lists(st.integers(0, 90), min_size=1), st.integers(1, 40))
def test_it_is_the_number_in_the_window_up_to_each_moment(moments, asked, window_us):
    ts_us = np.unique(asked)
    first = int(ts_us[0])
    known = [at for at in moments if at > first - window_us]
    counts = count_at(
        ts_us,
        before=sum(at < first for at in known),
        arriving=happened([at for at in known if at >= first]),
        leaving=happened(known),
        window_us=window_us,
    )
    assert counts.tolist() == [sum(t - window_us < at <= t for at in moments) for t in ts_us.tolist()]


def test_without_events_it_is_nothing():
    counts = count_at(np.array([5, 9]), before=0, arriving=happened([]), leaving=happened([]), window_us=3)
    assert counts.tolist() == [0, 0]
