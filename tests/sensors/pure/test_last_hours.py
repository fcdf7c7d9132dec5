"""What stays a little away for hours is told, though no reading of it is far out."""

import numpy as np
import pytest

from tests.sensors.pure.test_detector import DAY, HOUR, watch
from tests.sensors.pure.test_detector_on_real_life import day_of, hourly, moments


def flat(seed, *, days=30, level=50.0):
    ts_us = moments(days)
    return ts_us, level + np.random.default_rng(seed).normal(0, 1, len(ts_us))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_level_of_two_standard_deviations_that_stays_for_six_hours_is_told_within_four(sign):
    ts_us, values = flat(1)
    values[20 * DAY : 20 * DAY + 6 * HOUR] += sign * 2.0
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.pattern, excursion.direction) == ("shift", "high" if sign > 0 else "low")
    assert 20 < day_of(excursion, "noticed_us") <= 20 + 4 / 24
    assert excursion.peak_value == pytest.approx(50 + sign * 2, abs=0.7)
    assert excursion.expected == pytest.approx(50, abs=1.0)
    assert day_of(excursion, "ended_us") >= 20.25


def test_hours_of_half_a_standard_deviation_are_nothing_to_tell():
    ts_us, values = flat(1)
    values[20 * DAY : 20 * DAY + 6 * HOUR] += 0.5
    assert watch(ts_us, values)[1] == []


def test_it_is_seen_on_sensors_that_send_each_hour_too():
    ts_us, values = hourly(40, 2)
    values[30 * 24 : 30 * 24 + 12] += 4.0
    _, (excursion, *_) = watch(ts_us, values)
    assert 30 < day_of(excursion, "noticed_us") < 30.25


def test_a_sensor_that_wanders_for_hours_by_nature_is_left_alone():
    random = np.random.default_rng(3)
    ts_us, wander, level = moments(60), [], 0.0
    for step in random.normal(0, 1, len(ts_us)):
        level = 0.97 * level + step
        wander.append(level)
    assert len(watch(ts_us, np.array(wander))[1]) <= 1


def test_it_is_not_told_in_the_first_week():
    ts_us, values = flat(4)
    values[7 * DAY : 7 * DAY + 6 * HOUR] += 3.0
    assert watch(ts_us, values)[1] == []
    later = np.concatenate([values[: 7 * DAY], values[16 * DAY : 26 * DAY]])
    later[12 * DAY : 12 * DAY + 6 * HOUR] += 3.0
    assert 12 in [round(day_of(one, "noticed_us")) for one in watch(ts_us[: len(later)], later)[1]]


def test_what_readings_have_told_is_not_told_again_by_their_mean():
    for seed in range(5):
        ts_us, values = flat(seed)
        at = 20 * DAY + 7
        values[at : at + 2 * HOUR] += 7.0
        _, (excursion,) = watch(ts_us, values)
        assert excursion.started_us == ts_us[at]
        assert excursion.peak_us in ts_us[at : at + 2 * HOUR]
        assert excursion.peak_value == values[ts_us == excursion.peak_us][0] > 57.5
        assert ts_us[at + 2 * HOUR] <= excursion.ended_us <= ts_us[at + 2 * HOUR + 2]


def test_a_repeat_is_told_only_when_it_is_further_out():
    ts_us, values = flat(6)
    for day, height in ((20, 2.0), (21, 2.0), (22, 3.2)):
        values[day * DAY : day * DAY + 6 * HOUR] += height
    assert [round(day_of(one, "noticed_us")) for one in watch(ts_us, values)[1]] == [20, 22]


def test_a_smooth_day_that_begins_an_hour_later_is_usual():
    ts_us = moments(30)
    told = []
    for seed in range(4):
        late_us = ts_us - 3_600_000_000 * (ts_us >= ts_us[20 * DAY])
        values = 50 + 6 * np.sin(late_us / 8.64e10 * 2 * np.pi)
        told += watch(ts_us, values + np.random.default_rng(seed).normal(0, 1, len(ts_us)))[1]
    assert told == []


def test_lone_readings_do_not_move_the_hour():
    ts_us, values = flat(8)
    # The mean of such an hour is one standard deviation away.
    values[20 * DAY : 20 * DAY + 6 * HOUR : 3] += 3.1
    assert watch(ts_us, values)[1] == []


def test_a_long_fault_is_not_learned_as_what_the_hours_usually_come_to():
    ts_us, values = flat(9, days=50)
    values[20 * DAY : 26 * DAY] += 6.0
    values[40 * DAY : 40 * DAY + 6 * HOUR] += 2.5
    assert 40 in [round(day_of(one, "noticed_us")) for one in watch(ts_us, values)[1]]


def test_hours_before_a_silence_are_not_told_days_after_it():
    ts_us, values = flat(10, days=40)
    values[20 * DAY : 20 * DAY + 18] += 1.8
    kept = np.r_[0 : 20 * DAY + 18, 28 * DAY : 40 * DAY]
    assert watch(ts_us[kept], values[kept])[1] == []


def test_they_begin_with_the_hour_in_which_they_did():
    ts_us, values = flat(11)
    at = 20 * DAY + 5 * HOUR
    values[at : at + 6 * HOUR] += 2.0
    _, (excursion,) = watch(ts_us, values)
    assert ts_us[at - HOUR] < excursion.started_us <= ts_us[at + HOUR]
