"""The weighing of an anomaly: how what was found of alike ones moves the confidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.validation import Findings, Operator, Rule, calibrate, judge

COUNT = st.integers(0, 10_000)
SHARE = st.floats(0, 1)


@pytest.mark.parametrize(
    ("rule_sum", "found", "confidence"),
    [
        (0.8, Findings(), 0.8),
        (0.8, Findings(confirmed=0, false=10), 0.4),
        (0.8, Findings(confirmed=10, false=0), 0.9),
        (0.5, Findings(confirmed=30, false=60), 0.35),
    ],
)
def test_the_sum_of_the_rules_is_worth_ten_findings(rule_sum, found, confidence):
    assert calibrate(rule_sum, found) == confidence


@given(SHARE, COUNT, COUNT)
def test_a_calibrated_confidence_lies_between_the_sum_and_what_was_found(rule_sum, confirmed, false):
    confidence = calibrate(rule_sum, Findings(confirmed, false))
    found = confirmed / (confirmed + false) if confirmed + false else rule_sum
    assert min(rule_sum, found) - 1e-3 <= confidence <= max(rule_sum, found) + 1e-3


def test_the_judgement_tells_what_was_found_of_alike_ones_and_what_that_did():
    rules = [Rule("kind", Operator.IS, "limit", 0.3, "A limit was passed")]

    judged = judge(
        {"kind": "limit"},
        rules,
        confirmed_before=0,
        false_before=0,
        of_alike=lambda rule_sum: Findings(confirmed=2, false=8) if rule_sum == 0.8 else Findings(),
    )

    assert (judged.rule_sum, judged.confidence, judged.status) == (0.8, 0.5, "needs_a_look")
    assert judged.reasons[-1] == {"text": "Of 10 judged about so before, 2 proved right", "adjustment": -0.3}
