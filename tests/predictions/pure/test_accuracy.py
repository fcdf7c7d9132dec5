"""Scores against numbers worked out by hand, and what is not enough to say anything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.accuracy import (
    ENOUGH_IN_BIN,
    ENOUGH_LEAD_TIMES,
    ENOUGH_PATHS,
    ENOUGH_RESOLVED,
    Coverage,
    Tally,
    reliability,
    summarise_lead_times,
    wilson,
)

DAY_S = 86_400


def tally(foretold: list[float], failed: list[int], **counts: int) -> Tally:
    p, y = np.array(foretold), np.array(failed)
    return Tally(
        resolved=len(p),
        failed=int(y.sum()),
        probability=float(p.sum()),
        squared_error=float(((p - y) ** 2).sum()),
        **counts,
    )


def test_a_score_worked_out_by_hand():
    """Four failures of twenty: 16 x 0.1^2 + 4 x 0.3^2 = 0.52, over 20; base rate 0.2, its variance 0.16."""
    scored = tally([0.1] * 16 + [0.7] * 4, [0] * 16 + [1] * 4)
    assert scored.brier == pytest.approx(0.026)
    assert scored.base_rate == 0.2
    assert scored.mean_probability == pytest.approx(0.22)
    assert scored.brier_of_base_rate == pytest.approx(0.16)
    assert scored.skill == pytest.approx(1 - 0.026 / 0.16)


def test_the_base_rate_said_each_time_has_no_skill_and_worse_has_less():
    assert tally([0.25] * 20, [1] * 5 + [0] * 15).skill == pytest.approx(0)
    # 20 x 0.5^2 = 5, over 20 is 0.25, against 0.1875.
    assert tally([0.5] * 20, [1] * 5 + [0] * 15).skill == pytest.approx(-1 / 3)


def test_too_few_predictions_have_no_score():
    few = tally([0.0] * (ENOUGH_RESOLVED - 1), [1] + [0] * (ENOUGH_RESOLVED - 2))
    assert (few.brier, few.brier_of_base_rate, few.skill) == (None, None, None)
    assert (Tally().base_rate, Tally().mean_probability) == (None, None)


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_outcome_alone_has_a_score_and_no_skill(outcome):
    one_sided = tally([0.5] * 20, [outcome] * 20)
    assert (one_sided.brier, one_sided.skill) == (0.25, None)


def test_a_bin_says_what_was_foretold_and_what_happened():
    low, high = reliability(
        [tally([0.1] * 10, [1] + [0] * 9, stretches=10), tally([0.8] * (ENOUGH_IN_BIN - 1), [1] * 9)]
    )
    assert (low.low, low.high, high.low, high.high) == (0, 0.5, 0.5, 1)
    assert (low.count, low.foretold, low.observed) == (10, pytest.approx(0.1), 0.1)
    # Wilson's interval of 1 in 10 (Newcombe 1998).
    assert (low.observed_low, low.observed_high) == (
        pytest.approx(0.0179, abs=1e-4),
        pytest.approx(0.4042, abs=1e-4),
    )
    assert (high.count, high.foretold) == (9, pytest.approx(0.8))
    assert (high.observed, high.observed_low, high.observed_high) == (None, None, None)


def test_an_interval_counts_stretches_and_not_the_days_of_one_stretch():
    one, many = reliability(
        [tally([0.2] * 40, [1] * 10 + [0] * 30, stretches=stretches) for stretches in (4, 40)]
    )
    assert one.observed == many.observed == 0.25
    assert (one.observed_low, one.observed_high) == pytest.approx(wilson(0.25, 4))
    assert one.observed_high - one.observed_low > 2 * (many.observed_high - many.observed_low)


def test_wilsons_interval_at_the_ends():
    """Newcombe 1998: 0 of 20 and 29 of 29."""
    assert wilson(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))
    assert wilson(1, 29) == (pytest.approx(0.8830, abs=1e-4), 1.0)
    with pytest.raises(ValueError, match="at least one trial"):
        wilson(0.5, 0)


@given(share=st.floats(0, 1), trials=st.integers(1, 10_000))
def test_an_interval_holds_its_share(share, trials):
    low, high = wilson(share, trials)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_coverage_needs_paths_not_hours():
    assert Coverage(paths=ENOUGH_PATHS - 1, hours=5_000, inside_90=4_500).share_90 is None
    enough = Coverage(paths=ENOUGH_PATHS, hours=200, inside_90=170, inside_80=150)
    assert (enough.share_90, enough.share_80) == (0.85, 0.75)
    assert Coverage().share_80 is None


def test_lead_times_are_told_by_quartiles_and_classes():
    told = summarise_lead_times(np.array([0.5, 1, 7, 20, 40]) * DAY_S)
    assert (told.shortest, told.lower_quartile, told.median, told.upper_quartile, told.longest) == (
        0.5,
        1,
        7,
        20,
        40,
    )
    assert (told.count, told.histogram) == (5, (1, 1, 1, 1, 1))
    assert summarise_lead_times(np.ones(ENOUGH_LEAD_TIMES - 1)) is None
