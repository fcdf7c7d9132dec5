"""Silence: sensors that were live and from which nothing new comes are noticed, each by itself, until it comes again.

What counts is when the newest reading arrived, not when it was measured: a device whose clock is wrong, or a buffer
that is sent late, still sends. A sensor whose newest reading came as history is not known to be live, and is not
waited for.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from equipment.models import State
from sensors.models import Anomaly, IngestPolicy, ReadingBatch, SilenceWatch
from sensors.signals import anomaly_detected
from smartmaint import clock
from smartmaint.work import Tally

# Nobody is silent sooner: gateways send in batches, networks stumble, and the agent itself comes every ten seconds.
SHORTEST_WAIT = timedelta(minutes=1)
# When the agent did not look for so long, the service itself was away, and everybody's wait begins anew.
AWAY_AFTER = timedelta(minutes=1)
# A sensor that was silent so often within this time, and came back each time, reports irregularly: it is given half as
# long again as its longest silence, at most a day.
IRREGULAR_FROM, IRREGULAR_WITHIN, IRREGULAR_FACTOR = 3, timedelta(days=7), 1.5
LONGEST_EXTRA_WAIT = timedelta(days=1)
MOST_AT_ONCE = 5_000
REQUESTS_LOOKED_AT = 50
VERSION = "silence-1"

# A planned stop: people have said so.
MAY_BE_SILENT = (State.MAINTENANCE.value, State.OUT_OF_SERVICE.value)

_WAIT = """
    greatest(
        sensor.expected_interval_s * coalesce(policy.silence_factor, %(usual_factor)s) * interval '1 second',
        %(shortest)s
    )
"""
# Sensors that are left out are looked up in lists: that is quick whatever the planner knows of the rows.
_OVERDUE = f"""
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
    )
    SELECT sensor.id AS sensor_id, sensor.organization_id, latest.received_at, latest.ts
    FROM sensors_sensor sensor
    JOIN sensors_sensorlatest latest ON latest.sensor_id = sensor.id
    JOIN accounts_organization organization ON organization.id = sensor.organization_id
    JOIN equipment_equipment machine ON machine.id = sensor.equipment_id
    LEFT JOIN sensors_ingestpolicy policy ON policy.organization_id = sensor.organization_id
    CROSS JOIN LATERAL (SELECT {_WAIT} AS usual) wait
    WHERE sensor.is_active AND organization.is_active AND NOT (machine.state = ANY(%(may_be_silent)s))
      AND NOT latest.is_historical
      AND greatest(latest.received_at, %(listening_since)s) < %(now)s - wait.usual
      AND sensor.id NOT IN (SELECT sensor_id FROM known_silent)
      AND sensor.id NOT IN (SELECT sensor_id FROM given_time)
    ORDER BY latest.received_at LIMIT %(most)s
"""
# One that had been ended by a change of settings or a repair, and not by data, goes on where it was.
_OPEN = f"""
    INSERT INTO sensors_anomaly (
        organization_id, sensor_id, kind, direction, level, started_at, peak_at, score, detector_version, detected_at,
        status, reasons, due_at, attempts, last_error
    )
    SELECT organization_id, sensor_id, 'no_data', '', '', received_at, ts, 1, %(version)s, %(now)s,
           'detected', '[]', %(due_at)s, 0, ''
    FROM ({_OVERDUE}) overdue ORDER BY sensor_id
    ON CONFLICT (sensor_id, kind, direction, started_at) DO UPDATE SET ended_at = NULL
    RETURNING id, xmax = 0
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
        LEFT JOIN sensors_ingestpolicy policy ON policy.organization_id = silence.organization_id
        CROSS JOIN LATERAL (SELECT {_WAIT} AS usual) wait
        WHERE silence.kind = 'no_data' AND silence.ended_at IS NULL
        ORDER BY silence.sensor_id, silence.id FOR NO KEY UPDATE OF silence
    )
    UPDATE sensors_anomaly silence SET ended_at = over.ended_at
    FROM over WHERE silence.id = over.id AND over.ended_at IS NOT NULL
"""


@dataclass(frozen=True)
class Sender:
    """Who sent a sensor's last reading, and how many of the sensors that it sent then are silent now."""

    name: str
    sensors: int
    silent: int

    @property
    def silent_share(self) -> float:
        return self.silent / self.sensors


@transaction.atomic
def notice_silent_sensors() -> Tally:
    """End the silence of sensors that send again, then open an anomaly for each that has fallen silent."""
    now = clock.now()
    known = {
        "now": now,
        "due_at": datetime.now(UTC),
        "listening_since": _listen(now),
        "usual_factor": IngestPolicy._meta.get_field("silence_factor").default,
        "shortest": SHORTEST_WAIT,
        "may_be_silent": list(MAY_BE_SILENT),
        "irregular_from": IRREGULAR_FROM,
        "irregular_within": IRREGULAR_WITHIN,
        "irregular_factor": IRREGULAR_FACTOR,
        "longest_extra": LONGEST_EXTRA_WAIT,
        "most": MOST_AT_ONCE,
        "version": VERSION,
    }
    with connection.cursor() as cursor:
        cursor.execute(_END, known)
        ended = cursor.rowcount
        cursor.execute(_OPEN, known)
        opened = cursor.fetchall()
    new = [key for key, is_new in opened if is_new]
    for silence in Anomaly.objects.filter(pk__in=new).select_related("sensor").order_by("sensor_id"):
        anomaly_detected.send(sender=Anomaly, anomaly=silence)
    return Tally(settled=ended + len(opened))


def _listen(now: datetime) -> datetime:
    """Since when readings could come in without a break; its row makes a second agent wait until this one is done."""
    watch, _ = SilenceWatch.objects.select_for_update().get_or_create(
        defaults={"began_at": now, "looked_at": now}
    )
    if not watch.looked_at <= now <= watch.looked_at + AWAY_AFTER:
        watch.began_at = now
    watch.looked_at = now
    watch.save()
    return watch.began_at


def find_sender(silence: Anomaly) -> Sender | None:
    """Who sent the last reading of a silent sensor, and who else is silent; None where it came without a key."""
    batches = ReadingBatch.objects.filter(
        organization_id=silence.organization_id, api_key__isnull=False, is_historical=False
    )
    last = (
        batches.filter(
            # The request's receipt was written just after its readings.
            received_at__gte=silence.started_at,
            received_at__lte=silence.started_at + timedelta(minutes=1),
            sensor_ids__contains=[silence.sensor_id],
        )
        .select_related("api_key")
        .order_by("received_at", "id")
        .first()
    )
    if last is None:
        return None
    before = batches.filter(api_key=last.api_key, received_at__lte=last.received_at).order_by("-received_at")
    sensors = set().union(*before.values_list("sensor_ids", flat=True)[:REQUESTS_LOOKED_AT])
    silent = Anomaly.objects.open().filter(
        organization_id=silence.organization_id, kind=Anomaly.Kind.NO_DATA, sensor__in=sensors
    )
    return Sender(name=last.api_key.name, sensors=len(sensors), silent=silent.count())
