"""The part of machines' health that maintenance knows: work that should have been done."""

from collections import defaultdict

from equipment.models import Equipment, Part
from equipment.services.health import HealthReport, report_health
from equipment.weighing import remaining
from maintenance.models import MaintenanceTask, Priority
from smartmaint.accounts.models import Organization
from smartmaint.work import Tally

PENALTIES = {Priority.CRITICAL: 0.5, Priority.HIGH: 0.3, Priority.MEDIUM: 0.15, Priority.LOW: 0.05}
"""How much of what is left a task takes that is overdue."""
NAMED = 3


def report_maintenance(organization: Organization | None = None) -> Tally:
    """Report the overdue work of the machines (of one organisation, or of all)."""
    machines = Equipment.objects.for_one_or_all(organization)
    overdue: dict[int, list[MaintenanceTask]] = defaultdict(list)
    for task in (
        MaintenanceTask.objects.overdue().filter(equipment__in=machines).order_by("required_by", "pk")
    ):
        overdue[task.equipment_id].append(task)
    reports = [_report(key, overdue[key]) for key in machines.values_list("pk", flat=True)]
    return Tally(settled=report_health(part=Part.MAINTENANCE, reports=reports))


def _report(key: int, tasks: list[MaintenanceTask]) -> HealthReport:
    if not tasks:
        return HealthReport(key, 100.0, "No work is overdue.")
    penalties = [PENALTIES[Priority(task.priority)] for task in tasks]
    named = [
        f"{task.number} is overdue (−{penalty:.0%})"
        for task, penalty in list(zip(tasks, penalties, strict=True))[:NAMED]
    ]
    more = len(tasks) - NAMED
    return HealthReport(
        key, remaining(penalties), "; ".join(named) + (f"; and {more} more" if more > 0 else "")
    )
