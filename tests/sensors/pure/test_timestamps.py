from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.parsed import Repeated, RowProblem
from sensors.ingest.timestamps import timestamp_us, timestamps_us

BERLIN = ZoneInfo("Europe/Berlin")
zones = st.sampled_from([None, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")])


def one_by_one(raws: list, zone: ZoneInfo | None = None) -> list[int] | type[RowProblem]:
    """As `timestamps_us` reads them, which leaves times that occur twice to `timestamp_us`."""
    try:
        times = [timestamp_us(raw, zone=zone) for raw in raws]
    except RowProblem:
        return RowProblem
    return RowProblem if any(isinstance(one, Repeated) for one in times) else times


def at_once(raws: list, zone: ZoneInfo | None = None) -> list[int] | type[RowProblem]:
    try:
        times = timestamps_us(raws, zone=zone)
    except RowProblem:
        return RowProblem
    assert times.dtype == np.int64
    return times.tolist()


layouts = st.builds(
    "{{:04}}-{{:02}}-{{:02}}{}{{:02}}:{{:02}}{}{}".format,
    st.sampled_from(["T", "t", " "]),
    st.sampled_from(["", ":{:02}", ":{:02}.{:03}", ":{:02},{:06}", ":{:02}.{:09}"]),
    st.sampled_from(["", "Z", "z", "+01:00", "-0530", "+23", "+24:00", "+01:60", "-23:59"]),
)


@given(
    layouts,
    st.lists(
        st.tuples(
            *(
                st.integers(0 if name in {"hour", "minute", "second"} else 1, most)
                for name, most in {
                    "year": 9999,
                    "month": 12,
                    "day": 28,
                    "hour": 23,
                    "minute": 59,
                    "second": 59,
                    "fraction": 999,
                }.items()
            )
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 120),
    zones,
)
def test_a_column_of_one_layout_is_read_as_its_values_are(layout, moments, count, zone):
    raws = [layout.format(*moments[n % len(moments)]) for n in range(count)]
    assert at_once(raws, zone) == one_by_one(raws, zone)


@given(
    st.tuples(st.integers(0, 9999), *[st.integers(0, most) for most in (14, 33, 26, 62, 62)]),
    st.integers(32, 80),
)
def test_what_is_in_no_calendar_is_refused_in_a_column_too(moment, count):
    raws = [*["2024-02-29T23:59:59Z"] * count, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*moment)]
    assert at_once(raws) == one_by_one(raws)


@pytest.mark.parametrize(
    "odd",
    [
        "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00z", "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00\n", "2026-01-01T00:00:0\nZ", "2026-01-01T00:00:0٣Z", "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00Z", "", 0, 1.5, None, True, [], "\ud800", "20260101T000000Z",
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 20, 39])
def test_one_odd_value_in_a_column_is_read_or_refused_as_by_itself(odd, place):
    raws: list = ["2026-01-01T00:00:00Z"] * 40
    raws[place] = odd
    assert at_once(raws) == one_by_one(raws)


@given(
    st.lists(st.integers(-(10**21), 10**21), min_size=40, max_size=60)
    | st.lists(st.integers(-(10**12), 2 * 10**18), min_size=40, max_size=60)
    | st.lists(st.floats(), min_size=40, max_size=60)
    | st.lists(st.floats(-9e19, 9e19), min_size=40, max_size=60)
    | st.lists(st.floats(-1e10, 1e10) | st.integers(0, 10**10) | st.booleans(), min_size=40, max_size=60)
)
def test_a_column_of_numbers_is_read_as_its_values_are(raws):
    assert at_once(raws) == one_by_one(raws)


@pytest.mark.parametrize(
    "step", [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)]
)
@pytest.mark.parametrize("start", ["2026-03-28T20:00:00", "2026-10-24T20:00:00", "0001-01-01T00:00:00"])
def test_local_times_around_a_clock_change_are_read_as_each_is(start, step):
    times = [(datetime.fromisoformat(start) + n * step).isoformat() for n in range(5000)]
    there = [text for text in times if one_by_one([text], BERLIN) is not RowProblem]
    assert at_once(there, BERLIN) == one_by_one(there, BERLIN)
    assert at_once(times, BERLIN) == one_by_one(times, BERLIN)


def test_an_empty_column_has_no_times():
    assert timestamps_us([]).tolist() == []


def test_a_local_time_that_occurs_twice_tells_both_moments():
    time = timestamp_us("2026-10-25T02:30:00", zone=BERLIN)
    assert isinstance(time, Repeated)
    assert time == timestamp_us("2026-10-25T02:30:00+02:00")
    assert time.again_us == timestamp_us("2026-10-25T02:30:00+01:00")


@pytest.mark.parametrize(
    "text", ["2026-10-25T01:59:59.999999", "2026-10-25T03:00:00", "2026-10-25T02:30:00+02:00"]
)
def test_a_time_that_occurs_once_is_a_plain_number(text):
    assert type(timestamp_us(text, zone=BERLIN)) is int
