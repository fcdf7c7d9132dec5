"""Judgements that are looked at again because something was learned that speaks for or against them."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from sensors.models import Anomaly, AnomalyStatus
from sensors.validation import time_of_its_events
from smartmaint import clock
from smartmaint.queues import queue_now

# What is longer ago is past helping: events that come late, or from a file, ask for no prediction of today.
RECENT = timedelta(days=2)
UNDECIDED = (AnomalyStatus.NEEDS_A_LOOK, AnomalyStatus.SUSPECTED_FALSE)
# In the hands of a worker, who may have read the events before this one came. Who claims it later reads this one, and
# who claims it a third time has read others: so a controller that reports each second does not keep it waiting.
BEING_JUDGED = Q(
    status=AnomalyStatus.DETECTED, attempts__gt=0, attempts__lt=3, parked_at=None, due_at__isnull=False
)
# Without an event such an anomaly foretells less than with one.
WITHOUT_EVENT = Q(status=AnomalyStatus.CREDIBLE, is_corroborated=False)


def reopen_for_events(events: Iterable[tuple[int, datetime]]) -> int:
    """Have anomalies judged again that events (machine's id, moment) may corroborate; returns how many.

    These are the machine's recent ones that are not judged yet, not credible, or are so without an event, unless a
    person settled them. Runs in the transaction that stored the events.
    """
    moments: dict[int, list[datetime]] = defaultdict(list)
    for equipment_id, at in events:
        moments[equipment_id].append(at)
    # Locked in detection's order, or the two could wait for each other.
    undecided = (
        Anomaly.objects.filter(
            BEING_JUDGED | Q(status__in=UNDECIDED) | WITHOUT_EVENT,
            sensor__equipment__in=moments,
            detected_at__gte=clock.now() - RECENT,
            settled_by=None,
        )
        .exclude(kind=Anomaly.Kind.NO_DATA)
        .select_related("sensor")
        .select_for_update(no_key=True, of=("self",))
        .order_by("sensor_id", "id")
    )
    reopened = [
        anomaly
        for anomaly in undecided
        if any(_belongs(at, anomaly) for at in moments[anomaly.sensor.equipment_id])
    ]
    for anomaly in reopened:
        if anomaly.status == AnomalyStatus.DETECTED:
            anomaly.due_at = queue_now()  # which ends the claim
        else:
            anomaly.judge_again()
    Anomaly.objects.bulk_update(reopened, Anomaly.JUDGEMENT_FIELDS)
    return len(reopened)


def _belongs(at: datetime, anomaly: Anomaly) -> bool:
    begin, end = time_of_its_events(anomaly.noticed_at, anomaly.ended_at)
    return begin <= at <= end
