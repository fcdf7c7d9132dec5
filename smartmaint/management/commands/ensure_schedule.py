"""Beat's schedule in the database: new agents are added, what the operator changed stays."""

from importlib import import_module

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.module_loading import module_has_submodule
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from smartmaint.agents import schedules


class Command(BaseCommand):
    help = "Adds the agents that Beat does not know yet, and removes those that are no more."

    @transaction.atomic
    def handle(self, *args: object, **options: object) -> None:
        for app in apps.get_app_configs():
            if module_has_submodule(app.module, "agents"):
                import_module(f"{app.name}.agents")
        added = 0
        for name, schedule in schedules.items():
            interval, _ = IntervalSchedule.objects.get_or_create(
                every=schedule.every, period=IntervalSchedule.SECONDS
            )
            _, is_new = PeriodicTask.objects.get_or_create(
                task=schedule.task,
                defaults={"name": name, "interval": interval, "expire_seconds": 2 * schedule.every},
            )
            added += is_new
        gone = PeriodicTask.objects.exclude(task__in=schedules).exclude(task__startswith="celery.")
        removed, _ = gone.delete()
        if added or removed:
            PeriodicTasks.update_changed()
        self.stdout.write(f"Schedule: {len(schedules)} agents, {added} added, {removed} removed.")
