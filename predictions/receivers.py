"""Reactions of predictions to the signals of other apps."""

from django.dispatch import receiver

from predictions.services.requesting import request_prediction
from sensors.models import Anomaly
from sensors.signals import anomaly_validated


@receiver(anomaly_validated)
def on_anomaly_validated(sender: object, *, anomaly: Anomaly, **kwargs: object) -> None:
    request_prediction(anomaly=anomaly)
