"""Machine events that rules count: each count is the readings of a sensor, so that all else follows by itself.

Rows of `EventCount` are the queue. What changes a count marks its row, in the transaction that changes it: an event
that comes, one that leaves the window, a rule that is changed, a repair. The agent `count_events` does what `counting`
computes. Rows are locked in the order of rule and machine, or two transactions could wait for each other.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Least

from equipment.models import Equipment
from sensors.models import Anomaly, EventCount, EventRule, MachineEvent, Sensor
from sensors.models.event_rules import EventCountQuerySet
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.queues import queue_now

_MARK = """
    INSERT INTO sensors_eventcount AS known
        (organization_id, rule_id, equipment_id, recount_from, due_at, attempts, last_error)
    SELECT %(organization)s, rule, equipment, since, %(due_at)s, 0, ''
    FROM json_to_recordset(%(marks)s) AS (rule bigint, equipment bigint, since timestamptz)
    ORDER BY rule, equipment
    ON CONFLICT (rule_id, equipment_id) DO UPDATE
    SET recount_from = least(known.recount_from, excluded.recount_from), due_at = excluded.due_at, attempts = 0,
        parked_at = NULL, last_error = ''
"""

Stored = tuple[bool, int, str, str, datetime]
"""Of an event that was stored: whether it is a new one, its machine, code, kind and moment."""


def mark_counts(organization: Organization, stored: Sequence[Stored]) -> None:
    """Have counted what was stored, by the rules that watch its machine. Runs in the transaction that stored it."""
    rules = list(EventRule.objects.filter(organization=organization, is_active=True)) if stored else []
    if not rules:
        return
    machines = Equipment.objects.filter(pk__in={equipment_id for _, equipment_id, *_ in stored})
    class_of = dict(machines.values_list("pk", "equipment_class_id"))
    earliest: dict[tuple[int, str, str, bool], datetime] = {}
    for is_new, equipment_id, code, kind, at in stored:
        key = (equipment_id, code, kind, is_new)
        earliest[key] = min(at, earliest.get(key, at))
    counted: dict[tuple[int, int], datetime] = {}
    changed: dict[tuple[int, int], datetime] = {}
    for (equipment_id, code, kind, is_new), at in earliest.items():
        for rule in rules:
            if not (rule.watches(class_of[equipment_id]) and rule.has_code(code)):
                continue
            if kind in rule.kinds:
                counted[rule.pk, equipment_id] = min(at, counted.get((rule.pk, equipment_id), at))
            elif not is_new:
                # It was of another kind before, and may have counted.
                changed[rule.pk, equipment_id] = min(at, changed.get((rule.pk, equipment_id), at))
    known = EventCount.objects.filter(rule__in={rule for rule, _ in changed}).values_list("rule", "equipment")
    for one in set(known) & set(changed) if changed else ():
        counted[one] = min(changed[one], counted.get(one, changed[one]))
    _mark(organization.pk, counted)


def recount_rule(rule: EventRule) -> None:
    """Have counted anew, from now on, what a new or changed rule counts."""
    now = clock.now()
    recent = MachineEvent.objects.filter(
        rule.counted, equipment=OuterRef("pk"), at__gt=now - rule.window, at__lte=now
    )
    machines = Equipment.objects.filter(Exists(recent), organization=rule.organization_id)
    if rule.equipment_class_id is not None:
        machines = machines.filter(equipment_class=rule.equipment_class_id)
    watched = set(machines.values_list("pk", flat=True)) if rule.is_active else set()
    watched |= set(rule.counts.values_list("equipment", flat=True))
    _mark(rule.organization_id, {(rule.pk, equipment_id): now for equipment_id in watched})


@transaction.atomic
def recount_sensors(sensors: Iterable[Sensor], *, since: datetime) -> None:
    """Have those of the sensors counted anew that count events: what came before a repair counts no longer."""
    _mark_locked(EventCount.objects.filter(sensor__in=[sensor.pk for sensor in sensors]), since=since)


def count_of(anomaly: Anomaly) -> EventCount | None:
    """The count that an anomaly is about; None for one of a sensor that is no count."""
    return EventCount.objects.filter(sensor=anomaly.sensor_id).select_related("rule").first()


def events_behind(anomaly: Anomaly) -> QuerySet[MachineEvent]:
    """The events that were counted in an anomaly, the newest first; none where it is not about a count."""
    count = count_of(anomaly)
    if count is None:
        return MachineEvent.objects.none()
    until = anomaly.ended_at or clock.now()
    since, repaired_at = anomaly.started_at - count.rule.window, count.last_repair(until=until)
    return MachineEvent.objects.filter(
        count.rule.counted,
        equipment=count.equipment_id,
        at__gt=since if repaired_at is None else max(since, repaired_at),
        at__lte=until,
    )


@transaction.atomic
def mark_changing(organization: Organization | None = None) -> None:
    """Have counted anew what events leave by now (of one organisation, or of all active ones)."""
    counts = EventCount.objects.filter(next_change_at__lte=clock.now())
    if organization is None:
        counts = counts.filter(organization__is_active=True)
    else:
        counts = counts.filter(organization=organization)
    _mark_locked(counts, since=F("next_change_at"), next_change_at=None)


def _mark(organization_id: int, since: dict[tuple[int, int], datetime]) -> None:
    if not since:
        return
    marks = [
        {"rule": rule_id, "equipment": equipment_id, "since": at}
        for (rule_id, equipment_id), at in since.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _MARK,
            {
                "organization": organization_id,
                "due_at": queue_now(),
                "marks": msgspec.json.encode(marks).decode(),
            },
        )


def _mark_locked(counts: EventCountQuerySet, *, since: Any, **more: Any) -> None:
    locked = counts.select_for_update(no_key=True, of=("self",)).order_by("rule_id", "equipment_id")
    EventCount.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(
        recount_from=Least("recount_from", since),
        due_at=queue_now(),
        attempts=0,
        parked_at=None,
        last_error="",
        **more,
    )
