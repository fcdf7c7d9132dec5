from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.scheduling import instant_us
from smartmaint.demo.blueprint import Growth
from smartmaint.demo.physics import Simulated, degradation, instants, live_scenario, simulate
from smartmaint.demo.plant import (
    FIRST_TO_CROSS,
    HISTORY_DAYS,
    LIVE_SENSOR,
    NORTHWIND,
    ORGANISATIONS,
    RIVERSIDE,
    SECOND_TO_CROSS,
    SEED,
)
from smartmaint.demo.randomness import normal, smooth, stream, uniform

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
# A Sunday evening after the clocks went back, and a Wednesday noon after they went forward.
EPOCHS_US = (
    instant_us(datetime(2026, 11, 22, 18, 50, 13, tzinfo=UTC)),
    instant_us(datetime(2027, 4, 14, 12, 3, 57, tzinfo=UTC)),
)
EPOCH_US = EPOCHS_US[0]
SENSORS = {
    sensor.key: (organisation.zone, machine, sensor)
    for organisation in ORGANISATIONS
    for machine, sensor in organisation.sensors
}
LIMITED = [key for key, (_, _, sensor) in SENSORS.items() if sensor.limits]
STORIES = {story.sensor: story for story in RIVERSIDE.stories}
HEALTHY = [key for key in LIMITED if key not in {*STORIES, FIRST_TO_CROSS, SECOND_TO_CROSS}]


def readings(key: str, ts_us: np.ndarray, *, epoch_us: int = EPOCH_US, **options: int) -> Simulated:
    zone, machine, sensor = SENSORS[key]
    return simulate(machine, sensor, ts_us, zone=zone, epoch_us=epoch_us, seed=SEED, **options)


@cache
def span(key: str, from_day: int, to_day: int, epoch_us: int = EPOCH_US) -> Simulated:
    ts_us = instants(epoch_us + from_day * DAY_US, epoch_us + to_day * DAY_US, 300)
    return readings(key, ts_us, epoch_us=epoch_us)


def days_of(found: Simulated, epoch_us: int = EPOCH_US) -> np.ndarray:
    return (found.ts_us - epoch_us) / DAY_US


def hourly_medians(found: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """The middle value of every twelve readings, and the time of the last of them."""
    whole = len(found.values) // 12 * 12
    return found.ts_us[:whole].reshape(-1, 12)[:, -1], np.median(found.values[:whole].reshape(-1, 12), axis=1)


def first_crossing_day(key: str, level: str, epoch_us: int) -> float | None:
    """The day after the epoch on which an hourly median passes the limit, within 30 days."""
    ts_us, medians = hourly_medians(span(key, 0, 30, epoch_us))
    limit = SENSORS[key][2].limit(level).value
    beyond = medians >= limit if level.startswith("H") else medians <= limit
    return float((ts_us[np.argmax(beyond)] - epoch_us) / DAY_US) if beyond.any() else None


@pytest.mark.parametrize(
    "key", [FIRST_TO_CROSS, "chiller-1/suction-pressure", "pump-12/flow", "comp-1/power"]
)
def test_the_same_question_has_the_same_answer(key):
    again = readings(key, span(key, -90, 0).ts_us)

    assert np.array_equal(again.values, span(key, -90, 0).values)
    assert np.array_equal(again.quality, span(key, -90, 0).quality)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(SENSORS)), st.integers(-80 * 288, 288), st.integers(1, 400))
def test_a_block_reads_the_same_as_a_part_of_history_or_alone(key, first, count):
    ts_us = instants(EPOCH_US + first * 300_000_000, EPOCH_US + (first + count) * 300_000_000, 300)
    whole = readings(key, ts_us)
    single = [readings(key, ts_us[at : at + 1]) for at in (0, count // 2, count - 1)]

    split = count // 3
    parts = [readings(key, ts_us[:split]), readings(key, ts_us[split:])]
    assert np.array_equal(np.concatenate([part.values for part in parts]), whole.values)
    for one in single:
        assert np.array_equal(one.values, whole.values[np.isin(whole.ts_us, one.ts_us)])


def test_another_seed_gives_other_noise():
    zone, machine, sensor = SENSORS[FIRST_TO_CROSS]
    ts_us = instants(EPOCH_US - DAY_US, EPOCH_US, 300)
    other = simulate(machine, sensor, ts_us, zone=zone, epoch_us=EPOCH_US, seed=SEED + 1)

    assert not np.array_equal(other.values, readings(FIRST_TO_CROSS, ts_us).values)


def test_live_readings_continue_the_history_without_a_jump():
    before = span(FIRST_TO_CROSS, -1, 0).values[-12:]
    live = readings(FIRST_TO_CROSS, instants(EPOCH_US, EPOCH_US + HOUR_US, 3)).values

    assert abs(np.median(live) - np.median(before)) < 0.15


def test_noise_is_standard_normal_and_independent_between_streams():
    counter = np.arange(200_000, dtype=np.int64) * 300_000_000
    first, second = (normal(stream(SEED, name), counter) for name in ("first", "second"))

    assert abs(first.mean()) < 0.01
    assert abs(first.std() - 1) < 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.01


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.integers(0, 2**32))
def test_uniform_numbers_stay_above_zero_and_up_to_one(counters, seed):
    numbers = uniform(stream(seed, "any"), np.array(counters, dtype=np.int64))

    assert ((numbers > 0) & (numbers <= 1)).all()


def test_a_smooth_curve_has_no_jumps():
    curve = smooth(stream(SEED, "any"), np.arange(0, 50 * HOUR_US, 60_000_000, dtype=np.int64), HOUR_US)

    assert np.abs(curve).max() <= 1
    assert np.abs(np.diff(curve)).max() < 0.06


def test_the_plants_have_the_size_of_the_demo():
    machines = [machine for machine in RIVERSIDE.machines if machine.sensors]

    assert (len(RIVERSIDE.sites), len(machines), len(RIVERSIDE.sensors)) == (2, 12, 40)
    assert (len(NORTHWIND.machines), len(NORTHWIND.sensors), len(NORTHWIND.technicians)) == (2, 3, 1)


def test_ninety_days_have_a_reading_every_five_minutes_except_for_the_silent_sensor():
    counts = {sensor.key: len(span(sensor.key, -HISTORY_DAYS, 0).values) for _, sensor in RIVERSIDE.sensors}

    assert counts.pop("chiller-2/discharge-pressure") == 87 * 288
    assert set(counts.values()) == {90 * 288}


@pytest.mark.parametrize("epoch_us", EPOCHS_US)
def test_exactly_two_machines_cross_a_limit_within_thirty_days(epoch_us):
    crossing = {
        key: {limit.level: first_crossing_day(key, limit.level, epoch_us) for limit in SENSORS[key][2].limits}
        for key in LIMITED
    }
    crossed = {key: days for key, days in crossing.items() if any(day is not None for day in days.values())}

    assert set(crossed) == {FIRST_TO_CROSS, SECOND_TO_CROSS}
    assert 5 <= crossed[FIRST_TO_CROSS]["HH"] <= 10
    assert 20 <= crossed[SECOND_TO_CROSS]["HH"] <= 25
    assert 0.5 <= crossed[FIRST_TO_CROSS]["H"] < crossed[FIRST_TO_CROSS]["HH"]
    assert 5 <= crossed[SECOND_TO_CROSS]["H"] < crossed[SECOND_TO_CROSS]["HH"]


@pytest.mark.parametrize("epoch_us", EPOCHS_US)
@pytest.mark.parametrize("key", HEALTHY)
def test_healthy_sensors_keep_well_away_from_their_limits(key, epoch_us):
    sensor = SENSORS[key][2]
    values = span(key, -HISTORY_DAYS, 30, epoch_us).values
    middle = np.median(values)
    for limit in sensor.limits:
        furthest = values.max() if limit.level.startswith("H") else values.min()
        assert abs(furthest - middle) < 0.7 * abs(limit.value - middle)


@pytest.mark.parametrize("key", [*STORIES])
def test_every_excursion_of_the_past_belongs_to_a_story(key):
    story, sensor = STORIES[key], SENSORS[key][2]
    found = span(key, -HISTORY_DAYS, 0)
    for limit in sensor.limits:
        is_high = limit.level.startswith("H")
        beyond = found.values >= limit.value if is_high else found.values <= limit.value
        days = days_of(found)[beyond]
        assert ((days >= story.predicted_day - 2) & (days < story.completed_day)).all()


@pytest.mark.parametrize("key", [*STORIES])
def test_trouble_shows_before_the_repair_and_is_gone_after_it(key):
    story, (zone, machine, sensor) = STORIES[key], SENSORS[key]
    found = span(key, -HISTORY_DAYS, 0)
    untroubled = replace(sensor, behaviour=replace(sensor.behaviour, growths=(), disturbances=()))
    sound = simulate(machine, untroubled, found.ts_us, zone=zone, epoch_us=EPOCH_US, seed=SEED)
    trouble, days = np.abs(found.values - sound.values), days_of(found)
    before = np.median(trouble[(days >= story.stop[0] - 1) & (days < story.stop[0])])
    after = np.median(trouble[(days >= story.completed_day) & (days < story.completed_day + 1)])

    assert before > 0.35 * abs(sensor.limit(story.level).value - sensor.behaviour.level)
    assert after < 0.2 * before


def test_the_machine_that_failed_before_its_repair_had_passed_the_limit():
    (story,) = [story for story in RIVERSIDE.stories if story.verdict == "failed_before_repair"]
    found = span(story.sensor, -HISTORY_DAYS, 0)
    failed_day, _ = story.stop
    shortly_before = (days_of(found) >= failed_day - 0.25) & (days_of(found) < failed_day)

    assert (found.values[shortly_before] >= SENSORS[story.sensor][2].limit(story.level).value).mean() > 0.5


def test_a_machine_under_repair_stands_still():
    story = STORIES["filler-1/vibration"]
    found = span("filler-1/motor-current", -HISTORY_DAYS, 0)
    starts_day, ends_day = story.stop
    stopped = (days_of(found) >= starts_day) & (days_of(found) < ends_day)

    assert stopped.sum() == 7 * 12
    assert found.values[stopped].max() < 2 < found.values[~stopped].min()


def test_weekends_are_quiet_and_load_drives_what_is_measured():
    current, heat = span("conveyor-3/motor-current", -90, 0), span("conveyor-3/gearbox-temperature", -90, 0)
    weekday = (current.ts_us // DAY_US + 3) % 7

    assert np.median(current.values[weekday == 6]) < 0.85 * np.median(current.values[weekday < 5])
    assert np.corrcoef(current.values[:-6], heat.values[6:])[0, 1] > 0.8


def test_the_local_clock_drives_the_load_on_both_sides_of_a_change():
    def hour_of_start(epoch: datetime) -> float:
        ts_us = instants(instant_us(epoch), instant_us(epoch) + 12 * HOUR_US, 60)
        values = readings("comp-1/power", ts_us).values
        return float(np.argmax(values > 93.8)) / 60

    assert hour_of_start(datetime(2026, 10, 23, tzinfo=UTC)) == pytest.approx(3.75, abs=0.45)
    assert hour_of_start(datetime(2026, 10, 26, tzinfo=UTC)) == pytest.approx(4.75, abs=0.45)


def test_the_stuck_sensor_holds_one_value():
    found = span("pump-12/flow", -HISTORY_DAYS, 1)
    stuck = days_of(found) >= -6

    assert len(np.unique(found.values[stuck])) == 1
    assert len(np.unique(found.values[~stuck])) > 40


def test_the_noisy_sensor_flags_part_of_its_readings():
    found = span("conveyor-6/motor-current", -HISTORY_DAYS, 0)

    assert 0.05 < (found.quality == 1).mean() < 0.3
    assert all(
        (span(key, -90, 0).quality == 0).all() for key in (FIRST_TO_CROSS, SECOND_TO_CROSS, LIVE_SENSOR)
    )


def test_the_live_disturbance_passes_the_high_limits_within_forty_seconds():
    ts_us = EPOCH_US + np.arange(0, 60, 3, dtype=np.int64) * 1_000_000
    found = readings(LIVE_SENSOR, ts_us, live_since_us=EPOCH_US)
    elapsed_s = (found.ts_us - EPOCH_US) / 1e6
    sensor = SENSORS[LIVE_SENSOR][2]

    assert found.values[elapsed_s <= 20].max() < sensor.limit("H").value
    assert found.values[elapsed_s >= 36].min() > sensor.limit("HH").value


@pytest.mark.parametrize("key", sorted(set(LIMITED) - {LIVE_SENSOR}))
def test_the_live_disturbance_takes_no_other_sensor_over_a_limit(key):
    ts_us = instants(EPOCH_US, EPOCH_US + HOUR_US // 2, 30)
    values = readings(key, ts_us, live_since_us=EPOCH_US).values

    for limit in SENSORS[key][2].limits:
        is_beyond = values >= limit.value if limit.level.startswith("H") else values <= limit.value
        assert not is_beyond.any()


def test_the_live_scenario_rises_holds_and_ends():
    assert live_scenario([0, 20, 27.5, 35, 600, 1235, 1385, 9999]).tolist() == [0, 0, 0.5, 1, 1, 1, 0.5, 0]


def test_wear_grows_by_e_and_ends_with_the_repair():
    wear = Growth(4.0, starts_day=-60, reaches_day=10, ends_day=20, tau_days=30)

    assert degradation(wear, [-61, -20, 10, 20]).tolist() == pytest.approx([0, 4 / np.e, 4, 0])


def test_fouling_grows_in_a_straight_line():
    fouling = Growth(1.0, starts_day=-10, reaches_day=10)

    assert degradation(fouling, [-11, -10, 0, 20]).tolist() == [0, 0, 0.5, 1.5]


def test_readings_stay_in_the_physical_range_however_long_the_demo_runs():
    zone, machine, sensor = SENSORS[FIRST_TO_CROSS]
    ts_us = np.array([EPOCH_US + 3000 * DAY_US], dtype=np.int64)

    assert readings(FIRST_TO_CROSS, ts_us).values.tolist() == [sensor.physical_max]
    narrow = replace(sensor, physical_min=49.0)
    low_us = np.array([EPOCH_US], dtype=np.int64)
    assert simulate(machine, narrow, low_us, zone=zone, epoch_us=EPOCH_US, seed=SEED).values.tolist() == [
        49.0
    ]
