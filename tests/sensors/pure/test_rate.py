"""What moves faster than people say it can: told at once, put aside, and believed again when it holds."""

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensors.detection.detector import Block, DetectorState, detect, detect_many
from sensors.detection.limits import LimitSpec
from tests.sensors.pure.test_detector import DAY, START_US, STEP_US, latest, plant_sensor, watch

MINUTE_US = 60_000_000
WEEK_US = 7 * 86_400_000_000
GOOD, UNCERTAIN, BAD = 0, 1, 2


def follow(values, *, max_change=1.0, step_us=STEP_US, ts_us=None, quality=None, state=None):
    """Five-minute readings of a sensor that may change by one a minute; the state, and the excursions."""
    values = np.asarray(values, np.float64)
    ts_us = START_US + np.arange(len(values)) * step_us if ts_us is None else np.asarray(ts_us)
    quality = np.zeros(len(values), np.int8) if quality is None else np.asarray(quality, np.int8)
    state, excursions = detect(state, ts_us, values, quality, max_change=max_change)
    return state, excursions


def spans(excursions, *, step_us=STEP_US):
    """Each one's direction, and the numbers of the readings at which it began and ended."""
    return [
        (
            one.direction,
            (one.started_us - START_US) // step_us,
            one.ended_us and (one.ended_us - START_US) // step_us,
        )
        for one in excursions
    ]


def test_a_jump_is_told_at_its_first_reading_without_any_warm_up():
    _, (excursion,) = follow([20, 20, 80])
    assert (excursion.kind, excursion.pattern, excursion.direction) == ("profile", "rate", "high")
    assert excursion.started_us == excursion.noticed_us == excursion.peak_us == START_US + 2 * STEP_US
    assert (excursion.peak_value, excursion.expected) == (80.0, 25.0)  # five minutes at one a minute
    assert excursion.score == 1 - 0.5**12
    assert excursion.ended_us is None


def test_what_is_as_fast_as_it_can_be_is_believed():
    assert follow([20, 25, 30, 25, 20])[1] == []
    assert spans(follow([20, 25.01])[1]) == [("high", 1, None)]


def test_a_new_level_is_believed_at_the_third_reading_that_holds():
    assert spans(follow([20, 80, 82, 79, 80])[1]) == [("high", 1, 3)]


def test_a_reading_that_came_and_went_is_one_excursion():
    assert spans(follow([20, 20, 80, 20, 21, 20, 20])[1]) == [("high", 2, 5)]


def test_a_value_that_jumps_about_is_one_excursion_with_its_greatest_change_at_the_peak():
    _, (excursion,) = follow([20, 80, 10, 95, 20, 90, 20, 21, 20])
    assert spans([excursion]) == [("high", 1, 8)]
    assert (excursion.peak_value, excursion.expected) == (95.0, 15.0)


def test_a_gap_allows_what_it_has_time_for():
    apart = START_US + np.array([0, STEP_US, WEEK_US])
    assert follow([20, 20, 9_000], ts_us=apart)[1] == []
    _, (excursion,) = follow([20, 20, 20_000], ts_us=apart)
    assert excursion.expected == pytest.approx(20 + 7 * 1440 - 5)


def test_the_noise_of_a_sensor_that_sends_each_second_is_no_change():
    values = 20 + 0.4 * (-1.0) ** np.arange(600)  # 48 a minute from one reading to the next
    assert follow(values, step_us=1_000_000)[1] == []


def test_a_steep_way_in_small_steps_is_seen_within_a_minute_and_ends_a_minute_after_it_stops():
    values = np.concatenate([np.full(120, 20.0), 20 + np.arange(120) / 10, np.full(300, 31.9)])
    _, (excursion,) = follow(values, step_us=1_000_000)  # six a minute for two minutes
    ((_, began, ended),) = spans([excursion], step_us=1_000_000)
    assert 120 < began < 180
    assert 240 + 60 <= ended <= 240 + 120


def test_an_uncertain_reading_counts_half():
    quality = [GOOD, UNCERTAIN, GOOD, GOOD, GOOD]
    assert follow([20, 29, 20, 20, 20], quality=quality)[1] == []
    assert spans(follow([20, 31, 20, 20, 20], quality=quality)[1]) == [("high", 1, 4)]
    assert spans(follow([20, 29, 20, 20, 20])[1]) == [("high", 1, 4)]


def test_a_bad_reading_counts_for_nothing():
    assert follow([20, 500, 20, 20], quality=[GOOD, BAD, GOOD, GOOD])[1] == []
    assert spans(follow([20, 80, np.nan, 80, 500, 80], quality=[0, 0, BAD, 0, BAD, 0])[1]) == [("high", 1, 5)]


def test_readings_of_an_earlier_time_are_not_looked_at():
    ts_us = START_US + np.arange(8) * STEP_US
    state, _ = follow([20, 20, 20, 20], ts_us=ts_us[:4])
    before = state.to_bytes()
    state, excursions = follow([300, 5], ts_us=ts_us[:2] - 3_600_000_000, state=state)
    assert (state.to_bytes(), excursions) == (before, [])
    assert spans(follow([80], ts_us=ts_us[4:5], state=state)[1]) == [("high", 4, None)]


def test_after_a_week_of_jumping_about_a_reading_is_believed_and_it_is_told_again():
    values = np.where(np.arange(9 * DAY) % 2, 80.0, 20.0)
    excursions = follow(values)[1]
    assert spans(excursions) == [("high", 1, 7 * DAY + 1), ("low", 7 * DAY + 2, None)]


@pytest.mark.parametrize(("later", "expected"), [(20.0, []), (None, [])])
def test_the_next_reading_uses_a_setting_that_was_widened_or_taken_away(later, expected):
    state, _ = follow([20, 20])
    after = START_US + np.arange(2, 4) * STEP_US
    assert spans(follow([80, 80], ts_us=after, state=state, max_change=later)[1]) == expected


def test_the_next_reading_uses_a_setting_that_is_new():
    state, _ = follow([20, 20], max_change=None)
    assert spans(follow([80], ts_us=[START_US + 2 * STEP_US], state=state)[1]) == [("high", 2, None)]


def test_a_setting_that_is_taken_away_ends_what_is_open_at_the_next_reading():
    state, _ = follow([20, 20, 80])
    state, excursions = follow([10], ts_us=[START_US + 3 * STEP_US], state=state, max_change=None)
    assert spans(excursions) == [("high", 2, 3)]
    assert state.pace is msgspec.UNSET


def test_what_is_not_believed_is_not_learned_and_is_nothing_else():
    ts_us, values = plant_sensor(7, days=30, weekend=0.0)
    jumping = values.copy()
    jumping[20 * DAY : 20 * DAY + 40] = np.where(np.arange(40) % 2, 400.0, -300.0)
    state, excursions = watch(ts_us, jumping, max_change=2.0)
    assert [one.pattern for one in excursions] == ["rate"]
    kept = np.r_[0 : 20 * DAY, 20 * DAY + 42 : len(values)]  # the second reading after it is put aside too
    without, nothing = watch(ts_us[kept], values[kept])
    assert nothing == []
    assert state.learned == without.learned


def test_a_new_level_is_judged_by_what_was_learned_before():
    ts_us, values = plant_sensor(7, days=30, weekend=0.0)
    values[20 * DAY : 20 * DAY + 40] += 30.0
    _, excursions = watch(ts_us, values, max_change=2.0)
    assert [(one.pattern, one.direction) for one in excursions] == [
        ("rate", "high"),
        ("shift", "high"),
        ("rate", "low"),
    ]
    rate, shift, _ = excursions
    assert rate.ended_us <= shift.started_us


def test_the_limits_see_it_all_the_same():
    quality = np.zeros(3, np.int8)
    ts_us = START_US + np.arange(3) * STEP_US
    values = np.array([20.0, 20.0, 80.0])
    _, excursions = detect(None, ts_us, values, quality, [LimitSpec("H", 60.0)], max_change=1.0)
    assert [one.kind for one in excursions] == ["limit", "profile"]


def test_what_is_measured_while_the_machine_is_worked_on_is_not_looked_at():
    ts_us = START_US + np.arange(6) * STEP_US
    values = np.array([20.0, 20.0, 300.0, 0.0, 30.0, 31.0])
    is_apart = np.array([False, False, True, True, False, False])
    block = Block(np.zeros(6, np.int64), ts_us, values, np.zeros(6, np.int8), is_apart)
    found = detect_many([DetectorState.empty()], block, [()], max_changes=[1.0])
    assert found.excursions == [[]]
    assert found.scores.max() < 0.5


def test_the_score_of_a_reading_says_where_it_was_news():
    values = np.array([20.0, 20.0, 80.0, 10.0, 11.0, 12.0])
    block = Block(np.zeros(6, np.int64), START_US + np.arange(6) * STEP_US, values, np.zeros(6, np.int8))
    scores = detect_many([DetectorState.empty()], block, [()], max_changes=[1.0]).scores
    assert np.flatnonzero(scores >= 0.5).tolist() == [2]


def test_sensors_without_it_are_followed_as_if_there_were_none_to_the_byte():
    series = [plant_sensor(seed, days=12) for seed in range(3)]
    for place, (_, values) in enumerate(series):
        values[-100 + 10 * place : -80] += 15.0
    alone = [detect(None, *one, np.zeros(len(one[0]), np.int8)) for one in series]
    ts_us, values = (np.concatenate(column) for column in zip(*series, strict=True))
    sensors = np.repeat(np.arange(3), [len(one[0]) for one in series])
    block = Block(sensors, ts_us, values, np.zeros(len(ts_us), np.int8))
    for max_changes in ((), [None, None, None], [None, 1.0, None]):
        states = [DetectorState.empty() for _ in series]
        found = detect_many(states, block, [()] * 3, max_changes=max_changes)
        for place in (0, 2):
            assert states[place].to_bytes() == alone[place][0].to_bytes()
            assert found.excursions[place] == alone[place][1]
    assert b"pace" not in alone[0][0].to_bytes()
    assert b"pace" in states[1].to_bytes()


@settings(max_examples=50, deadline=None)
@given(
    readings=st.lists(
        st.tuples(
            st.sampled_from([1, 20, 59, 60, 300, 90_000]),
            st.sampled_from([20.0, 20.4, 23.0, 40.0, 90.0]),
            st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD]),
        ),
        min_size=1,
        max_size=60,
    ),
    cuts=st.lists(st.integers(0, 60), max_size=20),
)
@example(readings=[(1, 20.0, GOOD), (1, 20.4, GOOD)], cuts=[1])
def test_no_cut_changes_what_is_believed(readings, cuts):
    steps_s, values, quality = (np.array(column) for column in zip(*readings, strict=True))
    ts_us = START_US + np.cumsum(steps_s) * 1_000_000
    whole, expected = follow(values, ts_us=ts_us, quality=quality)
    state, found = DetectorState.empty(), []
    for part in np.split(np.arange(len(values)), sorted(cuts)):
        state = DetectorState.from_bytes(state.to_bytes())
        state, some = follow(values[part], ts_us=ts_us[part], quality=quality[part], state=state)
        found += some
    assert state.to_bytes() == whole.to_bytes()
    assert latest(found) == latest(expected)
