"""Absences: times in which the service did not listen, a sender did not send, or a machine was stopped by plan."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import RawSQL

from equipment.models import PLANNED_STOPS
from sensors.models import (
    Anomaly,
    SenderAbsence,
    Sensor,
    SensorLatest,
    ServiceAbsence,
    SilenceWatch,
)
from sensors.services.senders import first_sent_after
from smartmaint import clock

log = structlog.get_logger(__name__)

# When the agent did not look for so long, the service itself was away.
AWAY_AFTER = timedelta(minutes=1)
# No sensor is waited for so long.
KEPT = timedelta(days=366)
# Once a wait is so many times as long, an absence no longer matters to it. So a service that is away again and again
# leaves about so many rows, and not one for each look of a year.
MATTERS_FOR = 100
BEFORE_THE_FIRST_LOOK = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]

# Sensors of keys that are absent, but for those that came by another way since.
HELD_BY_KEYS = """
    SELECT latest.sensor_id FROM sensors_senderabsence absence
    CROSS JOIN LATERAL unnest(absence.sensor_ids) AS held (sensor_id)
    JOIN sensors_sensorlatest latest ON latest.sensor_id = held.sensor_id
    WHERE absence.ended_at IS NULL AND latest.received_at <= absence.began_at
"""

# Of organisations from which something does not come: one that reports once a day is not silent after an hour.
_OVERDUE = """
    SELECT latest.sensor_id FROM sensors_senderabsence absence
    JOIN sensors_sensor sensor ON sensor.organization_id = absence.organization_id
    JOIN sensors_sensorlatest latest ON latest.sensor_id = sensor.id
    JOIN sensors_ingestpolicy policy ON policy.organization_id = sensor.organization_id
    WHERE absence.ended_at IS NULL
      AND latest.received_at < %s - sensor.expected_interval_s * policy.silence_factor * interval '1 second'
"""

_STOPPED = """
    WITH RECURSIVE stopped (id, organization_id) AS (
        SELECT id, organization_id FROM equipment_equipment WHERE state = ANY(%(planned_stops)s)
        UNION
        SELECT part.id, part.organization_id FROM equipment_equipment part JOIN stopped ON part.parent_id = stopped.id
    )
"""
_BEGIN_STOPS = f"""
    {_STOPPED}
    INSERT INTO sensors_plannedstop (equipment_id, organization_id, ended_at)
    SELECT id, organization_id, NULL FROM stopped
    ON CONFLICT (equipment_id) DO UPDATE SET ended_at = NULL WHERE sensors_plannedstop.ended_at IS NOT NULL
"""
_END_STOPS = f"""
    {_STOPPED}
    UPDATE sensors_plannedstop SET ended_at = %(now)s
    WHERE ended_at IS NULL AND equipment_id NOT IN (SELECT id FROM stopped)
"""


def note_own_absence() -> datetime:
    """Note since when the service was away, if it was; its row makes a second look wait until this one is done.

    Returns the moment of this look. It is read when the row is ours: read before, it could be older than the look that
    was waited for, and the next one would find the service away that never was.
    """
    watch, _ = SilenceWatch.objects.select_for_update().get_or_create(
        defaults={"looked_at": BEFORE_THE_FIRST_LOOK}
    )
    now = clock.now()
    if now > watch.looked_at + AWAY_AFTER:
        _note_away(watch.looked_at, now)
    watch.looked_at = now
    watch.save()
    return now


def _note_away(looked_at: datetime, now: datetime) -> None:
    """Note an absence whole, but of looks that come late one upon the other only what is beyond a minute.

    After an update or a power cut the senders need time to come back. Looks that are late again and again come from a
    worker that is slow: excused whole, they would leave no time in which a sensor could be silent.
    """
    just_before = ServiceAbsence.objects.filter(
        began_at__gt=BEFORE_THE_FIRST_LOOK, ended_at__gt=looked_at - AWAY_AFTER, ended_at__lte=looked_at
    )
    began_at = looked_at + AWAY_AFTER if just_before.exists() else looked_at
    ServiceAbsence.objects.create(began_at=began_at, ended_at=now)
    if looked_at != BEFORE_THE_FIRST_LOOK:
        log.warning("service_was_away", seconds=(now - looked_at).total_seconds())
    ServiceAbsence.objects.filter(
        Q(ended_at__lt=now - KEPT) | Q(ended_at__lt=now - (F("ended_at") - F("began_at")) * MATTERS_FOR)
    ).delete()
    SenderAbsence.objects.filter(ended_at__lt=now - KEPT).delete()


def note_planned_stops(now: datetime) -> None:
    """Note which machines are stopped by plan, and which are back."""
    known: dict[str, Any] = {"now": now, "planned_stops": [state.value for state in PLANNED_STOPS]}
    with connection.cursor() as cursor:
        cursor.execute(_END_STOPS, known)
        cursor.execute(_BEGIN_STOPS, known)


def end_absences() -> None:
    """End the absence of senders that send again; to be called when silences that are over have been ended."""
    for absence in SenderAbsence.objects.filter(ended_at__isnull=True).select_related("anomaly"):
        silence = absence.anomaly
        returned_at = _first_sent_after(absence)
        if returned_at is None and silence.ended_at is not None:
            newest = SensorLatest.objects.filter(sensor_id=silence.sensor_id, is_historical=False)
            if not newest.filter(received_at__gt=silence.started_at).exists():
                # Somebody switched the sensor off, or gave it more time: another one has to tell of the absence.
                absence.delete()
                continue
            # It comes by another way now; those that do not are waited for again.
            returned_at = silence.ended_at
        if returned_at is not None:
            absence.ended_at = max(returned_at, absence.began_at)
            absence.save(update_fields=["ended_at"])


def hold_sensors(api_key_id: int, sensor_ids: Iterable[int]) -> None:
    """Count sensors to those of an absent key that were not known as its own."""
    for absence in SenderAbsence.objects.filter(api_key=api_key_id, ended_at__isnull=True):
        absence.sensor_ids = sorted({*absence.sensor_ids, *sensor_ids})
        absence.save(update_fields=["sensor_ids"])


def held_sensors() -> QuerySet[Sensor]:
    """Sensors that are silent without being told: another one tells of the absence of their sender, or of all.

    At a planned stop a sensor may be silent, and before its time, and counts for nothing here as it does alone.
    """
    of_all = SenderAbsence.objects.filter(ended_at__isnull=True, api_key__isnull=True)
    told = Anomaly.objects.open().filter(kind=Anomaly.Kind.NO_DATA)
    held = Q(pk__in=RawSQL(HELD_BY_KEYS, ())) | Q(organization__in=of_all.values("organization"))
    stopped = Q(equipment__planned_stop__isnull=False, equipment__planned_stop__ended_at__isnull=True)
    return Sensor.objects.filter(
        held,
        ~stopped,
        pk__in=RawSQL(_OVERDUE, (clock.now(),)),
        is_active=True,
        latest__is_historical=False,
        event_count=None,
    ).exclude(pk__in=told.values("sensor"))


def _first_sent_after(absence: SenderAbsence) -> datetime | None:
    if absence.api_key_id is not None:
        return first_sent_after(absence.api_key_id, absence.began_at)
    live = SensorLatest.objects.filter(
        organization_id=absence.organization_id, is_historical=False, sensor__event_count=None
    )
    first = live.filter(received_at__gt=absence.began_at).order_by("received_at")
    return first.values_list("received_at", flat=True).first()


@dataclass(frozen=True)
class Absences:
    """The absences of the service and of the senders of some organisations, by what they excuse."""

    of_service: list[Span]
    of_organization: dict[int, list[Span]]
    of_sensor: dict[int, list[Span]]

    @classmethod
    def since(cls, since: datetime, *, now: datetime, organizations: Iterable[int]) -> "Absences":
        """Those that had not ended by `since`; one that goes on ends `now`."""
        service = ServiceAbsence.objects.filter(ended_at__gt=since).values_list("began_at", "ended_at")
        of_organization: dict[int, list[Span]] = defaultdict(list)
        of_sensor: dict[int, list[Span]] = defaultdict(list)
        senders = SenderAbsence.objects.filter(
            Q(ended_at__isnull=True) | Q(ended_at__gt=since), organization__in=set(organizations)
        )
        for absence in senders:
            span = (absence.began_at, absence.ended_at or now)
            if absence.api_key_id is None:
                of_organization[absence.organization_id].append(span)
            for sensor_id in absence.sensor_ids:
                of_sensor[sensor_id].append(span)
        return cls(list(service), of_organization, of_sensor)

    def excusing(self, sensor_id: int, organization_id: int, received_at: datetime) -> list[Span]:
        """When a sensor could not be heard. What came since an absence began came by another way."""
        of_others = [*self.of_organization.get(organization_id, ()), *self.of_sensor.get(sensor_id, ())]
        return [*self.of_service, *(span for span in of_others if span[0] >= received_at)]


def listened(begin: datetime, end: datetime, *, absences: list[Span]) -> timedelta:
    """How long somebody could be heard from `begin` to `end`: what lies in none of the absences; never below 0."""
    heard, until = max(end - begin, timedelta(0)), begin
    for absence_began, absence_ended in sorted(absences):
        first, last = max(absence_began, until), min(absence_ended, end)
        if last > first:
            heard -= last - first
            until = last
    return heard
