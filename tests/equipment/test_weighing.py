"""How health is weighed: pure numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipment.weighing import Whole, level_of, remaining, weigh

WEIGHTS = {"condition": 40, "alarms": 20, "forecast": 25, "maintenance": 15}


def test_the_whole_is_the_weighed_mean():
    parts = {"condition": 40.0, "alarms": 65.0, "forecast": 20.0, "maintenance": 100.0}
    assert weigh(parts, WEIGHTS) == Whole(pytest.approx(49.0), 1.0)


def test_a_part_with_nothing_to_say_is_left_out_and_its_share_is_told():
    whole = weigh({"condition": 40.0, "alarms": 100.0, "forecast": None, "maintenance": 100.0}, WEIGHTS)
    assert whole == Whole(pytest.approx(68.0), pytest.approx(0.75))


def test_less_than_half_of_the_weights_is_not_enough():
    assert weigh({"condition": None, "maintenance": 100.0}, WEIGHTS) == Whole(None, pytest.approx(0.15))
    assert weigh({}, WEIGHTS) == Whole(None, 0.0)
    assert (
        weigh({"condition": 50.0, "alarms": 50.0}, {"condition": 1, "alarms": 1, "forecast": 2}).score == 50
    )


def test_a_part_without_a_weight_does_not_count():
    assert weigh({"condition": 0.0, "alarms": 90.0}, {"condition": 0, "alarms": 1}) == Whole(90.0, 1.0)
    assert weigh({"condition": 0.0}, {"condition": 0}) == Whole(None, 0.0)
    assert weigh({"unheard of": 0.0, "alarms": 90.0}, {"alarms": 1}) == Whole(90.0, 1.0)


scores = st.floats(0, 100)


@given(
    st.dictionaries(st.sampled_from(list(WEIGHTS)), st.none() | scores),
    st.fixed_dictionaries({part: st.integers(0, 100) for part in WEIGHTS}),
)
def test_the_whole_lies_between_its_worst_and_its_best_part(parts, weights):
    whole = weigh(parts, weights)
    spoken = [score for part, score in parts.items() if score is not None and weights[part]]
    assert 0 <= whole.told_share <= 1
    if whole.score is not None:
        assert min(spoken) - 1e-9 <= whole.score <= max(spoken) + 1e-9


def test_penalties_take_their_share_of_what_others_left():
    assert remaining([]) == 100
    assert remaining([0.5, 0.5]) == 25
    assert remaining([0.6, 0.3, 1.0]) == 0


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (None, "unknown"),
        (0, "critical"),
        (49.9, "critical"),
        (50, "high"),
        (70, "medium"),
        (85, "good"),
        (100, "good"),
    ],
)
def test_levels(score, level):
    assert level_of(score) == level
