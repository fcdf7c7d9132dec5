"""Asking for predictions: after a credible anomaly, on a period, or because a person wants one."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from predictions.models import Prediction, PredictionStatus, Trigger
from sensors.models import Anomaly, AnomalyStatus, Limit, Sensor
from smartmaint import clock

PERIOD = timedelta(hours=1)
PERIODIC_BATCH = 500


def request_prediction(*, anomaly: Anomaly) -> list[Prediction]:
    """Ask for a prediction of every failure limit of a credible anomaly's sensor; asking twice changes nothing."""
    if anomaly.status != AnomalyStatus.CREDIBLE:
        return []
    return _request(sensor=anomaly.sensor, trigger=Trigger.ANOMALY, anomaly=anomaly)


@transaction.atomic
def request_prediction_by_person(*, sensor: Sensor) -> list[Prediction]:
    return _request(sensor=sensor, trigger=Trigger.PERSON)


def _request(*, sensor: Sensor, trigger: Trigger, anomaly: Anomaly | None = None) -> list[Prediction]:
    return [
        _request_for_limit(limit, trigger, anomaly)
        for limit in Limit.objects.outermost().filter(sensor=sensor)
    ]


def _request_for_limit(limit: Limit, trigger: Trigger, anomaly: Anomaly | None) -> Prediction:
    """A prediction that waits already is made to serve; one that was given up gets another chance."""
    pending = Prediction.objects.select_for_update(no_key=True).filter(
        limit=limit, status=PredictionStatus.PENDING
    )
    prediction = pending.first()
    if prediction is None:
        prediction = Prediction(
            organization_id=limit.organization_id, sensor_id=limit.sensor_id, limit=limit, trigger=trigger
        )
        prediction.mark_due()
    if anomaly is not None and prediction.anomaly_id is None:
        prediction.trigger, prediction.anomaly = trigger, anomaly
    if prediction.parked_at is not None:
        prediction.mark_due()
    prediction.save()
    return prediction


def request_due_predictions() -> int:
    """Ask for the periodic predictions: limits with news since their last one, which is an hour old or older."""
    now = clock.now()
    newest = Prediction.objects.filter(limit=OuterRef("pk")).order_by("-requested_at")
    limits = (
        Limit.objects.outermost()
        .filter(sensor__latest__isnull=False)
        .annotate(last_requested_at=Subquery(newest.values("requested_at")[:1]))
        .filter(
            Q(last_requested_at__isnull=True)
            | Q(last_requested_at__lte=now - PERIOD, sensor__latest__received_at__gt=F("last_requested_at"))
        )
        .order_by("pk")[:PERIODIC_BATCH]
    )
    return _insert_pending(list(limits), now)


def _insert_pending(limits: list[Limit], now: datetime) -> int:
    predictions = [
        Prediction(
            organization_id=limit.organization_id,
            sensor_id=limit.sensor_id,
            limit=limit,
            trigger=Trigger.PERIOD,
            requested_at=now,
        )
        for limit in limits
    ]
    for prediction in predictions:
        prediction.mark_due()
    Prediction.objects.bulk_create(predictions, ignore_conflicts=True)
    return len(predictions)
