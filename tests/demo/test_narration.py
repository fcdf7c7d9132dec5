"""The story in words, of whatever the API may know."""

from typing import Any

import pytest

from smartmaint.demo.narration import Narrator


class Known:
    """What a gateway is told of predictions, and of nothing else."""

    def __init__(self, **changes: Any) -> None:
        usual = {
            "id": 7,
            "sensor": "fan-4/vibration",
            "trigger": "anomaly",
            "status": "made",
            "limit_value": 7.1,
            "is_already_beyond": False,
            "p_30d": 0.8,
        }
        self.prediction = usual | changes

    def newest(self, what: str, *, count: int) -> list[dict[str, Any]]:
        return [self.prediction] if what == "predictions" else []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "prediction 7: fan-4/vibration passes 7.1 mm/s within 30 days with P = 80%"),
        (
            {"is_already_beyond": True},
            "prediction 7: fan-4/vibration is beyond 7.1 mm/s already: P(failure) 100 %",
        ),
        (
            {"limit_value": None, "sensor": "fan-4/events/overloads", "p_30d": 0.25},
            "prediction 7: fan-4/events/overloads: P(failure) within 30 days = 25%, by what followed such anomalies",
        ),
        (
            {"status": "not_possible", "not_possible_because": "Too few readings."},
            "prediction 7: fan-4/vibration: not possible. Too few readings.",
        ),
    ],
)
def test_a_prediction_in_words(changes, words):
    narrator = Narrator(Known(**changes), units={"fan-4/vibration": "mm/s"})
    assert list(narrator.news()) == [words]
    assert list(narrator.news()) == []
