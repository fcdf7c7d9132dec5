"""Beat's schedule in the database: new agents are added, what the operator changed stays."""

import re
from importlib import import_module

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.module_loading import module_has_submodule
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from smartmaint.agents import Schedule, schedules


class Command(BaseCommand):
    help = "Adds the agents that Beat does not know yet, and removes those that are no more."

    @transaction.atomic
    def handle(self, *args: object, **options: object) -> None:
        for app in apps.get_app_configs():
            if module_has_submodule(app.module, "agents"):
                import_module(f"{app.name}.agents")
        added = [name for name, schedule in schedules.items() if _add_missing(name, schedule)]
        removed = _remove_gone()
        if added or removed:
            PeriodicTasks.update_changed()
        self.stdout.write(f"Schedule: {len(schedules)} agents, {len(added)} added, {removed} removed.")


def _add_missing(name: str, schedule: Schedule) -> bool:
    """Add an agent that has no entry; an operator may have given it one or several of their own."""
    if PeriodicTask.objects.filter(task=schedule.task).exists():
        return False
    # The oldest of equals: Beat's table lets an interval be there twice.
    interval = IntervalSchedule.objects.filter(
        every=schedule.every, period=IntervalSchedule.SECONDS
    ).first() or IntervalSchedule.objects.create(every=schedule.every, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(
        name=name, task=schedule.task, interval=interval, expire_seconds=2 * schedule.every
    )
    return True


def _remove_gone() -> int:
    """Remove entries of agents that these apps had once; what else the operator has Beat do is not ours."""
    names = "|".join(re.escape(app.name) for app in apps.get_app_configs())
    gone = PeriodicTask.objects.filter(task__regex=rf"^({names})\.agents\.\w+$").exclude(task__in=schedules)
    removed, _ = gone.delete()
    return removed
