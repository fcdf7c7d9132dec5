"""Anomalies as validation leaves them, and the alarms that come of them, for tests."""

from datetime import datetime

from equipment.models import Equipment
from sensors.models import Alarm, Anomaly, AnomalyStatus, Limit, ReadingBatch, Sensor
from sensors.services.alarms.raising import raise_alarm
from smartmaint import clock
from smartmaint.accounts.models import Organization, User
from smartmaint.notifications.models import Notification
from smartmaint.notifications.services.preferences import set_preference
from tests.plants import Plant


def notice(
    sensor: Sensor,
    *,
    limit: Limit | None = None,
    kind: str = Anomaly.Kind.LIMIT,
    direction: str = "high",
    status: str = AnomalyStatus.CREDIBLE,
    **fields: object,
) -> Anomaly:
    """An anomaly that goes on, judged credible; beyond `limit`, or without one unlike the sensor's past."""
    now = fields.setdefault("started_at", clock.now())
    batch = ReadingBatch.objects.create(
        organization=sensor.organization, received=1, inserted=1, updated=0, unchanged=0, rejected=0
    )
    if limit is None and kind == Anomaly.Kind.LIMIT:
        kind = Anomaly.Kind.PROFILE
    measured = {
        "batch": batch,
        "direction": direction,
        "peak_value": 7.9,
        "expected_value": limit.value if limit else 2.0,
    }
    usual = {
        "organization": sensor.organization,
        "sensor": sensor,
        "limit": limit,
        "kind": kind,
        "level": limit.level if limit else "",
        "started_at": now,
        "peak_at": now,
        "score": 0.9,
        "detector_version": "1",
        "status": status,
        "confidence": 0.8,
        "validated_at": now,
        **({} if kind == Anomaly.Kind.NO_DATA else measured),
    }
    return Anomaly.objects.create(**(usual | fields))


def raised(plant: Plant, **fields: object) -> Alarm:
    """The alarm of the plant's vibration beyond its limit."""
    alarm = raise_alarm(anomaly=notice(plant.sensor, limit=plant.limit, **fields))
    assert alarm is not None
    return alarm


def end(anomaly: Anomaly, at: datetime | None = None) -> None:
    anomaly.ended_at = at or clock.now()
    anomaly.save()


def end_all(alarm: Alarm) -> None:
    Anomaly.objects.filter(alarms=alarm).update(ended_at=clock.now())


def journal(alarm: Alarm) -> list[tuple[str, str]]:
    """What happened to it, and the state that it led to."""
    return list(alarm.entries.values_list("kind", "to_state"))


def pass_outermost_limit(plant: Plant, *, criticality: str = "B") -> Alarm | None:
    """The alarm of the plant's vibration beyond its outermost limit: major, and of criticality A critical."""
    Equipment.objects.filter(pk=plant.machine.pk).update(criticality=criticality)
    plant.sensor.equipment.refresh_from_db()
    limit, _ = Limit.objects.get_or_create(
        organization=plant.organization,
        sensor=plant.sensor,
        level="HH",
        defaults={"value": 9.0, "failure_mode": plant.failure_mode},
    )
    return raise_alarm(anomaly=notice(plant.sensor, limit=limit))


def hear_all(organization: Organization, *people: User) -> None:
    """Have people told of alarms of every severity."""
    for user in people:
        set_preference(
            user=user,
            organization=organization,
            severities=["critical", "major", "minor", "warning"],
            by_email=False,
        )


def told(user: User) -> list[str]:
    """The subjects of the messages to somebody."""
    return list(Notification.objects.filter(recipient=user).order_by("id").values_list("subject", flat=True))
