"""A repaired machine is another one: from then on its sensors' pasts start anew."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from equipment.models import Equipment
from sensors.models import Anomaly, AnomalyFinding, Baseline, Sensor
from sensors.models.anomalies import AnomalyQuerySet
from sensors.services.event_counts import recount_sensors


def restart_baseline(*, equipment: Equipment, started_at: datetime, reason: str) -> None:
    """Mark a new baseline for the sensors of a repaired machine and of what stands below it."""
    machines = Equipment.objects.with_descendants(of=equipment).values("pk")
    restart_sensor_baselines(
        sensors=Sensor.objects.filter(organization_id=equipment.organization_id, equipment__in=machines),
        started_at=started_at,
        reason=reason,
    )


def lock_open_anomalies(*, equipment: Equipment) -> None:
    """Hold what a new baseline may end, before anything else is locked.

    Elsewhere an anomaly is locked first, then its predictions, then their task: who begins with the task must not come
    to the anomalies last.
    """
    machines = Equipment.objects.with_descendants(of=equipment).values("pk")
    _lock_in_order(Anomaly.objects.open().filter(sensor__equipment__in=machines))


def _lock_in_order(anomalies: AnomalyQuerySet) -> list[int]:
    """In detection's order, or the two could wait for each other; returns their keys."""
    ordered = anomalies.order_by("sensor_id", "id").select_for_update(no_key=True, of=("self",))
    return list(ordered.values_list("pk", flat=True))


def withdraw_baseline(*, equipment: Equipment, started_at: datetime, reason_prefix: str) -> None:
    """Take back what a finding had marked there and then; its reason tells it from the baselines that others marked.

    What was noticed before stays ended: detection and forecasts see the past again, and notice anew what goes on.
    """
    machines = Equipment.objects.with_descendants(of=equipment).values("pk")
    withdrawn = Baseline.objects.filter(
        sensor__equipment__in=machines, started_at=started_at, reason__startswith=reason_prefix
    )
    sensors = [baseline.sensor for baseline in withdrawn.select_related("sensor")]
    withdrawn.delete()
    recount_sensors(sensors, since=started_at)


@transaction.atomic
def restart_sensor_baselines(*, sensors: Iterable[Sensor], started_at: datetime, reason: str) -> None:
    """Mark a new baseline, and end the open anomalies of what was before.

    The detector forgets what it knew when it next looks at the sensor; forecasts use readings from here on. What began
    after the baseline goes on: the detector finds it again.
    """
    sensors = list(sensors)
    Baseline.objects.bulk_create(
        [
            Baseline(
                organization_id=sensor.organization_id,
                sensor=sensor,
                started_at=started_at,
                reason=reason[:200],
            )
            for sensor in sensors
        ],
        ignore_conflicts=True,
    )
    open_anomalies = Anomaly.objects.open().filter(sensor__in=sensors, started_at__lte=started_at)
    Anomaly.objects.filter(pk__in=_lock_in_order(open_anomalies)).update(ended_at=started_at)
    recount_sensors(sensors, since=started_at)


def record_finding(*, anomaly: Anomaly, verdict: str, found_at: datetime) -> None:
    """Keep what people found about an anomaly, so that validation can learn from it; a correction replaces it."""
    AnomalyFinding.objects.update_or_create(
        organization_id=anomaly.organization_id,
        anomaly=anomaly,
        defaults={"verdict": verdict, "found_at": found_at},
    )
