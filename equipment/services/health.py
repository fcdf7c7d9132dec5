"""The health of machines: each app reports its part, in its own transaction, and the whole is weighed anew."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction

from equipment.models import Equipment, EquipmentClass, Health, HealthDay, HealthPart, Part
from equipment.weighing import weigh
from smartmaint import clock

LONGEST_REASON = 500
# A score that moved by less is not written again: nobody could tell.
WORTH_WRITING = 0.5


@dataclass(frozen=True)
class HealthReport:
    """What an app says of its part of one machine's health: 0 to 100, or None for nothing to say, and why."""

    equipment_id: int
    score: float | None
    reason: str


@transaction.atomic
def report_health(*, part: Part, reports: Sequence[HealthReport]) -> int:
    """Report one part of machines' health (0 to 100; None: nothing to say); returns for how many it was news.

    Raises ValueError for other numbers.
    """
    for report in reports:
        if report.score is not None and not 0 <= report.score <= 100:
            raise ValueError(f"A score is from 0 to 100, not {report.score}.")
    known = {
        row.equipment_id: row
        for row in HealthPart.objects.filter(
            part=part, equipment__in=[report.equipment_id for report in reports]
        )
    }
    news = {
        report.equipment_id: report for report in reports if _is_news(report, known.get(report.equipment_id))
    }
    if not news:
        return 0
    machines = _lock(news)
    HealthPart.objects.bulk_create(
        [
            HealthPart(
                organization_id=machines[report.equipment_id].organization_id,
                equipment_id=report.equipment_id,
                part=part,
                score=report.score,
                reason=report.reason[:LONGEST_REASON],
                reported_at=clock.now(),
            )
            for report in news.values()
            if report.equipment_id in machines
        ],
        update_conflicts=True,
        unique_fields=["equipment", "part"],
        update_fields=["score", "reason", "reported_at"],
    )
    _weigh(machines)
    return len(machines)


@transaction.atomic
def weigh_again(equipment_class: EquipmentClass) -> int:
    """Weigh the machines of a class after its weights have changed; returns how many."""
    reported = Equipment.objects.filter(equipment_class=equipment_class, health__isnull=False)
    machines = _lock(reported.values_list("pk", flat=True))
    _weigh(machines)
    return len(machines)


def _is_news(report: HealthReport, known: HealthPart | None) -> bool:
    if known is None or known.reason != report.reason[:LONGEST_REASON]:
        return True
    if known.score is None or report.score is None:
        return known.score != report.score
    return abs(known.score - report.score) >= WORTH_WRITING


def _lock(keys: Collection[int]) -> dict[int, Equipment]:
    """The machines, their health held until the end: of two apps that report at once one is weighed after the other."""
    machines = {
        machine.pk: machine
        for machine in Equipment.objects.filter(pk__in=list(keys))
        .select_related("equipment_class", "organization")
        .order_by("pk")
    }
    Health.objects.bulk_create(
        [
            Health(equipment_id=machine.pk, organization_id=machine.organization_id)
            for machine in machines.values()
        ],
        ignore_conflicts=True,
    )
    locked = Health.objects.select_for_update(no_key=True).filter(pk__in=machines).order_by("pk")
    list(locked.values_list("pk", flat=True))
    return machines


def _weigh(machines: dict[int, Equipment]) -> None:
    parts: dict[int, dict[str, float | None]] = {key: {} for key in machines}
    for row in HealthPart.objects.filter(equipment__in=machines):
        parts[row.equipment_id][row.part] = row.score
    now, rows, days = clock.now(), [], []
    for key, machine in machines.items():
        whole = weigh(parts[key], machine.equipment_class.health_weights)
        owned = {"organization_id": machine.organization_id, "equipment_id": key}
        rows.append(Health(**owned, score=whole.score, told_share=whole.told_share, weighed_at=now))
        day = now.astimezone(machine.organization.zone).date()
        days.append(HealthDay(**owned, day=day, score=whole.score))
    # An upsert of rows that are there: an UPDATE of many with a value each takes seconds.
    Health.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["equipment"],
        update_fields=["score", "told_share", "weighed_at"],
    )
    HealthDay.objects.bulk_create(
        days, update_conflicts=True, unique_fields=["equipment", "day"], update_fields=["score"]
    )


def health_of_days(equipment: Equipment, *, days: int) -> list[tuple[date, float | None]]:
    """A machine's health at the end of each of the last `days`, the oldest first; None before the first report."""
    today = clock.now().astimezone(equipment.organization.zone).date()
    rows = dict(
        HealthDay.objects.filter(equipment=equipment, day__lte=today)
        .order_by("day")
        .values_list("day", "score")
    )
    first = today - timedelta(days=days - 1)
    earlier = [day for day in rows if day < first]
    score = rows[earlier[-1]] if earlier else None
    told = []
    for step in range(days):
        day = first + timedelta(days=step)
        score = rows.get(day, score)
        told.append((day, score))
    return told
