import numpy as np
import pytest

from sensors.detection.detector import DetectorSettings, DetectorState, detect
from sensors.detection.limits import LimitSpec

MINUTE_US = 60_000_000
ONLY_LIMITS = DetectorSettings(profile=None)
HIGH = LimitSpec("H", 10.0, dead_band=1.0)
HIGH_HIGH = LimitSpec("HH", 20.0, dead_band=1.0)


def follow(values, *limits, state=None, start=0, quality=0):
    """One reading a minute; the excursions' snapshots."""
    ts_us = (start + np.arange(len(values))) * MINUTE_US
    return detect(
        state, ts_us, np.array(values, float), np.full(len(values), quality, np.int8), limits, ONLY_LIMITS
    )


def minutes(excursion):
    ended = None if excursion.ended_us is None else excursion.ended_us // MINUTE_US
    return excursion.started_us // MINUTE_US, excursion.peak_us // MINUTE_US, ended


def test_an_excursion_starts_at_the_limit_and_ends_inside_the_dead_band():
    _, (excursion,) = follow([9.9, 10.0, 12.0, 9.5, 9.0, 8.9, 8.0], HIGH)
    assert (excursion.kind, excursion.direction, excursion.level) == ("limit", "high", "H")
    assert minutes(excursion) == (1, 2, 5)
    assert (excursion.peak_value, excursion.expected) == (12.0, 10.0)


def test_escalation_is_one_excursion_with_the_outermost_level():
    _, (excursion,) = follow([5, 11, 21, 30, 15, 5], HIGH, HIGH_HIGH)
    assert (excursion.level, excursion.expected, excursion.peak_value) == ("HH", 20.0, 30.0)
    assert minutes(excursion) == (1, 3, 5)


def test_an_escalation_raises_the_score():
    state, (first,) = follow([11], HIGH, HIGH_HIGH)
    _, (second,) = follow([21], HIGH, HIGH_HIGH, state=state, start=1)
    assert 0.7 <= first.score < 0.8 < 0.9 <= second.score <= 1.0
    assert first.excursion_id == second.excursion_id == 1


def test_low_limits_mirror_high_ones():
    limits = LimitSpec("L", -10.0, dead_band=1.0), LimitSpec("LL", -20.0)
    _, (excursion,) = follow([0, -10, -25, -9.5, -8], *limits)
    assert (excursion.direction, excursion.level, excursion.peak_value) == ("low", "LL", -25.0)
    assert minutes(excursion) == (1, 2, 4)


def test_an_on_delay_must_pass_and_the_excursion_then_began_at_its_start():
    slow = LimitSpec("H", 10.0, on_delay=180.0)
    _, excursions = follow([11, 11, 11, 9, 11, 15, 11, 11, 9], slow)
    (excursion,) = excursions
    assert minutes(excursion) == (4, 5, 8)
    assert excursion.noticed_us == 7 * MINUTE_US


def test_an_on_delay_runs_on_through_a_gap():
    slow = LimitSpec("H", 10.0, on_delay=3600.0)
    state, none_yet = follow([11], slow)
    assert none_yet == []
    _, (excursion,) = follow([11], slow, state=state, start=7 * 24 * 60)
    assert minutes(excursion)[0] == 0


def test_high_and_low_are_two_excursions_numbered_in_the_order_noticed():
    _, excursions = follow([0, -11, 0, 11, 0, -12], HIGH, LimitSpec("L", -10.0))
    assert [(one.excursion_id, one.direction, one.peak_value) for one in excursions] == [
        (1, "low", -11.0),
        (2, "high", 11.0),
        (3, "low", -12.0),
    ]


def test_an_open_excursion_goes_on_in_the_next_block_through_bytes():
    state, (opened,) = follow([5, 11], HIGH)
    assert opened.ended_us is None
    state = DetectorState.from_bytes(state.to_bytes())
    state, (moved,) = follow([12], HIGH, state=state, start=2)
    _, (ended,) = follow([5], HIGH, state=state, start=3)
    assert [one.excursion_id for one in (opened, moved, ended)] == [1, 1, 1]
    assert minutes(ended) == (1, 2, 3)


def test_a_snapshot_does_not_change_afterwards():
    state, (opened,) = follow([11], HIGH)
    follow([15, 5], HIGH, state=state, start=1)
    assert (opened.peak_value, opened.ended_us) == (11.0, None)


@pytest.mark.parametrize("limits", [(), (HIGH_HIGH,)])
def test_taking_the_limit_away_ends_its_excursion(limits):
    state, _ = follow([11], HIGH, HIGH_HIGH)
    _, (excursion,) = follow([11], *limits, state=state, start=1)
    assert minutes(excursion) == (0, 0, 1)


def test_bad_readings_and_nan_are_passed_over():
    assert follow([11, 12], HIGH, quality=2)[1] == []
    assert follow([np.nan, np.inf], HIGH)[1] == []
    assert len(follow([11], HIGH, quality=1)[1]) == 1


def test_late_readings_are_ignored():
    state, _ = follow([5], HIGH, start=10)
    state, excursions = follow([11, 11], HIGH, state=state, start=9)
    assert excursions == []
    assert len(follow([11], HIGH, state=state, start=11)[1]) == 1


def test_without_limits_or_readings_nothing_happens():
    assert follow([1e9])[1] == []
    assert follow([], HIGH)[1] == []
