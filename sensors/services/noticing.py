"""Excursions become anomalies: each is opened once, moved on while it lasts, and ended."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from sensors import storage
from sensors.detection.detector import DETECTOR_VERSION
from sensors.detection.excursions import Excursion
from sensors.models import Anomaly, Pattern, Sensor
from sensors.services.outcomes import SensorDetection
from sensors.signals import anomaly_detected, anomaly_ended
from smartmaint import clock
from smartmaint.accounts.models import Organization

_Key = tuple[str, str, datetime]
"""Kind, direction and start: what an excursion is recognised by."""

DESCRIPTION = [
    "limit",
    "level",
    "pattern",
    "noticed_at",
    "peak_at",
    "peak_value",
    "expected_value",
    "score",
    "ended_at",
]


def keep_anomalies(detection: SensorDetection) -> None:
    """Insert excursions as anomalies, or bring those that stand for them up to date."""
    starts = [storage.moment(excursion.started_us) for excursion in detection.excursions]
    # Locked: validation and people write to the same rows.
    known = {
        _key_of(anomaly): anomaly
        for anomaly in Anomaly.objects.select_for_update(no_key=True, of=("self",))
        .filter(Q(ended_at__isnull=True) | Q(started_at__in=starts), sensor=detection.sensor)
        .order_by("id")
    }
    for excursion, started_at in zip(detection.excursions, starts, strict=True):
        anomaly = known.get((excursion.kind, excursion.direction, started_at))
        if anomaly is not None:
            _update_anomaly(anomaly, detection.sensor, excursion)
        elif detection.may_open_anomaly(excursion):
            _open_anomaly(detection, excursion, started_at)
    if detection.anew_from is not None:
        found: set[_Key] = {
            (one.kind, one.direction, at) for one, at in zip(detection.excursions, starts, strict=True)
        }
        _end_what_is_not_found_again(detection, found)


def _key_of(anomaly: Anomaly) -> _Key:
    return anomaly.kind, anomaly.direction, anomaly.started_at


def _open_anomaly(detection: SensorDetection, excursion: Excursion, started_at: datetime) -> None:
    sensor = detection.sensor
    _end_forgotten(sensor, excursion, started_at)
    anomaly = Anomaly(
        organization_id=sensor.organization_id,
        sensor=sensor,
        batch=detection.touched.newest_live,
        kind=excursion.kind,
        direction=excursion.direction,
        started_at=started_at,
        detector_version=DETECTOR_VERSION,
    )
    _describe(anomaly, sensor, excursion)
    anomaly.mark_due()
    anomaly.save()
    anomaly_detected.send(sender=Anomaly, anomaly=anomaly)


def _end_forgotten(sensor: Sensor, excursion: Excursion, started_at: datetime) -> None:
    """One that was left open, by a detector that has forgotten it since, is over when another begins."""
    if excursion.ended_us is not None:
        return
    if excursion.pattern == Pattern.RATE:
        cannot_be_open_beside_it = Q(pattern=Pattern.RATE)
    else:
        cannot_be_open_beside_it = Q(kind=excursion.kind, direction=excursion.direction) & ~Q(
            pattern=Pattern.RATE
        )
    forgotten = Anomaly.objects.open().filter(cannot_be_open_beside_it, sensor=sensor)
    for anomaly in forgotten.select_for_update(no_key=True, of=("self",)).order_by("id"):
        _end(anomaly, started_at)


def _end_what_is_not_found_again(detection: SensorDetection, found: set[_Key]) -> None:
    """End what is not there any more, say because its reading was corrected: what was scored anew is as the readings
    are now.
    """
    excursions = Anomaly.objects.open().exclude(kind=Anomaly.Kind.NO_DATA)
    scored_anew = excursions.filter(sensor=detection.sensor, started_at__gt=detection.anew_from)
    for anomaly in scored_anew.select_for_update(no_key=True, of=("self",)).order_by("id"):
        if _key_of(anomaly) not in found:
            _end(anomaly, detection.state.last_ts or anomaly.started_at)


def _end(anomaly: Anomaly, at: datetime) -> None:
    anomaly.ended_at = max(anomaly.started_at, at)
    anomaly.save(update_fields=["ended_at"])
    anomaly_ended.send(sender=Anomaly, anomaly=anomaly)


def end_excursions_of_switched_off(organization: Organization | None = None) -> int:
    """End what sensors that are switched off left open: no reading of theirs will. Returns how many."""
    excursions = Anomaly.objects.for_one_or_all(organization).open().exclude(kind=Anomaly.Kind.NO_DATA)
    left_open = excursions.filter(sensor__is_active=False).order_by("sensor_id", "id")
    if not left_open.exists():
        return 0
    with transaction.atomic():
        locked = left_open.select_for_update(no_key=True, of=("self",)).values_list("pk", flat=True)
        ended = Anomaly.objects.filter(pk__in=list(locked))
        return ended.update(ended_at=Greatest(F("started_at"), clock.now()))


def _update_anomaly(anomaly: Anomaly, sensor: Sensor, excursion: Excursion) -> None:
    if anomaly.ended_at is not None:
        return
    changed = list(DESCRIPTION)
    if (anomaly.pattern == Pattern.RATE) != (excursion.pattern == Pattern.RATE):
        # Its sensor got or lost a fastest change, and was scored anew.
        _end_forgotten(sensor, excursion, anomaly.started_at)
    if excursion.level != anomaly.level:
        anomaly.judge_again()
        changed += Anomaly.JUDGEMENT_FIELDS
    _describe(anomaly, sensor, excursion)
    anomaly.save(update_fields=changed)
    if anomaly.ended_at is not None:
        anomaly_ended.send(sender=Anomaly, anomaly=anomaly)


def _describe(anomaly: Anomaly, sensor: Sensor, excursion: Excursion) -> None:
    anomaly.limit = next((limit for limit in sensor.limits.all() if limit.level == excursion.level), None)
    anomaly.level, anomaly.pattern = excursion.level, excursion.pattern
    anomaly.noticed_at = storage.moment(excursion.noticed_us)
    anomaly.peak_at, anomaly.peak_value = storage.moment(excursion.peak_us), excursion.peak_value
    anomaly.expected_value, anomaly.score = excursion.expected, excursion.score
    anomaly.ended_at = None if excursion.ended_us is None else storage.moment(excursion.ended_us)
