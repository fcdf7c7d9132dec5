"""The stories of a demo plant, told by living them: predicted, booked, repaired, and what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from equipment.models import FailureMode, Verdict
from maintenance.models import MaintenanceTask, Technician
from maintenance.replay.pending import do_pending_work
from maintenance.services.completing import Finding, complete_task
from maintenance.services.scheduling import reassign_task
from maintenance.services.tasks import Actor, start_task
from predictions.models import Prediction
from predictions.services.requesting import request_prediction_by_person
from sensors.models import Alarm, Anomaly, Sensor
from sensors.services.alarms.handling import acknowledge_alarm
from sensors.services.judgement import settle_anomaly
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import Membership, Organization, Role, User
from smartmaint.demo.blueprint import Story
from smartmaint.demo.replay import Replay

# Around what happens to its machine, a story's sensor is watched live; the rest of the past is history.
WATCHED_DAYS = 0.25
# Where the machine failed before the repair, the work had been booked for later.
BOOKED_AFTER_FAILURE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens in a story, on a day of the plan."""

    day: float
    words: str
    tell: Callable[[], None]


class Telling:
    """One story and the rows that it has become so far."""

    def __init__(self, replay: Replay, story: Story) -> None:
        self.replay = replay
        self.story = story
        self.task: MaintenanceTask | None = None
        own = {"organization": replay.organization}
        self.sensor = Sensor.objects.get(**own, key=story.sensor)
        self.technician = Technician.objects.select_related("user").get(
            **own, user__username=story.technician
        )
        self.manager = manager_of(replay.organization)

    def steps(self) -> list[Step]:
        """What happens on which day; the clock must stand there when a step is told."""
        story = self.story
        return [
            Step(story.predicted_day, f"trouble at {story.machine}", self.predict),
            Step(story.started_day, f"work at {story.machine}", self.start),
            Step(story.completed_day, f"{story.machine} is done", self.complete),
            Step(story.completed_day + WATCHED_DAYS, f"{story.machine} runs again", self.watch),
        ]

    def predict(self) -> None:
        """The sensor's last hours are looked at; what that comes to is decided by the agents, and booked."""
        self._arrive(watched_from_day=self.story.predicted_day - WATCHED_DAYS)
        believe(Anomaly.objects.to_settle().filter(sensor=self.sensor), self.replay.organization)
        if not self._predictions_of_now().exists():
            request_prediction_by_person(sensor=self.sensor)
        do_pending_work(self.replay.organization)
        self.task = MaintenanceTask.objects.open().filter(prediction__in=self._predictions_of_now()).first()
        if self.task is not None:
            self._book()

    def _predictions_of_now(self) -> QuerySet[Prediction]:
        return Prediction.objects.filter(sensor=self.sensor, requested_at=clock.now())

    def _book(self) -> None:
        starts_at = self.replay.at(self.story.started_day)
        if self.story.verdict == Verdict.FAILED_BEFORE_REPAIR:
            starts_at += BOOKED_AFTER_FAILURE
        reassign_task(task=self.task, technician=self.technician, starts_at=starts_at, user=self.manager)

    def start(self) -> None:
        self._arrive()
        self._acknowledge("On my way with the order.")
        # Where the forecast was too calm at first, the machine's own trouble may have led to it since.
        self.task = self.task or MaintenanceTask.objects.open().filter(prediction__sensor=self.sensor).first()
        if self.task is not None:
            start_task(task=self.task, actor=self._technician_as_actor())

    def _acknowledge(self, words: str) -> None:
        """Who goes to the machine has seen what it calls about."""
        alarms = Alarm.objects.filter(equipment=self.sensor.equipment).unanswered()
        for alarm in alarms.order_by("pk"):
            acknowledge_alarm(alarm=alarm, by=self.technician.user, comment=words)

    def complete(self) -> None:
        """The finding flows back: the prediction is scored, the baseline starts anew."""
        self._arrive()
        if self.task is not None:
            complete_task(task=self.task, actor=self._technician_as_actor(), finding=self._finding())
        do_pending_work(self.replay.organization)

    def watch(self) -> None:
        """The sensor is seen for some hours after the work, so that what had begun is seen to end."""
        self._arrive(watched_from_day=self.story.completed_day)
        self._acknowledge("Looked again: it is gone.")

    def _arrive(self, *, watched_from_day: float | None = None) -> None:
        """Have all readings until now; those of the story's sensor from a day on as they came, not as history."""
        now_us = microseconds(clock.now())
        if watched_from_day is not None:
            own = [self.sensor.key]
            self.replay.post_history(until_us=self.replay.us(watched_from_day), only=own)
            self.replay.post_live(until_us=now_us, only=own)
        self.replay.post_history(until_us=now_us)
        do_pending_work(self.replay.organization)

    def _technician_as_actor(self) -> Actor:
        return Actor(user=self.technician.user, is_manager=False)

    def _finding(self) -> Finding:
        story = self.story
        modes = FailureMode.objects.for_organization(self.replay.organization)
        return Finding(
            verdict=Verdict(story.verdict),
            failure_mode=modes.of_class(self.sensor.equipment.equipment_class).get(
                code=story.found_failure_mode
            ),
            cause=story.cause,
            remedy=story.remedy,
            notes=story.notes,
            downtime_minutes=round(story.downtime_h * 60),
            labour_minutes=round(story.labour_h * 60),
        )


def manager_of(organization: Organization) -> User:
    managers = Membership.objects.filter(organization=organization, role=Role.MANAGER)
    return managers.select_related("user")[0].user


def believe(anomalies: QuerySet[Anomaly], organization: Organization) -> None:
    """The manager looks at what the agent left to people, and finds it credible."""
    for anomaly in anomalies.filter(organization=organization):
        settle_anomaly(anomaly=anomaly, is_credible=True, user=manager_of(organization))
