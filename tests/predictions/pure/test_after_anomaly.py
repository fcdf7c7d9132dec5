"""The risk after a credible anomaly: the stated prior, what was found, and the time that has passed since."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.forecasting.after_anomaly import (
    PRIOR_SHARES,
    AnomalyRisk,
    Followed,
    explain_risk,
    risk_after_anomaly,
)
from sensors.models import Pattern

SHARE = st.floats(0, 1)
DAYS = st.floats(0, 90)


def risk(**more) -> AnomalyRisk:
    usual = {"kind": "profile", "kind_in_words": "unlike its own past", "is_corroborated": None}
    return risk_after_anomaly(**usual | {"followed": Followed(), "elapsed_days": 0.0} | more)


def made_of(share: float, lead: float, elapsed: float) -> AnomalyRisk:
    return AnomalyRisk("x", None, share=share, mean_lead_days=lead, elapsed_days=elapsed, findings=0)


def test_without_findings_it_is_the_prior():
    assert (risk().share, risk().mean_lead_days) == (0.3, 3.0)
    assert risk(is_corroborated=True).share == 0.6
    assert risk(is_corroborated=False).share == 0.1


def test_findings_move_it_from_there():
    found = risk(followed=Followed(failed=3, not_failed=12, timed=2, lead_days=3.0))
    assert found.share == (5 * 0.3 + 3) / 20
    assert found.mean_lead_days == (5 * 3.0 + 3.0) / 7


def test_half_of_those_that_fail_do_so_within_the_half_time():
    one = made_of(0.6, 3.0, 0.0)
    assert one.within(3.0 * 0.693147) == pytest.approx(0.3, abs=1e-6)
    assert one.within(1_000) == pytest.approx(0.6)


def test_what_has_not_failed_for_long_will_probably_not():
    fresh, old = made_of(0.6, 3.0, 0.0), made_of(0.6, 3.0, 20.0)
    assert old.within(30) < 0.01 < fresh.within(30)


@given(SHARE, st.floats(0.1, 30), DAYS)
def test_probabilities_never_fall_and_stay_below_the_share(share, lead, elapsed):
    told = list(made_of(share, lead, elapsed).probabilities().values())
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= share + 1e-6


@given(st.floats(0.15, 1), st.floats(0.1, 10), st.floats(0, 5))
def test_the_quantile_is_where_the_probability_is_reached(share, lead, elapsed):
    one = made_of(share, lead, elapsed)
    ahead = one.quantile(0.1)
    if ahead is None:
        assert one.within(90) <= 0.1 + 1e-9
    else:
        assert one.within(ahead / timedelta(days=1)) == pytest.approx(0.1, abs=1e-6)


def test_a_share_that_is_never_reached_has_no_quantile():
    assert made_of(0.3, 3.0, 0.0).quantile(0.5) is None
    assert made_of(0.0, 3.0, 0.0).quantile(0.1) is None


def test_it_is_explained_in_numbers_that_can_be_checked():
    told = explain_risk(risk(is_corroborated=True, followed=Followed(failed=5, timed=5, lead_days=5.0)))

    assert told["words"] == (
        "After a credible anomaly (unlike its own past) with an error of the machine's controller around it, 80% of "
        "machines fail, by 5 findings and a prior that counts as 5; half of these within 1.4 days. It began 0.0 days "
        "ago: the probability of a failure within 30 days is 80%."
    )
    assert told["probabilities"]["30"] == pytest.approx(0.8)


def test_every_kind_that_asks_for_a_prediction_has_a_prior():
    assert set(PRIOR_SHARES) == {"limit", "profile", *Pattern.values}
    assert all(set(of_kind) == {True, False, None} for of_kind in PRIOR_SHARES.values())
