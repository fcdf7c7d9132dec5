import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.checks import keep_last, quality_by_physical_range, refuse_outside_window


def test_rows_outside_the_window_are_refused_by_their_place_in_the_request():
    inside, refusals = refuse_outside_window(
        row=np.array([0, 1, 3, 4]),
        index=np.array([0, 2, 5, 7]),
        ts_us=np.array([99, 100, 200, 201]),
        window_from_us=100,
        window_to_us=200,
    )
    assert inside.tolist() == [False, True, True, False]
    assert [(refusal.index, refusal.row, refusal.code) for refusal in refusals] == [
        (0, 0, "timestamp_out_of_range"),
        (7, 4, "timestamp_out_of_range"),
    ]
    assert "older" in refusals[0].detail
    assert "future" in refusals[1].detail


def test_a_value_outside_the_physical_range_is_kept_as_bad():
    quality = quality_by_physical_range(
        values=np.array([-5.0, 0.0, 100.0, 100.1, np.nan, 1e9]),
        quality=np.array([0, 1, 0, 0, 2, 0], dtype=np.int8),
        physical_min=np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.nan]),
        physical_max=np.array([100.0, 100.0, 100.0, 100.0, 100.0, np.nan]),
    )
    assert quality.tolist() == [2, 1, 0, 2, 2, 0]
    assert quality.dtype == np.int8


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_of_equal_sensor_and_time_the_last_row_is_kept_in_order_of_both(rows):
    last = {row: place for place, row in enumerate(rows)}
    ids, times = (
        np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else ((), ()))
    )
    assert keep_last(ids, times).tolist() == [last[row] for row in sorted(last)]
