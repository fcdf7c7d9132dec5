"""Silence: sensors that were live and from which nothing new comes are noticed, until they come again.

What counts is when the newest reading arrived, not when it was measured: a device whose clock is wrong, or a buffer
that is sent late, still sends. A sensor whose newest reading came as history is not known to be live, and is not
waited for. Where nothing at all comes from a sender, or for an organisation, one of its sensors tells of it for all.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from sensors.models import Anomaly, SenderAbsence
from sensors.services.absences import (
    HELD_BY_KEYS,
    Absences,
    Span,
    end_absences,
    hold_sensors,
    listened,
    note_own_absence,
    note_planned_stops,
)
from sensors.services.senders import LastSent, newest_of_organizations, sensors_of_key, who_sent
from sensors.signals import anomaly_detected
from sensors.storage.arrays import number_array
from smartmaint.work import Tally

# Nobody is silent sooner: gateways send in batches, networks stumble, and the agent itself comes every ten seconds.
SHORTEST_WAIT = timedelta(minutes=1)
# A sensor that was silent so often within this time, and came back each time, reports irregularly: it is given half as
# long again as its longest silence, at most a day.
IRREGULAR_FROM, IRREGULAR_WITHIN, IRREGULAR_FACTOR = 3, timedelta(days=7), 1.5
LONGEST_EXTRA_WAIT = timedelta(days=1)
MOST_AT_ONCE = 5_000
VERSION = "silence-2"

_WAIT = """
    greatest(sensor.expected_interval_s * policy.silence_factor * interval '1 second', %(shortest)s)
"""
# Sensors that are left out are looked up in lists: that is quick whatever the planner knows of the rows.
_WAITED_FOR = f"""
    WITH known_silent AS MATERIALIZED (
        SELECT sensor_id FROM sensors_anomaly WHERE kind = 'no_data' AND ended_at IS NULL
    ),
    irregular AS MATERIALIZED (
        SELECT sensor_id,
               least(max(ended_at - started_at) * %(irregular_factor)s, %(longest_extra)s::interval) AS wait
        FROM sensors_anomaly WHERE kind = 'no_data' AND ended_at > %(now)s - %(irregular_within)s::interval
        GROUP BY sensor_id HAVING count(*) >= %(irregular_from)s
    ),
    given_time AS MATERIALIZED (
        SELECT sensor_id FROM irregular JOIN sensors_sensorlatest latest USING (sensor_id)
        WHERE latest.received_at >= %(now)s - irregular.wait
    ),
    told AS MATERIALIZED (
        SELECT organization_id FROM sensors_senderabsence WHERE ended_at IS NULL AND api_key_id IS NULL
    ),
    held AS MATERIALIZED (
        {HELD_BY_KEYS}
    ),
    counted AS MATERIALIZED (
        SELECT sensor_id FROM sensors_eventcount WHERE sensor_id IS NOT NULL
    )
    SELECT sensor.id, sensor.organization_id, latest.received_at,
           greatest(latest.received_at, stop.ended_at), wait.usual
    FROM sensors_sensor sensor
    JOIN sensors_sensorlatest latest ON latest.sensor_id = sensor.id
    JOIN accounts_organization organization ON organization.id = sensor.organization_id
    JOIN equipment_equipment machine ON machine.id = sensor.equipment_id
    JOIN sensors_ingestpolicy policy ON policy.organization_id = sensor.organization_id
    LEFT JOIN sensors_plannedstop stop ON stop.equipment_id = machine.id
    CROSS JOIN LATERAL (SELECT {_WAIT} AS usual) wait
    WHERE sensor.is_active AND organization.is_active AND (stop.equipment_id IS NULL OR stop.ended_at IS NOT NULL)
      AND NOT latest.is_historical
      AND greatest(latest.received_at, stop.ended_at) < %(now)s - wait.usual
      AND sensor.organization_id NOT IN (SELECT organization_id FROM told)
      AND sensor.id NOT IN (SELECT sensor_id FROM known_silent)
      AND sensor.id NOT IN (SELECT sensor_id FROM given_time)
      AND sensor.id NOT IN (SELECT sensor_id FROM held)
      AND sensor.id NOT IN (SELECT sensor_id FROM counted)
    ORDER BY machine.criticality, latest.received_at, sensor.id
"""
# One that had been ended by a change of settings or a repair, and not by data, goes on where it was.
_OPEN = """
    INSERT INTO sensors_anomaly (
        organization_id, sensor_id, kind, direction, level, pattern, started_at, peak_at, score, detector_version,
        noticed_at, detected_at, status, reasons, due_at, attempts, last_error
    )
    SELECT organization_id, sensor_id, 'no_data', '', '', '', received_at, ts, 1, %(version)s, %(now)s, %(now)s,
           'detected', '[]', %(due_at)s, 0, ''
    FROM unnest(%(sensors)s::bigint[], %(received_at)s::timestamptz[]) AS silent (sensor_id, received_at)
    JOIN sensors_sensorlatest latest USING (sensor_id, received_at)
    ORDER BY sensor_id
    ON CONFLICT (sensor_id, kind, direction, started_at) DO UPDATE SET ended_at = NULL
    RETURNING id, sensor_id, xmax = 0
"""
_END = f"""
    WITH over AS (
        SELECT silence.id, CASE
            WHEN NOT latest.is_historical AND latest.received_at > silence.started_at THEN latest.received_at
            WHEN NOT sensor.is_active OR %(now)s <= silence.started_at + wait.usual
            THEN greatest(silence.started_at, %(now)s)
        END AS ended_at
        FROM sensors_anomaly silence
        JOIN sensors_sensor sensor ON sensor.id = silence.sensor_id
        JOIN sensors_sensorlatest latest ON latest.sensor_id = silence.sensor_id
        JOIN sensors_ingestpolicy policy ON policy.organization_id = silence.organization_id
        CROSS JOIN LATERAL (SELECT {_WAIT} AS usual) wait
        WHERE silence.kind = 'no_data' AND silence.ended_at IS NULL
        ORDER BY silence.sensor_id, silence.id FOR NO KEY UPDATE OF silence
    )
    UPDATE sensors_anomaly silence SET ended_at = over.ended_at
    FROM over WHERE silence.id = over.id AND over.ended_at IS NOT NULL
"""


@dataclass(frozen=True)
class _Overdue:
    """A sensor from which nothing came for longer than its wait."""

    sensor_id: int
    organization_id: int
    received_at: datetime
    waiting_since: datetime
    wait: timedelta
    absences: list[Span]

    def has_waited(self, begin: datetime, end: datetime) -> bool:
        """Whether it could be heard for longer than its wait in that time."""
        return listened(begin, end, absences=self.absences) > self.wait


@dataclass
class _Found:
    """What a look found: the sensors to tell of, and those that tell of an absence for others too."""

    told: list[_Overdue]
    absent: dict[tuple[int, int | None], tuple[_Overdue, LastSent]]
    """By organisation and key, or None for all keys: who tells of it, and when the last readings came."""
    held: dict[int, list[int]]
    """More sensors of keys whose absence is told already."""


@transaction.atomic
def notice_silent_sensors() -> Tally:
    """End the silence of sensors that send again, then open an anomaly for what has fallen silent."""
    now = note_own_absence()
    note_planned_stops(now)
    known: dict[str, Any] = {
        "now": now,
        "shortest": SHORTEST_WAIT,
        "irregular_from": IRREGULAR_FROM,
        "irregular_within": IRREGULAR_WITHIN,
        "irregular_factor": IRREGULAR_FACTOR,
        "longest_extra": LONGEST_EXTRA_WAIT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_END, known)
        ended = cursor.rowcount
        end_absences()
        cursor.execute(_WAITED_FOR, known)
        overdue = _overdue(cursor.fetchall(), now)
    found = _find_silent(overdue, now)
    return Tally(settled=ended + _tell(found, now))


def _overdue(waited_for: list[tuple], now: datetime) -> list[_Overdue]:
    if not waited_for:
        return []
    first = min(received_at for _, _, received_at, *_ in waited_for)
    absences = Absences.since(first, organizations={row[1] for row in waited_for}, now=now)
    candidates = [
        _Overdue(
            sensor_id,
            organization_id,
            received_at,
            waiting_since,
            wait,
            absences.excusing(sensor_id, organization_id, received_at),
        )
        for sensor_id, organization_id, received_at, waiting_since, wait in waited_for
    ]
    return [one for one in candidates if one.has_waited(one.waiting_since, now)]


def _find_silent(overdue: list[_Overdue], now: datetime) -> _Found:
    """Tell a sensor's own silence from that of all around it.

    From the organisation down to the sender: when it was heard after the sensor should have been, it is not the
    cause. When it was not, nobody can say until it has been quiet for as long as the sensor may be.
    """
    found = _Found([], {}, {})
    if not overdue:
        return found
    known_absent = set(
        SenderAbsence.objects.filter(ended_at__isnull=True).values_list("api_key_id", flat=True)
    )
    organizations = newest_of_organizations({one.organization_id for one in overdue})
    senders = who_sent({one.sensor_id: one.received_at for one in overdue})
    for one in overdue:
        around = [organizations[one.organization_id]]
        if one.sensor_id in senders:
            around.append(senders[one.sensor_id])
        silent = next((last for last in around if not one.has_waited(one.waiting_since, last.at)), None)
        if silent is None:
            found.told.append(one)
        elif silent.api_key_id in known_absent - {None}:
            found.held.setdefault(silent.api_key_id, []).append(one.sensor_id)
        elif one.has_waited(silent.at, now):
            found.absent.setdefault((one.organization_id, silent.api_key_id), (one, silent))
    return found


def _tell(found: _Found, now: datetime) -> int:
    """Open the anomalies; returns how many."""
    for api_key_id, sensor_ids in found.held.items():
        hold_sensors(api_key_id, sensor_ids)
    absent = [_absence(*key, last) for key, (_, last) in found.absent.items()]
    tellers = [teller for teller, _ in found.absent.values()]
    is_told = [absence.anomaly_id is not None for absence in absent]
    unknown = [teller for teller, told in zip(tellers, is_told, strict=True) if not told]
    opened = _open([*unknown, *found.told][:MOST_AT_ONCE], now)
    for absence, teller in zip(absent, tellers, strict=True):
        absence.anomaly_id = absence.anomaly_id or opened.get(teller.sensor_id)
        if absence.anomaly_id is not None:
            absence.save()
    return len(opened)


def _absence(organization_id: int, api_key_id: int | None, last: LastSent) -> SenderAbsence:
    """An absence to be saved, with the anomaly that tells of it already: of an organisation that is back in part."""
    absence = SenderAbsence(organization_id=organization_id, api_key_id=api_key_id, began_at=last.at)
    if api_key_id is not None:
        absence.sensor_ids = sensors_of_key(api_key_id, until=last.at)
        silent = Anomaly.objects.open().filter(
            kind=Anomaly.Kind.NO_DATA, sensor__in=absence.sensor_ids, detected_at__gt=last.at
        )
        absence.anomaly_id = silent.order_by("id").values_list("pk", flat=True).first()
    return absence


def _open(silent: list[_Overdue], now: datetime) -> dict[int, int]:
    """Open an anomaly for each; returns their ids by sensor. One that sent meanwhile is left out."""
    if not silent:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _OPEN,
            {
                "sensors": number_array([one.sensor_id for one in silent]),
                "received_at": [one.received_at for one in silent],
                "now": now,
                "due_at": datetime.now(UTC),
                "version": VERSION,
            },
        )
        rows = cursor.fetchall()
    new = [key for key, _, is_new in rows if is_new]
    for silence in Anomaly.objects.filter(pk__in=new).select_related("sensor").order_by("sensor_id"):
        anomaly_detected.send(sender=Anomaly, anomaly=silence)
    return {sensor_id: key for key, sensor_id, _ in rows}
