"""The hourly refresh of a whole fleet: from asking for predictions until the last one is in the ledger.

One process without Celery, as its worker does it: the agent is called again and again until nothing waits. The database
is a throw-away one, which does not wait for the disk.
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from datetime import timedelta

from django.core.management import call_command
from django.db import connection

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site
from maintenance.models import Proposal
from predictions.agents import make_predictions
from predictions.models import Prediction
from predictions.services.requesting import request_due_predictions
from sensors import storage
from sensors.models import Level, Limit, Sensor
from smartmaint import clock
from smartmaint.accounts.services import create_organization

HOURS, RAW_DAYS, RAW_MINUTES = 1_000, 2, 10
SENSORS_A_MACHINE = 10
SENSORS_AT_ONCE = 1_000

# Lines that rise or fall, a daily and a weekly cycle and noise about 50; each sensor has its own.
_LEVEL = """
    50 + 4 * (sensor.id %% 7 - 3) * extract(epoch FROM at - %(now)s) / (86400 * 41)
    + sensor.id %% 5 * sin(extract(epoch FROM at) / 86400 * 2 * pi() + sensor.id)
    + sensor.id %% 3 * sin(extract(epoch FROM at) / 604800 * 2 * pi() + sensor.id)
    + (0.3 + sensor.id %% 4) * (random() + random() + random() + random() - 2)
"""
_ROLLUPS = f"""
    INSERT INTO sensors_hourlyrollup (sensor_id, started_at, count, mean, minimum, maximum)
    SELECT sensor.id, at, 6, value, value, value
    FROM sensors_sensor sensor
    CROSS JOIN generate_series(%(hour)s - %(hours)s * interval '1 hour', %(hour)s, interval '1 hour') at
    CROSS JOIN LATERAL (SELECT {_LEVEL} AS value) made
    WHERE sensor.id = ANY(%(sensors)s)
"""
_READINGS = f"""
    INSERT INTO sensors_reading (sensor_id, ts, value, quality)
    SELECT sensor.id, at, {_LEVEL}, 0
    FROM sensors_sensor sensor
    CROSS JOIN generate_series(
        %(hour)s - %(raw_days)s * interval '1 day', %(now)s, %(raw_minutes)s * interval '1 minute'
    ) at
    WHERE sensor.id = ANY(%(sensors)s)
"""
_LATEST = """
    INSERT INTO sensors_sensorlatest (sensor_id, organization_id, ts, value, quality, received_at, is_historical)
    SELECT id, organization_id, %(now)s, 50, 0, %(now)s, false FROM sensors_sensor
"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks refresh", description=__doc__)
    parser.add_argument(
        "--sensors", type=int, default=10_000, help="each with one limit (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    call_command("migrate", verbosity=0)
    lay_out(options.sensors)
    began = time.perf_counter()
    asked = request_due_predictions()
    requested = time.perf_counter()
    while Prediction.objects.due().exists():
        make_predictions()
    figures = {
        "refresh_sensors": float(Prediction.objects.settled().count()),
        "refresh_seconds": time.perf_counter() - began,
        "refresh_seconds_to_ask": requested - began,
        "refresh_peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "refresh_made": float(Prediction.objects.made().count()),
        "refresh_tasks_proposed": float(Proposal.objects.filter(task__isnull=False).count()),
    }
    if asked != options.sensors or figures["refresh_sensors"] != asked:
        raise RuntimeError(f"Of {options.sensors} sensors {asked} were asked for: {figures}")
    print(json.dumps(figures, indent=2) if options.json else figures)
    return 0


def lay_out(sensors: int) -> None:
    """One organisation with as many sensors, ten a machine, with history; a failure limit each."""
    organization = create_organization(name="Fleet", time_zone="UTC")
    site = Site.objects.create(organization=organization, name="Works")
    pumps = EquipmentClass.objects.get(organization=organization, code="PU")
    vibration = FailureMode.objects.get(organization=organization, equipment_class=pumps, code="VIB")
    machines = Equipment.objects.bulk_create(
        Equipment(
            organization=organization,
            site=site,
            equipment_class=pumps,
            tag=f"P-{number}",
            name=f"Pump {number}",
            criticality=Criticality.B,
        )
        for number in range((sensors - 1) // SENSORS_A_MACHINE + 1)
    )
    made = Sensor.objects.bulk_create(
        Sensor(
            organization=organization,
            equipment=machines[number // SENSORS_A_MACHINE],
            key=f"pump-{number}/vibration",
            quantity="vibration velocity",
            unit="mm/s",
            expected_interval_s=RAW_MINUTES * 60,
        )
        for number in range(sensors)
    )
    Limit.objects.bulk_create(
        Limit(organization=organization, sensor=sensor, level=Level.HIGH, value=64, failure_mode=vibration)
        for sensor in made
    )
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    storage.make_partitions(
        storage.microseconds(now - timedelta(days=RAW_DAYS + 1)), storage.microseconds(now)
    )
    ids = [sensor.pk for sensor in made]
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for begin in range(0, sensors, SENSORS_AT_ONCE):
            told = {
                "now": now,
                "hour": hour,
                "hours": HOURS,
                "raw_days": RAW_DAYS,
                "raw_minutes": RAW_MINUTES,
                "sensors": ids[begin : begin + SENSORS_AT_ONCE],
            }
            cursor.execute(_ROLLUPS, told)
            cursor.execute(_READINGS, told)
        cursor.execute(_LATEST, {"now": now})
        cursor.execute("ANALYZE")
