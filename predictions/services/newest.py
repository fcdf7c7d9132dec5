"""The last word on each limit, and on each sensor without one: what is foretold now."""

from django.db.models import Exists, OuterRef, Q, Subquery

from predictions.models import Prediction, PredictionQuerySet
from predictions.services.after_anomalies import COUNTS_FOR
from sensors.models import Baseline
from sensors.models.sensors import LimitQuerySet, SensorQuerySet
from smartmaint import clock


def last_words(limits: LimitQuerySet, sensors: SensorQuerySet | None = None) -> PredictionQuerySet:
    """The newest prediction of each of these limits, and of each of these sensors the newest without a limit.

    A repair makes older words void, and so does a newer answer that no prediction is possible; of an anomaly also what
    people found, and two weeks.
    """
    of_limit = Prediction.objects.settled().filter(limit=OuterRef("pk")).order_by("-made_at", "-id")
    newest = limits.active().annotate(newest=Subquery(of_limit.values("pk")[:1])).values("newest")
    words = Q(pk__in=newest)
    if sensors is not None:
        of_sensor = Prediction.objects.settled().filter(sensor=OuterRef("pk"), limit=None)
        of_anomaly = sensors.active().annotate(
            newest=Subquery(of_sensor.order_by("-made_at", "-id").values("pk")[:1])
        )
        words |= Q(
            pk__in=of_anomaly.values("newest"), anomaly__finding=None, cutoff_at__gt=clock.now() - COUNTS_FOR
        )
    repaired_since = Baseline.objects.filter(sensor=OuterRef("sensor"), started_at__gt=OuterRef("cutoff_at"))
    return Prediction.objects.made().filter(words).exclude(Exists(repaired_since))
