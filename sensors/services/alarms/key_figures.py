"""What the journals say of an organisation's alarms: calls per person and hour, peaks, what calls most, what stands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db.models import Count, Min

from sensors import storage
from sensors.alarms.key_figures import KeyFigures, key_figures
from sensors.models import Alarm, AlarmEntry, AlarmFlood
from sensors.services.alarms.telling import policy_of
from smartmaint import clock
from smartmaint.accounts.models import Organization

STANDS_AFTER = timedelta(hours=24)
MOST_CALLS = 500_000
SHOWN = 20


class Point(NamedTuple):
    """What calls: a machine and a failure mode."""

    equipment_id: int
    failure_mode_id: int


@dataclass(frozen=True)
class AlarmFigures:
    """The key figures of an organisation over some days, and what there is now."""

    since: datetime
    """The beginning of the time that is told of: not before the first alarm."""
    until: datetime
    figures: KeyFigures | None
    """None before the first alarm: nothing is known yet."""
    operators: int
    names: dict[int, str]
    """Of each point among the most frequent ones."""
    machines: dict[int, int]
    """By point its machine."""
    floods: int
    standing: list[Alarm]
    """Abnormal for longer than a day, the oldest first."""
    standing_count: int
    states: dict[str, int]
    """How many are open now, by state."""
    minutes_to_acknowledge: float | None
    """The middle one of those acknowledged; None below five."""


def read_alarm_figures(organization: Organization, *, days: int) -> AlarmFigures:
    """The key figures of the last `days`."""
    until = clock.now()
    entries = AlarmEntry.objects.for_organization(organization)
    first = entries.aggregate(at=Min("at"))["at"]
    since = max(until - timedelta(days=days), first or until)
    operators = policy_of(organization).operators
    calls = list(
        entries.filter(is_annunciation=True, at__gte=since, at__lte=until)
        .order_by("at", "id")
        .values_list("at", "alarm__equipment", "alarm__failure_mode", "severity")[:MOST_CALLS]
    )
    points = list(dict.fromkeys(Point(equipment, mode) for _, equipment, mode, _ in calls))
    number = {point: place for place, point in enumerate(points)}
    figures = None
    if first is not None:
        figures = key_figures(
            np.array([storage.microseconds(at) for at, *_ in calls], dtype=np.int64),
            np.array([number[Point(equipment, mode)] for _, equipment, mode, _ in calls], dtype=np.int64),
            [severity for *_, severity in calls],
            begin_us=storage.microseconds(since),
            end_us=storage.microseconds(until),
            operators=operators,
        )
    frequent = [points[one.point] for one in figures.frequent] if figures else []
    standing = (
        Alarm.objects.for_organization(organization)
        .annunciated()
        .filter(is_active=True, abnormal_since__lt=until - STANDS_AFTER)
        .order_by("abnormal_since", "pk")
    )
    return AlarmFigures(
        since=since,
        until=until,
        figures=figures,
        operators=operators,
        names=_names(frequent, number),
        machines={number[point]: point.equipment_id for point in frequent},
        floods=AlarmFlood.objects.for_organization(organization).filter(began_at__gte=since).count(),
        standing=list(standing.select_related("equipment", "failure_mode")[:SHOWN]),
        standing_count=standing.count(),
        states=_states(organization),
        minutes_to_acknowledge=_minutes_to_acknowledge(organization, since),
    )


def _names(points: list[Point], number: dict[Point, int]) -> dict[int, str]:
    alarms = (
        Alarm.objects.filter(
            equipment__in={point.equipment_id for point in points},
            failure_mode__in={point.failure_mode_id for point in points},
        )
        .order_by("equipment_id", "failure_mode_id")
        .distinct("equipment_id", "failure_mode_id")
        .select_related("equipment", "failure_mode")
    )
    names = {
        Point(alarm.equipment_id, alarm.failure_mode_id): f"{alarm.equipment}: {alarm.what}"
        for alarm in alarms
    }
    return {number[point]: names[point] for point in points}


def _states(organization: Organization) -> dict[str, int]:
    rows = Alarm.objects.for_organization(organization).open().values_list("state")
    return dict(rows.annotate(number=Count("pk")).order_by())


def _minutes_to_acknowledge(organization: Organization, since: datetime) -> float | None:
    """Over alarms that were called since then and acknowledged; those of nobody say nothing."""
    answered = Alarm.objects.for_organization(organization).filter(
        annunciated_at__gte=since, unanswered_since__isnull=False, acknowledged_at__isnull=False
    )
    waits = [
        (acknowledged - called).total_seconds() / 60
        for called, acknowledged in answered.values_list("unanswered_since", "acknowledged_at")[:MOST_CALLS]
    ]
    return float(np.median(waits)) if len(waits) >= 5 else None
