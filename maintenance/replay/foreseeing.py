"""Each failure of a replay: how long before it a task was proposed, or how far what was seen of it came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q

from maintenance.models import Decision, Proposal
from maintenance.replay.past import Past
from maintenance.replay.plant import ReplayPlant
from maintenance.replay.scoring import GRACE_H, HORIZON_H, HOUR_US, LEADS_H, WARM_UP_H, Moment
from sensors.models import Anomaly, AnomalyStatus
from sensors.storage import moment
from sensors.wording import state_in_words

HORIZON = timedelta(hours=HORIZON_H)


class Outcome(StrEnum):
    CAUGHT = "caught"
    LATE = "late"
    MISSED = "missed"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Foreseen:
    """One failure of one machine: `modes` at `at_us`, in microseconds since 1970; `why` is a sentence for people.

    `lead_h` is by how many hours the first task in time came before it; None where none did.
    """

    machine: str
    at_us: int
    modes: tuple[str, ...]
    outcome: Outcome
    lead_h: float | None
    why: str


def tell_failures(past: Past, plant: ReplayPlant, tasks: Sequence[tuple[str, Moment]]) -> list[Foreseen]:
    """What became of each failure, from what the replay left in its organisation; `tasks` by number."""
    modes: dict[Moment, set[str]] = {}
    for failure in past.failures:
        modes.setdefault((failure.machine, failure.at_us), set()).add(failure.what)
    ready_us = past.begins_us + WARM_UP_H * HOUR_US
    return [
        _tell((machine, at_us), modes, plant, tasks, ready_us)
        for machine, at_us in sorted(modes)
        if at_us <= past.ends_us
    ]


def _tell(
    failure: Moment,
    modes: Mapping[Moment, set[str]],
    plant: ReplayPlant,
    tasks: Sequence[tuple[str, Moment]],
    ready_us: int,
) -> Foreseen:
    machine, at_us = failure

    def told(outcome: Outcome, why: str, lead_h: float | None = None) -> Foreseen:
        return Foreseen(machine, at_us, tuple(sorted(modes[failure])), outcome, lead_h, why)

    if at_us < ready_us + GRACE_H * HOUR_US:
        return told(Outcome.LEFT_OUT, "Too early: nothing was known of the machine yet.")
    leads = {
        number: (at_us - task_us) / HOUR_US
        for number, (of, task_us) in tasks
        if of == machine and ready_us <= task_us <= at_us
    }
    in_time = {number: lead_h for number, lead_h in leads.items() if lead_h <= HORIZON_H}
    if in_time:
        number, lead_h = max(in_time.items(), key=lambda task: task[1])
        if lead_h >= min(LEADS_H):
            return told(Outcome.CAUGHT, f"{number} was proposed {lead_h:.0f} h before.", lead_h)
        return told(Outcome.LATE, f"{number} was proposed {lead_h * 60:.0f} min before.", lead_h)
    # One that was open still when the machine failed before this foresaw that failure.
    since_us = max((us for of, us in modes if of == machine and us < at_us), default=ready_us)
    early = {number: lead_h for number, lead_h in leads.items() if lead_h < (at_us - since_us) / HOUR_US}
    if early:
        number, lead_h = min(early.items(), key=lambda task: task[1])
        if lead_h <= 2 * HORIZON_H:
            return told(Outcome.MISSED, f"{number} was proposed {lead_h:.0f} h before, too early to count.")
    return told(Outcome.MISSED, _why_missed(plant, machine, moment(at_us)))


def _why_missed(plant: ReplayPlant, machine: str, failed_at: datetime) -> str:
    """How far the most promising of what was seen came, in the hours in which a task would have counted."""
    since = failed_at - HORIZON
    seen = list(
        Anomaly.objects.filter(
            Q(ended_at=None) | Q(ended_at__gt=since),
            sensor__equipment=plant.machines[machine],
            detected_at__lte=failed_at,
        )
        .exclude(kind=Anomaly.Kind.NO_DATA)
        .select_related("sensor", "limit")
        .order_by("detected_at", "pk")
    )
    decided = list(_decided(plant, machine, since, failed_at))
    after_anomalies = [one for one in decided if one.prediction.anomaly is not None]
    if (proposal := _best(after_anomalies)) is not None:
        sign = _sign(proposal.prediction.anomaly, failed_at)
        return f"{sign} It was believed, and came to no task: {proposal.reason}"
    if seen:
        best = max(seen, key=_how_far)
        return f"{_sign(best, failed_at)} {_judged(best)}"
    if (proposal := _best(decided)) is not None:
        return f"Nothing unusual was noticed, and the forecast came to no task: {proposal.reason}"
    return f"Nothing unusual was noticed in the {HORIZON_H} h before."


def _decided(plant: ReplayPlant, machine: str, since: datetime, failed_at: datetime) -> Iterable[Proposal]:
    return Proposal.objects.filter(
        prediction__sensor__equipment=plant.machines[machine],
        decided_at__gt=since,
        decided_at__lte=failed_at,
    ).select_related("prediction__anomaly__sensor", "prediction__anomaly__limit")


def _best(proposals: Iterable[Proposal]) -> Proposal | None:
    """What was kept from being a task by something else than its risk; else the highest risk."""
    return max(
        proposals,
        key=lambda one: (
            one.decision != Decision.LOW_RISK,
            one.prediction.p_30d,
            -one.pk,
        ),
        default=None,
    )


def _how_far(anomaly: Anomaly) -> tuple[int, float]:
    order = [AnomalyStatus.SUSPECTED_FALSE, AnomalyStatus.NEEDS_A_LOOK, AnomalyStatus.CREDIBLE]
    status = AnomalyStatus(anomaly.status)
    return order.index(status) if status in order else -1, anomaly.confidence or 0.0


def _sign(anomaly: Anomaly, failed_at: datetime) -> str:
    """What was seen, and when: "Pressure unusually high, a spike, 31 h before."."""
    hours = (failed_at - anomaly.started_at) / timedelta(hours=1)
    sign = f"{anomaly.sensor.quantity} {state_in_words(anomaly).removeprefix('is ')}, {hours:.0f} h before."
    return sign[0].upper() + sign[1:]


def _judged(anomaly: Anomaly) -> str:
    match anomaly.status:
        case AnomalyStatus.CREDIBLE:
            return "It was believed, and nothing was forecast from it in time."
        case AnomalyStatus.NEEDS_A_LOOK:
            judged = "It was left to a person to judge"
        case AnomalyStatus.SUSPECTED_FALSE:
            judged = "It was held for false"
        case _:
            return "It was not judged in time."
    doubts = [reason["text"] for reason in anomaly.reasons if (reason.get("adjustment") or 0) < 0]
    return f"{judged}: {'; '.join([f'confidence {anomaly.confidence:.2f}', *doubts])}."
