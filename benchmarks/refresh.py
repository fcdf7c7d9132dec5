"""The hourly refresh of a whole fleet: from asking for predictions until the last one is in the ledger.

Twice: with the contest that each sensor holds once a day, and an hour later, when nobody holds one.

As many processes as the worker gives to forecasts, without Celery: each calls the agent again and again until nothing
waits. The database is a throw-away one, which does not wait for the disk.
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site
from maintenance.models import Proposal
from predictions.agents import make_predictions
from predictions.models import Prediction
from predictions.services.requesting import PERIOD, request_due_predictions
from sensors import storage
from sensors.models import Level, Limit, Sensor
from smartmaint import clock
from smartmaint.accounts.services import create_organization

RAW_DAYS, RAW_MINUTES = 2, 10
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
    parser.add_argument("--hours", type=int, default=1_000, help="of history each (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    call_command("migrate", verbosity=0)
    lay_out(options.sensors, options.hours)
    figures = refresh_all(options.sensors)
    with clock.frozen(clock.now() + PERIOD):
        an_hour_of_news()
        next_hour = refresh_all(options.sensors)
    figures["refresh_seconds_next_hour"] = next_hour["refresh_seconds"]
    print(json.dumps(figures, indent=2) if options.json else figures)
    return 0


def refresh_all(sensors: int) -> dict[str, float]:
    """Ask for a prediction of each sensor and make them all; raises RuntimeError where one is not made."""
    made_before = Prediction.objects.made().count()
    began = time.perf_counter()
    asked = request_due_predictions()
    requested = time.perf_counter()
    memory_mb = make_all()
    ended = time.perf_counter()
    made = Prediction.objects.made().count() - made_before
    if asked != sensors or made != sensors:
        raise RuntimeError(f"Of {sensors} sensors {asked} were asked for and {made} predictions made.")
    return {
        "refresh_sensors": float(asked),
        "refresh_seconds": ended - began,
        "refresh_seconds_to_ask": requested - began,
        "refresh_peak_memory_mb": memory_mb,
        "refresh_made": float(made),
        "refresh_tasks_proposed": float(Proposal.objects.filter(task__isnull=False).count()),
    }


def make_all() -> float:
    """Let the agents work until nothing waits; returns the sum of their peaks of memory, in MB."""
    connection.close()  # what is forked must not share it
    places = settings.FORECASTS_AT_ONCE
    with ProcessPoolExecutor(places, mp_context=get_context("fork")) as workers:
        return sum(workers.map(make_until_nothing_waits, range(places)))


def make_until_nothing_waits(_place: int) -> float:
    """As one process of the worker; returns its peak of memory in MB."""
    while Prediction.objects.due().exists():
        make_predictions()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def an_hour_of_news() -> None:
    """The newest reading of each sensor again, an hour later: there is something to forecast from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sensors_reading (sensor_id, ts, value, quality) "
            "SELECT reading.sensor_id, %(now)s, reading.value, 0 FROM sensors_reading reading "
            "JOIN (SELECT sensor_id, max(ts) AS ts FROM sensors_reading GROUP BY sensor_id) newest "
            "USING (sensor_id, ts)",
            {"now": clock.now()},
        )
        cursor.execute(
            "UPDATE sensors_sensorlatest SET ts = %(now)s, received_at = %(now)s", {"now": clock.now()}
        )


def lay_out(sensors: int, hours: int) -> None:
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
        storage.microseconds(now - timedelta(days=RAW_DAYS + 1)), storage.microseconds(now + PERIOD)
    )
    ids = [sensor.pk for sensor in made]
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for begin in range(0, sensors, SENSORS_AT_ONCE):
            told = {
                "now": now,
                "hour": hour,
                "hours": hours,
                "raw_days": RAW_DAYS,
                "raw_minutes": RAW_MINUTES,
                "sensors": ids[begin : begin + SENSORS_AT_ONCE],
            }
            cursor.execute(_ROLLUPS, told)
            cursor.execute(_READINGS, told)
        cursor.execute(_LATEST, {"now": now})
        cursor.execute("ANALYZE")
