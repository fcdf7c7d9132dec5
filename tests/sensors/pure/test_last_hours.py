"""What stays a little away for hours is told, though no reading of it is far out."""

import numpy as np
import pytest

from tests.sensors.pure.test_detector import DAY, HOUR, plant_sensor, watch
from tests.sensors.pure.test_detector_on_real_life import day_of, hourly, moments

STEP_OF_HOURS = 12


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
    values[6 * DAY : 6 * DAY + 6 * HOUR] += 2.0
    assert watch(ts_us, values)[1] == []


def test_what_readings_have_told_is_not_told_again_by_their_mean():
    ts_us, values = flat(5)
    values[20 * DAY : 20 * DAY + HOUR] += 9.0
    _, (excursion,) = watch(ts_us, values)
    assert excursion.started_us == ts_us[20 * DAY]


def test_a_repeat_is_told_only_when_it_is_further_out():
    ts_us, values = flat(6)
    for day, height in ((20, 2.0), (21, 2.0), (22, 3.2)):
        values[day * DAY : day * DAY + 6 * HOUR] += height
    assert [round(day_of(one, "noticed_us")) for one in watch(ts_us, values)[1]] == [20, 22]


def test_a_day_that_begins_an_hour_later_is_usual():
    ts_us, values = plant_sensor(7, days=30, amplitude=8.0, weekend=0.0)
    late = values.copy()
    late[20 * DAY + HOUR :] = values[20 * DAY : -HOUR]
    assert watch(ts_us, late)[1] == []


def test_lone_readings_do_not_move_the_hour():
    ts_us, values = flat(8)
    values[::STEP_OF_HOURS] += 15.0  # one in each hour, from the beginning on
    values[20 * DAY + 6 : 20 * DAY + 6 * HOUR : STEP_OF_HOURS] += 15.0
    assert {one.pattern for one in watch(ts_us, values)[1]} <= {"spike"}
