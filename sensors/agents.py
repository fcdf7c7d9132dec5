"""The agents of sensors: they notice anomalies in new readings, and judge them."""

from django.db.models import Q

from sensors.models import Anomaly, ReadingBatch
from sensors.services.detection import detect_in_batches, keep_detections
from sensors.services.judgement import judge_anomaly, validate_anomaly
from smartmaint.agents import agent
from smartmaint.locks import session_lock
from smartmaint.work import Tally, each, run_pending


@agent(every=2)
def detect_anomalies() -> Tally:
    """Score new readings, one organisation at a time and each by one worker only: a sensor's readings have an order."""
    tally = Tally()
    waiting = ReadingBatch.objects.due().order_by("organization").values_list("organization", flat=True)
    for organization_id in waiting.distinct():
        with session_lock("detect_anomalies", organization_id) as is_ours:
            if is_ours:
                tally += run_pending(
                    ReadingBatch,
                    work=detect_in_batches,
                    settle=keep_detections,
                    order_by=("id",),
                    batch_size=100,
                    only=Q(organization_id=organization_id),
                )
    return tally


@agent(every=2)
def validate_anomalies() -> Tally:
    """Judge what was detected by rules and history."""
    return run_pending(Anomaly, work=each(judge_anomaly), settle=validate_anomaly)
