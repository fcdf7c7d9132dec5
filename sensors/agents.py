"""The agents of sensors: they count events, notice anomalies in new readings, and judge them."""

import time
from datetime import UTC, datetime, timedelta

from django.db.models import Min, Q

from sensors import storage
from sensors.models import Anomaly, EventCount, ReadingBatch
from sensors.services import condition, retention
from sensors.services.alarms import escalating, watching
from sensors.services.counting import keep_count, tell_count
from sensors.services.detection import detect_in_batches, keep_detections
from sensors.services.event_counts import mark_changing
from sensors.services.judgement import judge_anomaly, validate_anomaly
from sensors.services.silence import notice_silent_sensors
from smartmaint.agents import agent
from smartmaint.locks import session_lock
from smartmaint.work import Tally, each, run_pending

BUDGET_SECONDS = 5.0
RETENTION_BUDGET_SECONDS = 60.0
MONTHS_AHEAD = timedelta(days=62)


@agent(every=2)
def detect_anomalies() -> Tally:
    """Score new readings, one organisation at a time and each by one worker only: a sensor's readings have an order."""
    tally, deadline = Tally(), time.monotonic() + BUDGET_SECONDS
    waiting = (
        ReadingBatch.objects.due().values("organization").annotate(since=Min("due_at")).order_by("since")
    )
    for organization_id in waiting.values_list("organization", flat=True):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        with session_lock("detect_anomalies", organization_id) as is_ours:
            if is_ours:
                tally += run_pending(
                    ReadingBatch,
                    work=detect_in_batches,
                    settle_all=keep_detections,
                    order_by=("id",),
                    batch_size=500,
                    budget_seconds=remaining,
                    only=Q(organization_id=organization_id),
                )
    return tally


@agent(every=5, at_once=1)
def count_events() -> Tally:
    """Tell how many events of machines their rules count, where events came, or are too long ago to count."""
    mark_changing()
    return run_pending(EventCount, work=each(tell_count), settle=keep_count)


@agent(every=2)
def validate_anomalies() -> Tally:
    """Judge what was detected by rules and history."""
    return run_pending(Anomaly, work=each(judge_anomaly), settle=validate_anomaly)


@agent(every=10, at_once=1)
def notice_silence() -> Tally:
    """Notice sensors from which nothing comes any more, and those that send again."""
    return notice_silent_sensors()


@agent(every=5, at_once=1)
def watch_alarms() -> Tally:
    """Let alarms follow their conditions, come back from the shelf, and give way to work."""
    return watching.watch_alarms()


@agent(every=10, at_once=1)
def escalate_alarms() -> Tally:
    """Tell the next role of alarms that nobody acknowledged in time."""
    return escalating.escalate_alarms()


@agent(every=30, at_once=1)
def report_condition() -> Tally:
    """Tell of each machine's health what sensors and alarms know."""
    return condition.report_condition()


@agent(every=3600)
def prepare_partitions() -> Tally:
    """Make the months to come before the first reading of one has to wait for it."""
    now_us = storage.microseconds(datetime.now(UTC))
    storage.make_partitions(now_us, now_us + MONTHS_AHEAD // timedelta(microseconds=1))
    return Tally()


@agent(every=600, at_once=1)
def drop_old_readings() -> Tally:
    """Take away readings, and what is kept beside them, that nobody keeps any longer."""
    return Tally(settled=retention.drop_old_readings(budget_seconds=RETENTION_BUDGET_SECONDS).total)
