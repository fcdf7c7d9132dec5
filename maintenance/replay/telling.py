"""What people did and found in the past, told to the service at the moment it happened, never before."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from equipment.models import Equipment, FailureMode, Verdict
from equipment.services import record_failure
from maintenance.models import MaintenanceTask, TaskStatus, TaskType
from maintenance.replay.plant import ReplayPlant
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, approve_task, cancel_task, create_task, start_task
from sensors.models import Alarm
from sensors.services.alarms.handling import acknowledge_alarm
from smartmaint import clock


class Teller:
    """Tells one plant's past through the services; the clock must stand where something is told."""

    def __init__(self, plant: ReplayPlant) -> None:
        self.plant = plant
        self.actor = Actor(user=plant.manager, is_manager=True)

    def tell_failure(self, machine: Equipment, modes: Sequence[FailureMode]) -> None:
        """The machine fails, and is repaired: its open predicted tasks are completed, or one made for it is.

        Each of `modes` is kept as a failure. A task for another mode has found another one.
        """
        predicted = list(
            MaintenanceTask.objects.open().filter(equipment=machine, type=TaskType.PREDICTIVE).order_by("pk")
        )
        for task in predicted:
            is_foretold = task.failure_mode.is_unknown or task.failure_mode in modes
            mode = task.failure_mode if task.failure_mode in modes else modes[0]
            verdict = Verdict.FAILED_BEFORE_REPAIR if is_foretold else Verdict.CONFIRMED_ANOTHER_MODE
            self._complete(task, verdict, mode)
        if not predicted:
            repair = create_task(
                equipment=machine,
                failure_mode=modes[0],
                type=TaskType.CORRECTIVE,
                title=f"Repair: {modes[0].name}"[:200],
                created_by=self.plant.manager,
            )
            self._complete(repair, Verdict.FAILED_BEFORE_REPAIR, modes[0])
        for mode in modes:
            record_failure(equipment=machine, failure_mode=mode, failed_at=clock.now())

    def tell_maintenance(self, machine: Equipment, parts: Sequence[str]) -> None:
        """Planned work: parts were exchanged, and no fault was found; the machine is no other one for that."""
        unknown = FailureMode.objects.unknown_of(self.plant.organization.pk)
        task = create_task(
            equipment=machine,
            failure_mode=unknown,
            type=TaskType.PREVENTIVE,
            title=f"Planned: {', '.join(parts)}"[:200],
            created_by=self.plant.manager,
        )
        self._complete(task, Verdict.NO_FAULT_FOUND, unknown)

    def acknowledge_alarms(self) -> None:
        """Somebody looks at the alarms: each is acknowledged, and can be told of anew."""
        for alarm in Alarm.objects.for_organization(self.plant.organization).unanswered().order_by("pk"):
            acknowledge_alarm(alarm=alarm, by=self.plant.manager)

    def close_unfollowed(self, *, open_for: timedelta, verdict: Verdict) -> None:
        """Close predicted tasks that no failure followed within `open_for`.

        The past does not say what an inspection would have found. Not inspected, they teach nothing.
        """
        old = MaintenanceTask.objects.open().filter(
            organization=self.plant.organization,
            type=TaskType.PREDICTIVE,
            created_at__lte=clock.now() - open_for,
        )
        for task in old.order_by("pk"):
            if verdict == Verdict.NOT_INSPECTED:
                hours = open_for / timedelta(hours=1)
                reason = f"No failure followed within {hours:g} h, and nobody had looked"
                cancel_task(task=task, user=self.plant.manager, reason=reason)
            else:
                self._complete(task, verdict, task.failure_mode)

    def next_closing(self, *, open_for: timedelta) -> datetime | None:
        """When the next task will have been open for so long."""
        created_at = (
            MaintenanceTask.objects.open()
            .filter(organization=self.plant.organization, type=TaskType.PREDICTIVE)
            .order_by("created_at")
            .values_list("created_at", flat=True)
            .first()
        )
        return None if created_at is None else created_at + open_for

    def _complete(self, task: MaintenanceTask, verdict: Verdict, mode: FailureMode) -> None:
        if task.status == TaskStatus.PROPOSED:
            task = approve_task(task=task, user=self.plant.manager)
        complete_task(
            task=start_task(task=task, actor=self.actor),
            actor=self.actor,
            finding=Finding(verdict=verdict, failure_mode=mode),
        )
