"""What a rule would have done: the anomalies of the past month, judged without it and with it. Writes nothing."""

from dataclasses import dataclass
from datetime import timedelta

from equipment.models import Verdict
from sensors.models import Anomaly, AnomalyStatus, ValidationRule
from sensors.services.facts import gather_facts
from sensors.services.judgement import judge_by
from sensors.services.rules import active_rules, as_rule
from sensors.services.senders import find_sender
from sensors.validation import FactValue, Judgement, holds
from smartmaint import clock

TRIED_OVER = timedelta(days=30)
# A page that somebody waits for.
MOST_TRIED = 300


@dataclass(frozen=True)
class Tried:
    """One anomaly, judged without the rule and with it, at the moment it was judged; what people found, if they did."""

    anomaly: Anomaly
    applies: bool
    without: Judgement
    with_it: Judgement
    verdict: Verdict | None

    @property
    def labels(self) -> tuple[str, str]:
        """Both statuses in words."""
        return AnomalyStatus(self.without.status).label.lower(), AnomalyStatus(
            self.with_it.status
        ).label.lower()

    @property
    def is_changed(self) -> bool:
        return self.without.status != self.with_it.status


@dataclass(frozen=True)
class Trial:
    """All that were tried, the newest first; `left_out` are those that were too many."""

    tried: list[Tried]
    left_out: int

    @property
    def applied(self) -> list[Tried]:
        return [one for one in self.tried if one.applies]

    def changes(self) -> dict[tuple[AnomalyStatus, AnomalyStatus], int]:
        """How many would have changed from which status to which."""
        counts: dict[tuple[AnomalyStatus, AnomalyStatus], int] = {}
        for one in self.tried:
            if one.is_changed:
                change = AnomalyStatus(one.without.status), AnomalyStatus(one.with_it.status)
                counts[change] = counts.get(change, 0) + 1
        return counts


def try_rule(rule: ValidationRule) -> Trial:
    """Judge the organisation's anomalies of the last 30 days with `rule` as it stands, saved or not, active or not.

    The other rules are those of today. Raises ValueError for a value that does not fit the rule's fact.
    """
    others, own = active_rules(rule.organization_id, without=rule), as_rule(rule)
    judged = (
        Anomaly.objects.filter(
            organization_id=rule.organization_id,
            validated_at__isnull=False,
            detected_at__gt=clock.now() - TRIED_OVER,
        )
        .select_related("sensor__equipment", "finding", "limit")
        .prefetch_related("sensor__baselines")
        .order_by("-detected_at", "-pk")
    )
    tried = []
    for anomaly in judged[:MOST_TRIED]:
        # A person's word came later than the rules' judgement; what could be known then is nearest to detection.
        judged_at = anomaly.detected_at if anomaly.settled_by_id else anomaly.validated_at
        with clock.frozen(judged_at):
            facts = _facts_of_then(anomaly)
            tried.append(
                Tried(
                    anomaly=anomaly,
                    applies=holds(own, facts),
                    without=judge_by(anomaly, others, facts=facts),
                    with_it=judge_by(anomaly, [*others, own], facts=facts),
                    verdict=Verdict(anomaly.finding.verdict) if hasattr(anomaly, "finding") else None,
                )
            )
    return Trial(tried=tried, left_out=max(0, judged.count() - len(tried)))


def _facts_of_then(anomaly: Anomaly) -> dict[str, FactValue]:
    """What was known at that moment: the state of the machine is that of its history."""
    sender = find_sender(anomaly) if anomaly.kind == Anomaly.Kind.NO_DATA else None
    facts = gather_facts(anomaly, sender=sender)
    machine = anomaly.sensor.equipment
    before = machine.history.filter(history_date__lte=clock.now()).first()
    return facts | {"equipment_state": before.state if before else machine.state}
