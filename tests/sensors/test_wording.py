import pytest

from sensors.models import Anomaly
from sensors.wording import excursion_in_words, pattern_in_words


@pytest.mark.parametrize(
    ("kind", "pattern", "direction", "words"),
    [
        ("limit", "", "low", "beyond a limit, too low"),
        ("profile", "", "high", "unlike its own past, too high"),
        ("profile", "spike", "high", "unlike its own past: unusually high, a spike"),
        ("profile", "shift", "low", "unlike its own past: unusually low, a new level"),
        ("profile", "drift", "high", "unlike its own past: unusually high, a slow drift"),
        ("profile", "course", "low", "unlike its own past: unusually low for this hour"),
        ("profile", "noise", "high", "unlike its own past: unusually restless"),
        ("profile", "noise", "low", "unlike its own past: unusually calm"),
        ("profile", "stuck", "high", "unlike its own past: always at the same value"),
        ("profile", "rate", "high", "unlike its own past: moving up faster than it can"),
        ("profile", "rate", "low", "unlike its own past: moving down faster than it can"),
    ],
)
def test_an_excursion_says_what_it_looks_like(kind, pattern, direction, words):
    assert excursion_in_words(Anomaly(kind=kind, pattern=pattern, direction=direction)) == words


def test_without_a_pattern_only_the_direction_is_told():
    assert pattern_in_words(Anomaly(kind="limit", direction="low")) == "unusually low"
