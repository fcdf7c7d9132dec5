"""How probably a machine fails after a credible anomaly: from what people found after such anomalies. Pure.

A share of these anomalies is followed by a failure, and those that are, soon. The share has a Beta prior, and the time
until the failure is exponential with a mean that has a prior too; both are worth so many findings, and are stated here.
A forecast to a limit knows nothing of this: a shift of the level says that something has changed in the machine, far
from any limit.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from predictions.forecasting.result import DAYS_AHEAD, HORIZON_DAYS

MODEL_NAME = "findings_after_anomalies"
MODEL_VERSION = "1"
PRIOR_FINDINGS = 5
PRIOR_LEAD_DAYS = 3.0
# By the pattern of the anomaly, or its kind where it has none, and whether the machine's controller reported an error
# around it: reported, not reported though it reports errors, and where it is not known to report any.
PRIOR_SHARES = {
    "limit": {True: 0.25, False: 0.05, None: 0.1},
    "shift": {True: 0.6, False: 0.1, None: 0.3},
    "drift": {True: 0.6, False: 0.15, None: 0.3},
    "noise": {True: 0.4, False: 0.05, None: 0.15},
    "course": {True: 0.25, False: 0.05, None: 0.1},
    "spike": {True: 0.15, False: 0.02, None: 0.05},
    "stuck": {True: 0.05, False: 0.02, None: 0.02},
    "rate": {True: 0.05, False: 0.02, None: 0.02},
    # Of before patterns were told.
    "profile": {True: 0.6, False: 0.1, None: 0.3},
}


@dataclass(frozen=True)
class Followed:
    """What people found after anomalies of one kind: how many a failure followed, how many none.

    `lead_days` is the sum, over `timed` of the failures, of the days from the anomaly to the failure.
    """

    failed: int = 0
    not_failed: int = 0
    timed: int = 0
    lead_days: float = 0.0


@dataclass(frozen=True)
class AnomalyRisk:
    """`share` of such anomalies that a failure follows, after `mean_lead_days` on average; it began `elapsed_days` ago.

    `findings` is how many the share was learned from, beside the prior.
    """

    kind_in_words: str
    is_corroborated: bool | None
    share: float
    mean_lead_days: float
    elapsed_days: float
    findings: int

    def within(self, days: float) -> float:
        """P(failure) within so many days from now, as it has not failed until now."""
        alive = 1 - self.share * self._failed_by(self.elapsed_days)
        failing = self._failed_by(self.elapsed_days + days) - self._failed_by(self.elapsed_days)
        return self.share * failing / alive if alive > 0 else 0.0

    def probabilities(self) -> dict[int, float]:
        """P(failure) within 1, 7, 14, 30 and 90 days."""
        return {days: round(self.within(days), 6) for days in DAYS_AHEAD}

    def quantile(self, share: float) -> timedelta | None:
        """From now, the time by which it has failed with the probability `share`; None beyond the horizon."""
        alive = 1 - self.share * self._failed_by(self.elapsed_days)
        needed = self._failed_by(self.elapsed_days) + share * alive / self.share if self.share else math.inf
        if needed >= 1:
            return None
        days = -self.mean_lead_days * math.log(1 - needed) - self.elapsed_days
        return timedelta(days=days) if days <= HORIZON_DAYS else None

    def _failed_by(self, days: float) -> float:
        """The share of those that fail which has failed so many days after the anomaly began."""
        return 1 - math.exp(-days / self.mean_lead_days)


def risk_after_anomaly(
    *, kind: str, kind_in_words: str, is_corroborated: bool | None, followed: Followed, elapsed_days: float
) -> AnomalyRisk:
    """Mix the stated prior with what was found after anomalies of this kind, corroborated alike."""
    prior = PRIOR_SHARES[kind][is_corroborated]
    findings = followed.failed + followed.not_failed
    return AnomalyRisk(
        kind_in_words=kind_in_words,
        is_corroborated=is_corroborated,
        share=(PRIOR_FINDINGS * prior + followed.failed) / (PRIOR_FINDINGS + findings),
        mean_lead_days=(PRIOR_FINDINGS * PRIOR_LEAD_DAYS + followed.lead_days)
        / (PRIOR_FINDINGS + followed.timed),
        elapsed_days=max(0.0, elapsed_days),
        findings=findings,
    )


def explain_risk(risk: AnomalyRisk, *, days_told: int = 30) -> dict[str, Any]:
    """The risk in numbers, and in sentences that a manager can check."""
    around = {
        True: "with an error of the machine's controller around it",
        False: "without an error of the machine's controller around it",
        None: "of a machine whose controller reports no errors",
    }[risk.is_corroborated]
    source = (
        f"by {risk.findings} findings and a prior that counts as {PRIOR_FINDINGS}"
        if risk.findings
        else f"by a prior that counts as {PRIOR_FINDINGS} findings, as nothing was found here yet"
    )
    half = math.log(2) * risk.mean_lead_days
    return {
        "words": (
            f"After a credible anomaly ({risk.kind_in_words}) {around}, {risk.share:.0%} of machines fail, {source}; "
            f"half of these within {half:.1f} days. It began {risk.elapsed_days:.1f} days ago: the probability of a "
            f"failure within {days_told} days is {risk.within(days_told):.0%}."
        ),
        "share": round(risk.share, 6),
        "mean_lead_days": round(risk.mean_lead_days, 6),
        "elapsed_days": round(risk.elapsed_days, 6),
        "findings": risk.findings,
        "is_corroborated": risk.is_corroborated,
        "probabilities": {str(days): p for days, p in risk.probabilities().items()},
    }
