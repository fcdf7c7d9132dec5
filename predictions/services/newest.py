"""The last word on each limit: what is foretold now."""

from django.db.models import Exists, OuterRef, Subquery

from predictions.models import Prediction, PredictionQuerySet
from sensors.models import Baseline
from sensors.models.sensors import LimitQuerySet


def last_words(limits: LimitQuerySet) -> PredictionQuerySet:
    """The newest prediction of each of these limits.

    A repair makes older words void, and so does a newer answer that no prediction is possible.
    """
    of_limit = Prediction.objects.settled().filter(limit=OuterRef("pk")).order_by("-made_at", "-id")
    newest = limits.active().annotate(newest=Subquery(of_limit.values("pk")[:1])).values("newest")
    repaired_since = Baseline.objects.filter(sensor=OuterRef("sensor"), started_at__gt=OuterRef("cutoff_at"))
    return Prediction.objects.made().filter(pk__in=newest).exclude(Exists(repaired_since))
