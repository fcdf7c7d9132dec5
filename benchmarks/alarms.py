"""What alarms and health cost: raising, a look at what stands, a whole fleet whose conditions go, and its health.

On a throw-away database, which does not wait for the disk; one process, one organisation.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import timedelta

from django.core.management import call_command

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site
from maintenance.services.health import report_maintenance
from predictions.services.health import report_forecasts
from sensors.models import Alarm, Anomaly, Level, Limit, Sensor, SensorLatest
from sensors.services.alarms.escalating import escalate_alarms
from sensors.services.alarms.raising import raise_alarm
from sensors.services.alarms.watching import watch_alarms
from sensors.services.condition import report_condition
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.accounts.services import create_organization
from tests.alarms import notice

Row = tuple[str, float, str]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks alarms", description=__doc__)
    parser.add_argument("--machines", type=int, default=10_000, help="one sensor and limit each")
    parser.add_argument("--alarms", type=int, default=1_000, help="how many of them have an alarm")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    call_command("migrate", verbosity=0)
    limits = build(options.machines)
    anomalies = [notice(limit.sensor, limit=limit) for limit in limits[: options.alarms]]
    rows = [
        timed(f"raise {options.alarms} alarms", lambda: [raise_alarm(anomaly=one) for one in anomalies]),
        timed("a look that finds nothing", watch_alarms),
        timed("a look for what escalates that finds nothing", escalate_alarms),
        timed(f"health of {options.machines} machines, for the first time", report_health),
        timed("health again, with no news", report_health),
    ]
    Anomaly.objects.update(ended_at=clock.now() + timedelta(seconds=1))
    rows += [
        timed(f"the conditions of {options.alarms} alarms go", watch_alarms),
        timed(f"health of {options.alarms} machines anew", report_health),
    ]
    assert not Alarm.objects.filter(is_active=True).exists()
    print(json.dumps(dict(row[:2] for row in rows)) if options.json else table(rows))
    return 0


def build(machines: int) -> list[Limit]:
    """So many machines with a sensor that has sent, and a limit."""
    organization: Organization = create_organization(name="Fleet", time_zone="UTC")
    owned = {"organization": organization}
    site = Site.objects.create(**owned, name="Works")
    pumps = EquipmentClass.objects.get(**owned, code="PU")
    mode = FailureMode.objects.get(**owned, equipment_class=pumps, code="VIB")
    made = Equipment.objects.bulk_create(
        Equipment(
            **owned,
            site=site,
            tag=f"P-{number}",
            name="Pump",
            equipment_class=pumps,
            criticality=Criticality.B,
        )
        for number in range(machines)
    )
    sensors = Sensor.objects.bulk_create(
        Sensor(**owned, equipment=machine, key=f"{machine.tag}/vibration", quantity="vibration", unit="mm/s")
        for machine in made
    )
    now = clock.now()
    SensorLatest.objects.bulk_create(
        SensorLatest(sensor=sensor, **owned, ts=now, value=1.0, quality=0, received_at=now)
        for sensor in sensors
    )
    return Limit.objects.bulk_create(
        Limit(**owned, sensor=sensor, level=Level.HIGH, value=7.1, failure_mode=mode) for sensor in sensors
    )


def report_health() -> None:
    report_condition()
    report_forecasts()
    report_maintenance()


def timed(what: str, do: Callable[[], object]) -> Row:
    began = time.perf_counter()
    do()
    return what, round(time.perf_counter() - began, 3), "s"


def table(rows: list[Row]) -> str:
    return "\n".join(f"{what:55} {amount:>9.3f} {unit}" for what, amount, unit in rows)
