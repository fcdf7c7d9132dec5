import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensors.detection.detector import (
    DetectorSettings,
    DetectorState,
    OtherVersion,
    detect,
)
from sensors.detection.following import ProfileSettings
from sensors.detection.limits import LimitSpec

START_US = 1_790_000_000_000_000
STEP_US = 300_000_000
DAY = 288  # readings
HOUR = 12


def plant_sensor(seed, *, days=90, amplitude=5.0, weekend=-4.0, base=50.0):
    """Five-minute readings with a daily course, quiet weekends and normal noise of standard deviation 1."""
    rng = np.random.default_rng(seed)
    ts_us = START_US + np.arange(days * DAY) * STEP_US
    hours = ts_us / 3.6e9
    is_weekend = np.isin((ts_us // 86_400_000_000 + 4) % 7, [0, 6])
    daily = amplitude * np.sin(2 * np.pi * hours / 24 + rng.uniform(0, 6))
    return ts_us, base + daily + weekend * is_weekend + rng.normal(0, 1, len(ts_us))


def watch(ts_us, values, *, state=None, quality=0, limits=(), max_change=None):
    quality = np.full(len(ts_us), quality, np.int8)
    return detect(state, ts_us, values, quality, limits, max_change=max_change)


def latest(snapshots):
    return {one.excursion_id: one for one in snapshots}


@pytest.fixture(scope="module")
def learned():
    """Thirty days of a sensor without weekends: the readings up to there, and after."""
    ts_us, values = plant_sensor(7, days=60, weekend=0.0)
    state, excursions = watch(ts_us[: 30 * DAY], values[: 30 * DAY])
    assert excursions == []
    return state.to_bytes(), ts_us[30 * DAY :], values[30 * DAY :]


@pytest.mark.parametrize(
    "shape", [{"weekend": 0.0}, {"amplitude": 0.0, "weekend": 0.0}, {}, {"weekend": -15.0}]
)
def test_healthy_sensors_are_left_alone_for_90_days(shape):
    alarms = [len(watch(*plant_sensor(seed, **shape))[1]) for seed in range(3)]
    assert sum(alarms) <= 1  # below 0.2 a sensor and month


@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_of_six_sigma_over_three_readings_is_found(learned, sign):
    stored, ts_us, values = learned
    values = values.copy()
    values[100:103] += 6.5 * sign
    _, (excursion,) = watch(ts_us[:200], values[:200], state=DetectorState.from_bytes(stored))
    assert (excursion.kind, excursion.direction, excursion.level) == (
        "profile",
        "high" if sign > 0 else "low",
        "",
    )
    assert ts_us[100] <= excursion.started_us <= excursion.noticed_us <= ts_us[102]
    assert ts_us[100] <= excursion.peak_us <= ts_us[102]
    assert ts_us[102] < excursion.ended_us <= ts_us[106]
    assert 0.5 < excursion.score < 1.0
    assert 44.0 < excursion.expected < 56.0


@pytest.mark.parametrize("where", [50, 700, 1500, 3100])
def test_a_shift_of_four_sigma_is_found_within_two_hours(learned, where):
    stored, ts_us, values = learned
    values = values.copy()
    values[where:] += 4.0
    _, excursions = watch(
        ts_us[: where + 2 * HOUR], values[: where + 2 * HOUR], state=DetectorState.from_bytes(stored)
    )
    assert [one.direction for one in excursions] == ["high"]


def test_a_step_whose_second_reading_is_lower_than_its_first_is_a_shift():
    """By the hour: what its first reading brought is learned before the second is looked at."""
    ts_us = np.arange(24 * 20) * 3_600_000_000
    values = 2.0 + np.random.default_rng(5).normal(0, 0.15, len(ts_us))
    values[-3:] = [3.2, 2.75, 3.1]
    _, excursions = watch(ts_us, values)
    last = excursions[-1]
    assert (last.pattern, last.direction, last.started_us) == ("shift", "high", ts_us[-3])


def test_two_wild_readings_alone_say_nothing(learned):
    stored, ts_us, values = learned
    values = values.copy()
    values[100] += 1000.0
    values[120] -= 1000.0
    assert watch(ts_us[:200], values[:200], state=DetectorState.from_bytes(stored))[1] == []


def test_a_fault_is_not_learned_as_normal_for_a_week_and_then_it_is(learned):
    stored, ts_us, values = learned
    values = values + 20.0
    state, (after_six_days,) = watch(
        ts_us[: 6 * DAY], values[: 6 * DAY], state=DetectorState.from_bytes(stored)
    )
    assert after_six_days.ended_us is None
    rest = slice(6 * DAY, 20 * DAY)
    _, (after_twenty,) = watch(ts_us[rest], values[rest], state=state)
    assert after_twenty.ended_us - after_twenty.started_us == 7 * DAY * STEP_US


def test_nothing_is_said_before_the_warm_up():
    ts_us, values = plant_sensor(1, days=3, weekend=0.0)
    values[: 2 * DAY][100::37] += 500.0
    values[DAY + 5 : DAY + 30] += 500.0
    assert watch(ts_us[: 2 * DAY], values[: 2 * DAY])[1] == []


def test_in_the_first_week_only_a_gross_departure_counts():
    ts_us, values = plant_sensor(1, days=4, weekend=0.0)
    values[3 * DAY : 3 * DAY + 6] += 10.0
    assert watch(ts_us, values)[1] == []
    values[3 * DAY + 50 : 3 * DAY + 56] += 100.0
    assert len(watch(ts_us, values)[1]) == 1


@pytest.mark.parametrize("level", [50.0, 0.0, -3.0])
def test_a_constant_sensor_does_not_alarm_on_one_tiny_change(level):
    ts_us = START_US + np.arange(20 * DAY) * STEP_US
    values = np.full(len(ts_us), level)
    values[15 * DAY :] += 0.05
    assert watch(ts_us, values)[1] == []


def test_a_constant_sensor_alarms_on_a_large_change():
    ts_us = START_US + np.arange(20 * DAY) * STEP_US
    values = np.full(len(ts_us), 50.0)
    values[15 * DAY : 15 * DAY + 12] = 80.0
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.started_us, excursion.peak_value) == (ts_us[15 * DAY], 80.0)
    assert excursion.expected == pytest.approx(50.0, abs=0.1)


def test_a_sensor_that_sticks_away_from_its_course_is_noticed():
    ts_us, values = plant_sensor(3, days=32, amplitude=12.0, weekend=0.0)
    values[30 * DAY :] = values[30 * DAY]
    assert watch(ts_us[: 30 * DAY], values[: 30 * DAY])[1] == []
    assert watch(ts_us, values)[1] != []


def test_a_gap_of_a_week_is_no_excursion(learned):
    stored, ts_us, values = learned
    rest = slice(7 * DAY, 9 * DAY)
    assert watch(ts_us[rest], values[rest], state=DetectorState.from_bytes(stored))[1] == []


def test_readings_that_step_back_in_time_change_nothing(learned):
    stored, ts_us, _ = learned
    state, excursions = watch(
        ts_us[:50] - 2 * DAY * STEP_US, np.full(50, 1e6), state=DetectorState.from_bytes(stored)
    )
    assert excursions == []
    assert state.to_bytes() == stored


def test_bad_readings_are_not_learned(learned):
    stored, ts_us, _ = learned
    state, excursions = watch(ts_us[:50], np.full(50, 1e6), state=DetectorState.from_bytes(stored), quality=2)
    assert excursions == []
    assert state.learned == DetectorState.from_bytes(stored).learned


def test_uncertain_readings_count_half(learned):
    stored, ts_us, values = learned
    values = values.copy()
    values[100:103] += 6.5
    assert watch(ts_us[:200], values[:200], state=DetectorState.from_bytes(stored), quality=1)[1] == []


def test_the_state_is_small(learned):
    stored, ts_us, values = learned
    state, _ = watch(
        ts_us, values + 20.0, state=DetectorState.from_bytes(stored), limits=[LimitSpec("H", 60.0)]
    )
    assert len(state.to_bytes()) < 4_096


def test_a_state_whose_fields_are_others_is_of_another_version():
    state = msgspec.msgpack.decode(DetectorState.empty().to_bytes())
    state["high"] = {"direction": "high"}
    with pytest.raises(OtherVersion, match="cannot be read"):
        DetectorState.from_bytes(msgspec.msgpack.encode(state))


def test_a_state_of_another_version_is_named():
    state = DetectorState.empty()
    state.version = "0"
    with pytest.raises(OtherVersion, match="version 0"):
        DetectorState.from_bytes(state.to_bytes())


LIMITS = [
    LimitSpec("H", 57.0, dead_band=1.0, on_delay=600.0),
    LimitSpec("HH", 62.0),
    LimitSpec("L", 44.0, on_delay=900.0),
]
EAGER = DetectorSettings(profile=ProfileSettings(threshold=2.5, give_in_days=0.5))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    cuts=st.lists(st.integers(0, 12 * DAY), max_size=12),
    faults=st.lists(
        st.tuples(st.integers(9 * DAY, 12 * DAY - 300), st.integers(1, 300), st.floats(-12, 12)), max_size=4
    ),
    max_change=st.sampled_from([None, 0.5, 1.5]),
    unit=st.sampled_from([1.0, 1e-6, 1e6]),
)
@example(seed=1, cuts=[1], faults=[], max_change=None, unit=1e-6)
def test_how_readings_are_cut_into_blocks_changes_nothing(seed, cuts, faults, max_change, unit):
    ts_us, values = plant_sensor(seed, days=12)
    quality = np.random.default_rng(seed).choice([0, 0, 0, 0, 1, 2], len(values)).astype(np.int8)
    for start, length, size in faults:
        values[start : start + length] += size
    values, max_change = values * unit, max_change and max_change * unit
    whole, expected = detect(None, ts_us, values, quality, LIMITS, EAGER, max_change)
    state, snapshots = None, []
    for block in np.split(np.arange(len(values)), sorted(cuts)):
        state = state and DetectorState.from_bytes(state.to_bytes())
        state, part = detect(state, ts_us[block], values[block], quality[block], LIMITS, EAGER, max_change)
        snapshots += part
    assert state.to_bytes() == whole.to_bytes()
    assert latest(snapshots) == latest(expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**12), st.floats(width=64), st.integers(0, 2)), min_size=1, max_size=60
    ),
    st.none() | st.floats(min_value=0, exclude_min=True, allow_infinity=False),
)
def test_no_readings_break_the_detector(readings, max_change):
    steps, values, quality = (np.array(column) for column in zip(*readings, strict=True))
    state, excursions = detect(
        None,
        START_US + np.cumsum(steps),
        values,
        quality.astype(np.int8),
        LIMITS,
        DetectorSettings(),
        max_change,
    )
    assert len(state.to_bytes()) < 4_096
    for excursion in excursions:
        assert excursion.started_us <= excursion.peak_us
        assert 0.0 <= excursion.score <= 1.0


def test_a_change_of_noise_begins_with_no_reading():
    """A spike may begin with any reading, and of two excursions that begin alike one would be taken for the other."""
    ts_us, values = plant_sensor(3, days=60, amplitude=0.0, weekend=0.0)
    values[30 * DAY :] = 50 + np.random.default_rng(1).normal(0, 4, 30 * DAY)
    _, found = watch(ts_us, values)
    slow = [one for one in latest(found).values() if one.pattern == "noise"]
    assert slow
    assert not {one.started_us for one in slow} & set(ts_us.tolist())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_drift_that_turns_the_other_way_is_another_excursion(sign):
    """Known by its beginning, it must not be taken for the first one, which is over."""
    ts_us, values = plant_sensor(5, days=60, amplitude=0.0, weekend=0.0)
    values[30 * DAY : 34 * DAY] += sign * 4
    values[34 * DAY : 38 * DAY] -= sign * 4
    values[38 * DAY : 42 * DAY] += sign * 4
    _, found = watch(ts_us, values)
    told = [(one.direction, one.started_us) for one in latest(found).values() if one.pattern != "spike"]
    assert len(told) == len(set(told)) >= 2
    assert {direction for direction, _ in told} == {"high", "low"}


def test_what_is_stuck_at_an_hour_of_which_nothing_is_known_is_told_with_a_number():
    """The machine reports by day; one night its instrument freezes and goes on sending."""
    ts_us, values = plant_sensor(3, days=42, amplitude=0.0, weekend=0.0)
    hour = ts_us // 3_600_000_000 % 24
    freezes_at = 40 * DAY + int(np.flatnonzero(hour[40 * DAY :] == 21)[0])
    values[freezes_at:] = values[freezes_at]
    is_sent = (hour >= 6) & (hour < 22)
    is_sent[freezes_at : freezes_at + 5 * HOUR] = True
    end = freezes_at + 5 * HOUR
    _, found = watch(ts_us[:end][is_sent[:end]], values[:end][is_sent[:end]])
    assert [one.pattern for one in latest(found).values()] == ["stuck"]
    assert all(one.expected == values[freezes_at] for one in found)
