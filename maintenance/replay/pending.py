"""What the agents would do for one organisation at the moment of the clock, and histories dated by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Model, Q
from simple_history.signals import pre_create_historical_record

from maintenance.models import MaintenanceTask
from maintenance.services.health import report_maintenance
from maintenance.services.scheduling import plan_tasks, schedule_task
from predictions.models import Prediction, PredictionOutcome
from predictions.services.health import report_forecasts
from predictions.services.making import enter_predictions, forecast_pending
from predictions.services.scoring import compute_score, score_prediction
from sensors.models import Alarm, AlarmFlood, Anomaly, EventCount, ReadingBatch
from sensors.services.alarms.watching import watch_alarms
from sensors.services.condition import report_condition
from sensors.services.counting import keep_count, tell_count
from sensors.services.detection import detect_in_batches, keep_detections
from sensors.services.event_counts import mark_changing
from sensors.services.judgement import judge_anomaly, validate_anomaly
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.notifications.models import Notification
from smartmaint.notifications.services.delivering import deliver, record_delivery
from smartmaint.queues import PendingWork
from smartmaint.work import each, run_pending

# Each queue is worked on until it is empty; an agent would come back every two seconds.
UNTIL_EMPTY_S = 3600.0

_Queue = tuple[type[PendingWork], dict[str, Any]]
_IN_ORDER = {"order_by": ("id",)}
_SIGNS: list[_Queue] = [
    (EventCount, {"work": each(tell_count), "settle": keep_count}),
    (ReadingBatch, {"work": detect_in_batches, "settle_all": keep_detections, **_IN_ORDER}),
    (Anomaly, {"work": each(judge_anomaly), "settle": validate_anomaly}),
]
_CONSEQUENCES: list[_Queue] = [
    (Prediction, {"work": forecast_pending, "settle_all": enter_predictions, **_IN_ORDER}),
    (MaintenanceTask, {"work": plan_tasks, "settle": schedule_task}),
    (PredictionOutcome, {"work": each(compute_score), "settle": score_prediction}),
]
_MESSAGES: list[_Queue] = [(Notification, {"work": each(deliver), "settle": record_delivery})]


def do_pending_work(organization: Organization, *, with_health: bool = True) -> None:
    """What the agents would do for an organisation at this moment, each queue until it is empty.

    The health of its machines is no queue: all of it is reported anew, unless that can wait.
    """
    mark_changing(organization)
    _do(_SIGNS, organization)
    if _has_alarms(organization):
        watch_alarms(organization)
    _do(_CONSEQUENCES, organization)
    if with_health:
        for report in (report_condition, report_forecasts, report_maintenance):
            report(organization)
    _do(_MESSAGES, organization)


def _has_alarms(organization: Organization) -> bool:
    """Whether an alarm or a flood of them is there to follow."""
    floods = AlarmFlood.objects.for_organization(organization).filter(ended_at=None)
    return Alarm.objects.for_organization(organization).open().exists() or floods.exists()


def _do(queues: list[_Queue], organization: Organization) -> None:
    own = Q(organization=organization)
    for queue, how in queues:
        # A look costs less than a claim, and most of the time most queues are empty.
        if queue.objects.due().filter(own).exists():
            run_pending(queue, only=own, budget_seconds=UNTIL_EMPTY_S, **how)


@contextmanager
def history_in_domain_time() -> Iterator[None]:
    """Let the histories of records say when a change was made in the time that is told, not in that of the telling."""
    pre_create_historical_record.connect(_date_by_the_clock)
    try:
        yield
    finally:
        pre_create_historical_record.disconnect(_date_by_the_clock)


def _date_by_the_clock(sender: object, *, history_instance: Model, **kwargs: object) -> None:
    history_instance.history_date = clock.now()
