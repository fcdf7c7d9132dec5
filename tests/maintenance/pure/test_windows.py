from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.scheduling import WeeklyShift, free_windows, instant_us, merged_windows, shift_windows

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_US = 3_600_000_000

small_windows = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=8,
)


def utc_us(*parts: int) -> int:
    return instant_us(datetime(*parts, tzinfo=UTC))


def instants(windows: list[tuple[int, int]]) -> set[int]:
    return {instant for start, end in windows for instant in range(start, end)}


def berlin_windows(shift: WeeklyShift, first: datetime, days: int) -> list[tuple[int, int]]:
    start = first.replace(tzinfo=BERLIN)
    return shift_windows([shift], BERLIN, instant_us(start), instant_us(start + timedelta(days=days)))


def test_an_instant_is_exact_to_the_microsecond():
    assert instant_us(datetime(2026, 11, 22, 10, 0, 0, 250_001, tzinfo=UTC)) == 1_795_341_600_250_001


def test_a_weekly_shift_comes_back_in_local_time():
    monday_morning = WeeklyShift(0, time(6), time(14))

    assert berlin_windows(monday_morning, datetime(2026, 11, 16), 14) == [
        (utc_us(2026, 11, 16, 5), utc_us(2026, 11, 16, 13)),
        (utc_us(2026, 11, 23, 5), utc_us(2026, 11, 23, 13)),
    ]


def test_a_night_shift_is_an_hour_shorter_when_summer_time_begins():
    saturday_night = WeeklyShift(5, time(22), time(6))

    assert berlin_windows(saturday_night, datetime(2026, 3, 28), 3) == [
        (utc_us(2026, 3, 28, 21), utc_us(2026, 3, 29, 4))
    ]


def test_a_night_shift_is_an_hour_longer_when_summer_time_ends():
    saturday_night = WeeklyShift(5, time(22), time(6))

    assert berlin_windows(saturday_night, datetime(2026, 10, 24), 3) == [
        (utc_us(2026, 10, 24, 20), utc_us(2026, 10, 25, 5))
    ]


def test_the_same_wall_clock_holds_on_both_sides_of_a_change():
    mornings = [WeeklyShift(weekday, time(8), time(9)) for weekday in range(7)]
    found = shift_windows(mornings, BERLIN, utc_us(2026, 3, 27), utc_us(2026, 4, 1))

    assert [datetime.fromtimestamp(start / 1e6, BERLIN).hour for start, _ in found] == [8] * 5


def test_a_start_in_the_skipped_hour_is_read_with_the_offset_before_the_change():
    assert berlin_windows(WeeklyShift(6, time(2, 30), time(5)), datetime(2026, 3, 29), 1) == [
        (utc_us(2026, 3, 29, 1, 30), utc_us(2026, 3, 29, 3))
    ]


def test_a_shift_without_length_because_of_the_change_does_not_take_place():
    assert berlin_windows(WeeklyShift(6, time(2, 30), time(3)), datetime(2026, 3, 29), 1) == []


def test_the_rest_of_a_night_shift_that_began_on_the_eve_is_found():
    sunday_night = WeeklyShift(6, time(22), time(6))

    assert berlin_windows(sunday_night, datetime(2026, 11, 16), 1) == [
        (utc_us(2026, 11, 15, 23), utc_us(2026, 11, 16, 5))
    ]


def test_equal_start_and_end_make_twenty_four_hours():
    assert berlin_windows(WeeklyShift(0, time(7), time(7)), datetime(2026, 11, 16), 7) == [
        (utc_us(2026, 11, 16, 6), utc_us(2026, 11, 17, 6))
    ]


def test_shifts_that_touch_become_one_window():
    shifts = [WeeklyShift(0, time(6), time(14)), WeeklyShift(0, time(14), time(22))]

    assert shift_windows(shifts, UTC, utc_us(2026, 11, 16), utc_us(2026, 11, 17)) == [
        (utc_us(2026, 11, 16, 6), utc_us(2026, 11, 16, 22))
    ]


def test_a_weekday_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="weekday"):
        WeeklyShift(7, time(6), time(14))


def test_leave_and_bookings_are_cut_out_of_a_shift():
    shift = [(6 * HOUR_US, 14 * HOUR_US)]

    free = free_windows(shift, absences=[(0, 7 * HOUR_US)], busy=[(9 * HOUR_US, 10 * HOUR_US)])

    assert free == [(7 * HOUR_US, 9 * HOUR_US), (10 * HOUR_US, 14 * HOUR_US)]


@given(small_windows, small_windows, small_windows)
def test_free_time_is_exactly_shifts_minus_absences_minus_bookings(shifts, absences, busy):
    free = free_windows(shifts, absences, busy)

    assert instants(free) == instants(shifts) - instants(absences) - instants(busy)
    assert free == merged_windows(free)


@given(
    st.lists(st.builds(WeeklyShift, st.integers(0, 6), st.times(), st.times()), max_size=6),
    st.integers(0, 370 * 24),
    st.integers(0, 20 * 24),
    st.integers(0, 20 * 24),
)
def test_a_span_in_two_parts_has_the_same_shifts_as_in_one(shifts, from_h, first_h, second_h):
    start = utc_us(2026, 1, 1) + from_h * HOUR_US
    middle = start + first_h * HOUR_US
    end = middle + second_h * HOUR_US

    parts = shift_windows(shifts, BERLIN, start, middle) + shift_windows(shifts, BERLIN, middle, end)

    assert merged_windows(parts) == shift_windows(shifts, BERLIN, start, end)
