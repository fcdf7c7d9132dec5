import numpy as np
import pytest
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
    assert refusals[0].detail == "The timestamp is older than readings may be; it reads as 1970."
    assert refusals[1].detail == "The timestamp lies in the future; it reads as 1970."


NOW_S = 1_795_341_600


@pytest.mark.parametrize(
    ("precision", "ts_us", "words"),
    [
        ("ns", NOW_S // 1_000, "is older than readings may be; it reads as 1970: is precision=s missing?"),
        ("ns", NOW_S, "is older than readings may be; it reads as 1970: is precision=ms missing?"),
        ("ns", NOW_S * 1_000, "is older than readings may be; it reads as 1970: is precision=us missing?"),
        ("ms", NOW_S * 1_000, "is older than readings may be; it reads as 1970: is precision=s meant?"),
        ("ms", NOW_S * 10**9, "lies in the future; it reads as 58862: is precision=us meant?"),
        ("us", NOW_S * 10**9, "lies in the future; it reads as 58862: is precision=ns meant?"),
        ("s", NOW_S * 10**9, "lies in the future; it reads as 58862: is precision=ms meant?"),
        ("s", NOW_S * 2 * 10**6, "lies in the future; it reads as 2083."),
        ("s", -(10**6), "is older than readings may be; it reads as 1969."),
        ("ns", NOW_S * 500_000, "is older than readings may be; it reads as 1998."),
    ],
)
def test_a_time_outside_the_window_tells_the_unit_that_was_likely_meant(precision, ts_us, words):
    _, [refusal] = refuse_outside_window(
        row=np.array([0]),
        index=np.array([0]),
        ts_us=np.array([ts_us]),
        window_from_us=(NOW_S - 10**6) * 10**6,
        window_to_us=(NOW_S + 10**3) * 10**6,
        precision=precision,
    )
    assert refusal.detail == f"The timestamp {words}"


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
