"""What must happen with the sensors and the accidents that plants really have."""

import math

import numpy as np
import pytest

from sensors.detection.detector import Block, DetectorState, detect_many
from sensors.detection.limits import LimitSpec
from tests.sensors.pure.test_detector import DAY, HOUR, START_US, STEP_US, plant_sensor, watch

DAY_US = 86_400_000_000


def moments(days, *, step_us=STEP_US):
    return START_US + np.arange(int(days * DAY_US // step_us)) * step_us


def hourly(days, seed=0, *, level=100.0, noise=1.0):
    ts_us = moments(days, step_us=3_600_000_000)
    return ts_us, level + np.random.default_rng(seed).normal(0, noise, len(ts_us))


def day_of(excursion, us):
    return (getattr(excursion, us) - START_US) / DAY_US


def test_a_stuck_sensor_is_named_although_its_value_is_quite_usual():
    ts_us, values = plant_sensor(3, days=16, amplitude=0.0, weekend=0.0)
    values[12 * DAY :] = 50.0
    _, excursions = watch(ts_us, values)
    assert excursions[0].pattern == "stuck"
    assert 12 <= day_of(excursions[0], "noticed_us") < 12.2


def test_a_constant_sensor_is_not_stuck():
    assert watch(moments(30), np.full(30 * DAY, 21.5))[1] == []


def test_a_binary_sensor_that_switches_now_and_then_is_left_alone():
    rng = np.random.default_rng(1)
    values = (np.cumsum(rng.random(60 * DAY) < 0.02) % 2).astype(float)
    assert len(watch(moments(60), values)[1]) <= 1


def test_a_counter_that_rolls_over_is_left_alone():
    values = np.arange(40 * DAY, dtype=float) % 2_000
    assert len(watch(moments(40), values)[1]) <= 1


def test_daylight_saving_moves_the_daily_course_by_an_hour_and_is_normal_after_a_week():
    ts_us = moments(60)
    local_hours = ts_us / 3.6e9 + (ts_us >= START_US + 40 * DAY_US)
    work = (local_hours % 24 >= 6) & (local_hours % 24 < 18)
    values = 20 + 10 * work + np.random.default_rng(4).normal(0, 1, len(ts_us))
    excursions = watch(ts_us, values)[1]
    assert len(excursions) <= 2
    assert {one.pattern for one in excursions} <= {"course"}
    assert all(40 <= day_of(one, "started_us") < 47 for one in excursions)


def test_a_clock_that_steps_back_an_hour_loses_that_hour_and_nothing_else():
    ts_us, values = plant_sensor(5, days=30, weekend=0.0)
    back = np.concatenate([ts_us[: 20 * DAY], ts_us[20 * DAY :] - 3_600_000_000])
    state, excursions = watch(back[: 20 * DAY], values[: 20 * DAY])
    assert excursions == []
    state, excursions = watch(
        back[20 * DAY : 20 * DAY + HOUR], values[20 * DAY : 20 * DAY + HOUR] + 100, state=state
    )
    assert excursions == []
    rest = values[20 * DAY + HOUR :].copy()
    rest[DAY : DAY + 6] += 30.0
    _, (excursion,) = watch(back[20 * DAY + HOUR :], rest, state=state)
    assert excursion.started_us == back[20 * DAY + HOUR + DAY]


def test_after_a_gap_of_a_week_the_sensor_is_known_still():
    ts_us, values = plant_sensor(6, days=40, weekend=0.0)
    kept = np.r_[0 : 20 * DAY, 27 * DAY : 40 * DAY]
    values[30 * DAY : 30 * DAY + 6] += 30.0
    _, (excursion,) = watch(ts_us[kept], values[kept])
    assert excursion.started_us == ts_us[30 * DAY]


def test_a_change_of_unit_is_one_excursion_for_a_week_and_then_normal():
    ts_us, values = plant_sensor(8, days=60, weekend=0.0)
    values[20 * DAY :] = values[20 * DAY :] * 1.8 + 32
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.direction, excursion.pattern) == ("high", "shift")
    assert day_of(excursion, "ended_us") == pytest.approx(27, abs=0.1)


def test_a_swapped_sensor_with_another_offset_is_one_excursion():
    ts_us, values = hourly(90, 3)
    values[45 * 24 :] += 2.0
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.direction, excursion.pattern) == ("high", "shift")
    assert 45 <= day_of(excursion, "noticed_us") < 47


@pytest.mark.parametrize("sign", [1, -1])
def test_a_slow_drift_is_told_before_it_is_learned(sign):
    ts_us, values = hourly(120, 4)
    values += sign * np.clip(np.arange(len(values)) / 24 - 40, 0, None) * 0.05
    _, excursions = watch(ts_us, values)
    assert 40 < day_of(excursions[0], "noticed_us") < 60  # one standard deviation away by then
    assert {one.direction for one in excursions} == {"high" if sign > 0 else "low"}
    assert "drift" in {one.pattern for one in excursions}
    assert len(excursions) > 1  # it goes on, so it is told again when the first days have begun anew


def test_more_noise_is_told_as_noise():
    ts_us, values = hourly(60, 5)
    values[30 * 24 :] = 100 + 3.2 * (values[30 * 24 :] - 100)
    patterns = {one.pattern for one in watch(ts_us, values)[1]}
    assert "noise" in patterns


def test_a_value_that_is_usual_at_another_hour_is_told_as_such():
    ts_us, values = plant_sensor(2, days=40, amplitude=12.0, weekend=0.0)
    values[30 * DAY : 31 * DAY] = values[30 * DAY + DAY // 2 : 31 * DAY + DAY // 2]
    patterns = {one.pattern for one in watch(ts_us, values)[1]}
    assert "course" in patterns


def test_a_lone_reading_far_out_is_a_spike_that_is_over_when_it_is_told():
    ts_us, values = plant_sensor(7, days=30, weekend=0.0)
    values[20 * DAY] += 14.0
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.pattern, excursion.direction) == ("spike", "high")
    assert (excursion.started_us, excursion.peak_us) == (ts_us[20 * DAY], ts_us[20 * DAY])
    assert excursion.noticed_us == excursion.ended_us == ts_us[20 * DAY + 1]


def test_a_repeat_is_told_only_when_it_is_further_out():
    ts_us, values = plant_sensor(7, days=30, weekend=0.0)
    for day in (20, 21):
        values[day * DAY : day * DAY + 6] += 9.0
    values[22 * DAY : 22 * DAY + 6] += 40.0
    excursions = watch(ts_us, values)[1]
    assert [round(day_of(one, "started_us")) for one in excursions] == [20, 22]


def test_two_years_without_an_anomaly_are_quiet_and_then_one_is_found():
    ts_us, values = hourly(730, 9)
    state, excursions = watch(ts_us, values)
    assert len(excursions) <= 4
    assert len(state.to_bytes()) < 8_000
    later, more = ts_us[-1] + (1 + np.arange(48)) * 3_600_000_000, values[:48].copy()
    more[30:36] += 8.0
    _, (excursion,) = watch(later, more, state=state)
    assert excursion.started_us == later[30]


def test_what_is_measured_while_the_machine_is_worked_on_is_seen_by_limits_only():
    ts_us, values = plant_sensor(7, days=30, weekend=0.0)
    values[20 * DAY : 22 * DAY] = 0.0
    is_apart = np.zeros(len(ts_us), bool)
    is_apart[20 * DAY : 22 * DAY] = True
    block = Block(np.zeros(len(ts_us), np.int64), ts_us, values, np.zeros(len(ts_us), np.int8), is_apart)
    state = DetectorState.empty()
    (excursions,) = detect_many([state], block, [[LimitSpec("L", 10.0)]]).excursions
    assert [one.kind for one in excursions] == ["limit"]
    quiet = DetectorState.empty()
    kept = block.at(np.flatnonzero(~is_apart))
    detect_many([quiet], kept, [[]])
    assert state.learned == quiet.learned


def test_many_sensors_together_come_to_what_each_comes_to_alone():
    series = [plant_sensor(seed, days=12) for seed in range(4)]
    series.append(hourly(20, 3))
    for place, (_, values) in enumerate(series):
        values[-100 + 10 * place : -80] += 15.0
    alone = [watch(ts_us, values) for ts_us, values in series]
    states = [DetectorState.empty() for _ in series]
    ts_us, values = (np.concatenate(column) for column in zip(*series, strict=True))
    sensors = np.repeat(np.arange(len(series)), [len(one[0]) for one in series])
    block = Block(sensors, ts_us, values, np.zeros(len(ts_us), np.int8))
    found = detect_many(states, block, [()] * len(series))
    assert [state.to_bytes() for state in states] == [state.to_bytes() for state, _ in alone]
    assert found.excursions == [excursions for _, excursions in alone]


def test_no_readings_at_all_change_nothing():
    state = DetectorState.empty()
    nothing = np.empty(0, np.int64)
    detected = detect_many([state], Block(nothing, nothing, np.empty(0), np.empty(0, np.int8)), [()])
    assert detected.excursions == [[]]
    assert state == DetectorState.empty()


def weekly(begin_hour, quiet_days, *, depth=3.0, days=70):
    """Hourly readings that are lower on some days of the week, 0 being Monday."""
    ts_us, values = hourly(days, 1)
    ts_us = ts_us + begin_hour * 3_600_000_000
    weekday = (ts_us // DAY_US + 3) % 7
    return ts_us, values - depth * np.isin(weekday, quiet_days), weekday


def watch_together(series):
    ts_us, values = (np.concatenate(column) for column in zip(*series, strict=True))
    sensors = np.repeat(np.arange(len(series)), [len(one[0]) for one in series])
    block = Block(sensors, ts_us, values, np.zeros(len(ts_us), np.int8))
    return detect_many([DetectorState.empty() for _ in series], block, [()] * len(series)).excursions


def test_quiet_days_of_each_week_are_normal_wherever_the_days_of_the_reference_are_cut():
    series = [weekly(hour, quiet)[:2] for hour in (2, 8, 14, 20) for quiet in ([6], [5, 6], [2])]
    excursions = [one for its in watch_together(series) for one in its]
    # By chance; told of every week it would be more than a hundred.
    assert len([one for one in excursions if one.pattern != "spike"]) <= 4


def test_a_shift_is_told_on_a_quiet_day_and_after_it():
    series = []
    for begins_on in (2, 6):
        ts_us, values, weekday = weekly(8, [6])
        begin = 40 * 24 + int(np.argmax(weekday[40 * 24 :] == begins_on))
        values[begin:] -= 2.0
        series.append((ts_us, values))
        shift_us = ts_us[begin]
        (excursions,) = watch_together(series[-1:])
        first = next(one for one in excursions if one.noticed_us > shift_us)
        assert (first.pattern, first.direction) == ("shift", "low")
        assert first.noticed_us - shift_us < 2 * DAY_US


def test_one_odd_day_among_the_first_is_not_normal_on_its_weekday():
    ts_us, values = hourly(60, 3)
    values[4 * 24 : 5 * 24] -= 3.0
    values[39 * 24 : 40 * 24] -= 3.0  # five weeks later
    (excursions,) = watch_together([(ts_us, values)])
    assert [(one.pattern, one.direction) for one in excursions] == [("shift", "low")]
    assert 39 < day_of(excursions[0], "noticed_us") < 40.2


def test_a_quiet_day_that_is_worked_on_is_nothing_unusual():
    ts_us, values, weekday = weekly(8, [6])
    worked = (weekday == 6) & (np.arange(len(ts_us)) // 24 > 42) & (np.arange(len(ts_us)) // 24 < 51)
    values[worked] += 3.0
    patterns = {one.pattern for one in watch_together([(ts_us, values)])[0]}
    assert patterns <= {"course", "spike"}


@pytest.mark.parametrize("value", [1e37, -1e300])
def test_what_no_instrument_measures_is_for_the_limits_alone(value):
    ts_us, values = plant_sensor(7, days=20, weekend=0.0)
    values[15 * DAY : 16 * DAY] = value
    assert watch(ts_us, values)[1] == []
    _, excursions = watch(
        ts_us, values, limits=[LimitSpec("H" if value > 0 else "L", math.copysign(90, value))]
    )
    assert [(one.kind, one.peak_value) for one in excursions] == [("limit", value)]
