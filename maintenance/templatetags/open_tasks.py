"""The open work at a machine, for pages of other apps too: they stand further down and cannot ask for it."""

from typing import Any

from django import template

from equipment.models import Equipment
from maintenance.models import MaintenanceTask

register = template.Library()


@register.inclusion_tag("maintenance/open_tasks.html")
def open_tasks_of(machine: Equipment) -> dict[str, Any]:
    """A card with the machine's open tasks, and who comes when."""
    tasks = MaintenanceTask.objects.open().filter(equipment=machine)
    return {"tasks": tasks.select_related("technician__user").prefetch_related("bookings")}
