"""Real input over HTTP, from readings to tasks: one machine of the Azure telemetry, and an ambient temperature of NAB.

The series are shifted to end now; all but the last week is sent as historical, the last week live, in its order, as by
a gateway that catches up. It does not wait for the agents in between: forecasts are of the present, and made while the
newest reading is days old they would all be refused as stale. docs/benchmarks.md says where the limits come from.
"""

import argparse
import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.db.models import QuerySet

from benchmarks.plant import Plant, Row, wait_until_idle
from maintenance.models import Booking, MaintenanceTask, Proposal
from predictions.models import Prediction
from predictions.services.requesting import request_due_predictions
from sensors.models import Anomaly, ReadingBatch, Sensor
from smartmaint import clock
from smartmaint.supervisor import PROJECT_DIRECTORY
from tests.processes.product import RunningProduct

TELEMETRY = Path("azure_pdm/PdM_telemetry.csv")
TEMPERATURE = Path("nab/data/realKnownCause/ambient_temperature_system_failure.csv")
LIVE = timedelta(days=7)
LIVE_ROWS_A_REQUEST = 96
LEARNT_FROM = timedelta(days=21)
ALERT_SIGMAS, FAILURE_SIGMAS = 2.5, 4.0
IDLE_SECONDS = 300.0

# The source names no units: these are plausible ones. Column: quantity, unit, failure mode.
CHANNELS = {
    "volt": ("voltage", "V", "PDE"),
    "rotate": ("rotational speed", "rpm", "ERO"),
    "pressure": ("pressure", "kPa", "LOO"),
    "vibration": ("vibration velocity", "mm/s", "VIB"),
}
# The air temperatures that ASHRAE TC 9.9 recommends for equipment, 18 to 27 °C, in degrees Fahrenheit.
AIR_LIMITS = {"L": 64.4, "H": 80.6}


@dataclass(frozen=True)
class Series:
    """One sensor's readings, in order of time and shifted to end now, with the limits that it gets."""

    sensor: Sensor
    times: list[datetime]
    values: list[float]
    limits: dict[str, float]
    failure_mode: str

    def rows(self, since: datetime, until: datetime) -> list[tuple[datetime, Row]]:
        """Readings in (since, until], each with its time."""
        return [
            (at, {"sensor": self.sensor.key, "ts": at.isoformat(), "value": value})
            for at, value in zip(self.times, self.values, strict=True)
            if since < at <= until
        ]


def main(product: RunningProduct, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks real_input", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PROJECT_DIRECTORY.parent / "shared" / "data")
    parser.add_argument("--machine", default="1", help="machineID of the telemetry")
    parser.add_argument("--until", default="9999", help="leave out telemetry after this, as 2015-03-06")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    if missing := [str(path) for path in (TELEMETRY, TEMPERATURE) if not (chosen.folder / path).exists()]:
        print(f"Not measured: {chosen.folder} lacks {' and '.join(missing)}.")
        return 0
    machine = telemetry(product, chosen.folder / TELEMETRY, machine=chosen.machine, until=chosen.until)
    results = {
        f"Azure telemetry, machine {chosen.machine}": replay(machine),
        "NAB ambient temperature": replay(temperature(product, chosen.folder / TEMPERATURE)),
    }
    print(json.dumps(results, indent=2) if chosen.json else table(results))
    return 0


def telemetry(product: RunningProduct, path: Path, *, machine: str, until: str) -> tuple[Plant, list[Series]]:
    """The four channels of one machine; limits by the spread of its first three weeks."""
    plant = Plant(url=product.url, name="Azure", technicians=1)
    equipment = plant.add_machine(f"MACHINE-{machine}")
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["machineID"] == machine]
        rows = [row for row in rows if row["datetime"] < until]
    times = shifted([row["datetime"] for row in rows])
    series = []
    for column, (quantity, unit, failure_mode) in CHANNELS.items():
        values = [float(row[column]) for row in rows]
        sensor = plant.add_sensor(equipment, f"machine-{machine}/{column}", quantity=quantity, unit=unit)
        series.append(Series(sensor, times, values, limits_by_spread(times, values), failure_mode))
    return plant, series


def temperature(product: RunningProduct, path: Path) -> tuple[Plant, list[Series]]:
    plant = Plant(url=product.url, name="NAB", technicians=1)
    room = plant.add_machine("ROOM", equipment_class="SY")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    sensor = plant.add_sensor(room, "room/temperature", quantity="temperature", unit="[degF]")
    values = [float(row["value"]) for row in rows]
    return plant, [Series(sensor, shifted([row["timestamp"] for row in rows]), values, AIR_LIMITS, "PDE")]


def shifted(naive: Sequence[str]) -> list[datetime]:
    """Aware times with the same distances as the naive ones, the last of which is now."""
    times = [datetime.fromisoformat(text) for text in naive]
    now = clock.now().replace(microsecond=0)
    return [now - (times[-1] - at) for at in times]


def limits_by_spread(times: list[datetime], values: list[float]) -> dict[str, float]:
    first = np.array([value for at, value in zip(times, values, strict=True) if at - times[0] < LEARNT_FROM])
    mean, sigma = float(first.mean()), float(first.std())
    return {
        "LL": round(mean - FAILURE_SIGMAS * sigma, 2),
        "L": round(mean - ALERT_SIGMAS * sigma, 2),
        "H": round(mean + ALERT_SIGMAS * sigma, 2),
        "HH": round(mean + FAILURE_SIGMAS * sigma, 2),
    }


def replay(laid_out: tuple[Plant, list[Series]]) -> dict[str, dict[str, int]]:
    """Send everything, let the agents finish, and count what each step made of it."""
    plant, series = laid_out
    end = max(one.times[-1] for one in series)
    send(plant, series, datetime.min.replace(tzinfo=end.tzinfo), end - LIVE, historical=True)
    wait_until_idle(seconds=IDLE_SECONDS)
    # Not before: with limits, and with nothing newer than a week, the hourly predictions would find stale readings.
    for one in series:
        for level, value in one.limits.items():
            plant.add_limit(one.sensor, level, value, mode=one.failure_mode)
    send(plant, series, end - LIVE, end, historical=False)
    wait_until_idle(seconds=IDLE_SECONDS)
    request_due_predictions()
    wait_until_idle(seconds=IDLE_SECONDS)
    return counts(plant)


def send(plant: Plant, series: list[Series], since: datetime, until: datetime, *, historical: bool) -> None:
    rows = [row for one in series for row in one.rows(since, until)]
    rows.sort(key=lambda row: row[0])
    plant.gateway.post(
        [row for _, row in rows],
        historical=historical,
        rows_a_request=None if historical else LIVE_ROWS_A_REQUEST,
    )


def counts(plant: Plant) -> dict[str, dict[str, int]]:
    own = {"organization": plant.organization}
    batches = ReadingBatch.objects.filter(**own)
    return {
        "readings": {name: count for name, count in plant.gateway.counts.items() if name != "requests"},
        "batches": {
            "historical": batches.filter(is_historical=True).count(),
            "live": batches.filter(is_historical=False).count(),
        },
        "anomalies": per(Anomaly.objects.filter(**own), "kind", "direction", "status"),
        "predictions": per(Prediction.objects.filter(**own), "trigger", "status"),
        "proposals": per(Proposal.objects.filter(**own), "decision"),
        "tasks": per(MaintenanceTask.objects.filter(**own), "priority", "status"),
        "bookings": {"active": Booking.objects.filter(**own, is_active=True).count()},
    }


def per(rows: QuerySet, *fields: str) -> dict[str, int]:
    """How many rows there are of each combination of fields."""
    found = Counter(", ".join(values) for values in rows.order_by(*fields).values_list(*fields))
    return dict(found) or {"none": 0}


def table(results: dict[str, dict[str, dict[str, int]]]) -> str:
    lines = []
    for name, steps in results.items():
        lines += ["", name]
        lines += [
            f"  {step:<12} {what:<34} {count:>7,}"
            for step, kinds in steps.items()
            for what, count in kinds.items()
        ]
    return "\n".join(lines[1:])
