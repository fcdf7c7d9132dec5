"""Reactions of predictions to the signals of other apps."""

from django.dispatch import receiver

from equipment.models import Failure
from equipment.signals import failure_recorded, failure_withdrawn
from predictions.services.requesting import request_prediction
from predictions.services.scoring import rescore_for_failure
from sensors.models import Anomaly
from sensors.signals import anomaly_ended, anomaly_validated


@receiver(anomaly_validated)
def on_anomaly_validated(sender: object, *, anomaly: Anomaly, **kwargs: object) -> None:
    request_prediction(anomaly=anomaly)


@receiver(anomaly_ended)
def on_anomaly_ended(sender: object, *, anomaly: Anomaly, **kwargs: object) -> None:
    request_prediction(anomaly=anomaly)


@receiver(failure_recorded)
def on_failure_recorded(sender: object, *, failure: Failure, **kwargs: object) -> None:
    rescore_for_failure(failure)


@receiver(failure_withdrawn)
def on_failure_withdrawn(sender: object, *, failure: Failure, **kwargs: object) -> None:
    rescore_for_failure(failure)
