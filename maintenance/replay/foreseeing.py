"""Each failure of a replay: how long before it a task was proposed, or how far what was seen of it came."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
class Proposed:
    """A task that was proposed, and until when it was open (None: still), in microseconds since 1970."""

    number: str
    machine: str
    created_us: int
    closed_us: int | None = None


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


def tell_failures(past: Past, plant: ReplayPlant, tasks: Sequence[Proposed]) -> list[Foreseen]:
    """What became of each failure while readings came, from what the replay left in its organisation."""
    modes: dict[Moment, set[str]] = defaultdict(set)
    for failure in past.failures:
        if past.begins_us <= failure.at_us <= past.ends_us:
            modes[failure.machine, failure.at_us].add(failure.what)
    told: list[Foreseen] = []
    last_of: dict[str, int] = {}
    for machine, at_us in sorted(modes):
        own = [task for task in tasks if task.machine == machine and task.created_us <= at_us]
        since_us = last_of.get(machine, past.begins_us)
        outcome, lead_h, why = _tell(own, (machine, at_us), since_us, past.begins_us, plant)
        told.append(Foreseen(machine, at_us, tuple(sorted(modes[machine, at_us])), outcome, lead_h, why))
        last_of[machine] = at_us
    return told


def _tell(
    own: Sequence[Proposed], failure: Moment, since_us: int, begins_us: int, plant: ReplayPlant
) -> tuple[Outcome, float | None, str]:
    """Of a failure, by the tasks that were proposed for its machine; counted as `scoring` does.

    A task that came to nothing is told only if it was proposed `since_us`, when the machine failed before.
    """
    machine, at_us = failure
    ready_us = begins_us + WARM_UP_H * HOUR_US
    if at_us < ready_us + GRACE_H * HOUR_US:
        return Outcome.LEFT_OUT, None, "Too early: nothing was known of the machine yet."
    leads_h = {task: (at_us - task.created_us) / HOUR_US for task in own}
    in_time = [task for task in own if leads_h[task] <= HORIZON_H and task.created_us >= ready_us]
    if in_time:
        first = max(in_time, key=lambda task: leads_h[task])
        lead_h = leads_h[first]
        if lead_h >= min(LEADS_H):
            return Outcome.CAUGHT, lead_h, f"{first.number} was proposed {lead_h:.0f} h before."
        return Outcome.LATE, lead_h, f"{first.number} was proposed {lead_h * 60:.0f} min before."
    if since := [task for task in own if task.created_us > since_us]:
        last = min(since, key=lambda task: leads_h[task])
        is_open = last.closed_us is None or last.closed_us >= at_us
        if is_open or leads_h[last] <= 2 * HORIZON_H:
            when = "in the first week" if last.created_us < ready_us else f"{leads_h[last]:.0f} h before"
            return Outcome.MISSED, None, f"{last.number} was proposed {when}, too early to count."
    return Outcome.MISSED, None, _why_missed(plant, machine, moment(at_us))


def _why_missed(plant: ReplayPlant, machine: str, failed_at: datetime) -> str:
    """How far the most promising of what was seen came, in the hours in which a task would have counted."""
    since, of_machine = failed_at - HORIZON, plant.machines[machine]
    seen = list(
        Anomaly.objects.filter(
            Q(ended_at=None) | Q(ended_at__gt=since), sensor__equipment=of_machine, detected_at__lte=failed_at
        )
        .exclude(kind=Anomaly.Kind.NO_DATA)
        .select_related("sensor", "limit")
        .order_by("detected_at", "pk")
    )
    refused = (
        Proposal.objects.filter(
            prediction__sensor__equipment=of_machine, decided_at__lte=failed_at, task=None
        )
        .select_related("prediction__anomaly__sensor", "prediction__anomaly__limit")
        .order_by("pk")
    )
    if (proposal := _best(refused.filter(prediction__anomaly__in=seen))) is not None:
        sign = _sign(proposal.prediction.anomaly, failed_at)
        return f"{sign} It was believed, and came to no task: {proposal.reason}"
    if seen:
        best = max(seen, key=_how_far)
        return f"{_sign(best, failed_at)} {_judged(best)}"
    if (proposal := _best(refused.filter(decided_at__gt=since, prediction__anomaly=None))) is not None:
        return f"Nothing unusual was noticed, and the forecast came to no task: {proposal.reason}"
    return f"Nothing unusual was noticed in the {HORIZON_H} h before."


def _best(proposals: Iterable[Proposal]) -> Proposal | None:
    """What was kept from being a task by something else than its risk; else the highest risk."""
    return max(
        proposals, key=lambda one: (one.decision != Decision.LOW_RISK, one.prediction.p_30d), default=None
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
