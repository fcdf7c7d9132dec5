"""What a sensor too young for a forecast of its own can borrow from others of its kind."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery

from predictions.forecasting.request import BorrowedBehaviour, borrow_behaviour
from predictions.models import Prediction
from sensors.models import Limit, Sensor

# Who was not forecast within the last week tells little of how machines behave now.
RECENT = timedelta(days=7)
# Fitted to a sensor's own readings: what was itself borrowed tells nothing new.
OWN_MODELS = ("prophet", "constant")


@dataclass(frozen=True)
class Kind:
    """What sensors must have in common to be compared: quantity, unit, and class of equipment."""

    organization_id: int
    quantity: str
    unit: str
    equipment_class_id: int

    @classmethod
    def of(cls, sensor: Sensor) -> "Kind":
        return cls(
            organization_id=sensor.organization_id,
            quantity=sensor.quantity,
            unit=sensor.unit,
            equipment_class_id=sensor.equipment.equipment_class_id,
        )


@dataclass(frozen=True)
class Behaviour:
    """How one sensor behaves, by its last prediction, in its unit."""

    drift_per_day: float
    noise_sd: float


@dataclass
class Lender:
    """Lends behaviour as it is known at `cutoff_at`. Each kind is read from the ledger once."""

    cutoff_at: datetime
    by_kind: dict[Kind, dict[int, Behaviour]] = field(default_factory=dict)

    def lend_to(self, sensor: Sensor) -> BorrowedBehaviour | None:
        """The typical behaviour of the other sensors of its kind; None when they are too few."""
        kind = Kind.of(sensor)
        if kind not in self.by_kind:
            self.by_kind[kind] = _behaviour_by_sensor(kind, cutoff_at=self.cutoff_at)
        others = [one for sensor_id, one in self.by_kind[kind].items() if sensor_id != sensor.pk]
        return borrow_behaviour(
            drifts_per_day=[one.drift_per_day for one in others],
            noise_sds=[one.noise_sd for one in others],
            source=f"{len(others)} other {sensor.equipment.equipment_class.name.lower()}",
        )


def _behaviour_by_sensor(kind: Kind, *, cutoff_at: datetime) -> dict[int, Behaviour]:
    """From the newest forecast of each limit; of a sensor with several, from the newest of these.

    Each is found through the index of limit and time: explanations are large, and no other is read.
    """
    of_limit = (
        Prediction.objects.made()
        .filter(
            limit=OuterRef("pk"),
            made_at__gte=cutoff_at - RECENT,
            made_at__lt=cutoff_at,
            model_name__in=OWN_MODELS,
        )
        .order_by("-made_at", "-id")
    )
    newest = (
        Limit.objects.filter(
            organization_id=kind.organization_id,
            sensor__quantity=kind.quantity,
            sensor__unit=kind.unit,
            sensor__equipment__equipment_class_id=kind.equipment_class_id,
        )
        .annotate(newest=Subquery(of_limit.values("pk")[:1]))
        .values("newest")
    )
    last = (
        Prediction.objects.filter(pk__in=newest)
        .order_by("sensor_id", "-made_at")
        .distinct("sensor_id")
        .values_list("sensor_id", "explanation__slope_per_day", "explanation__noise_sd")
    )
    return {
        sensor_id: Behaviour(drift_per_day=drift, noise_sd=noise)
        for sensor_id, drift, noise in last
        if drift is not None and noise is not None
    }
