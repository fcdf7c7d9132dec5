"""From a posted reading over a limit to a pending task with a booking, over 100 machines with history.

Default processes, automatic approval, no budget, on-delay 0. Two set-ups of limits: with H alone the reading is beyond
the limit that counts as failed, so its prediction needs no fit; with HH further out it needs one. Each is measured
while nothing else is to do, and while the periodic predictions of as many other machines, a fit each, are being made.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.plant import Plant, Row, wait_until_idle
from maintenance.models import Booking
from predictions.models import Prediction, PredictionStatus
from predictions.services.requesting import request_due_predictions
from sensors.models import ReadingBatch, Sensor
from smartmaint import clock
from tests.processes.product import RunningProduct

SET_UPS = ("H", "H+HH")
HIGH, HIGH_HIGH = 7.1, 9.0
OVER = 7.6
DAYS, RISING_DAYS = 30, 10
IDLE_SECONDS = 600.0
BOOKING_SECONDS = 180.0


@dataclass
class Result:
    """Seconds from just before the request to the booking; those that got none in three minutes are `unbooked`."""

    limits: str
    periodic_predictions_waiting: int
    machines: int
    unbooked: int
    p50_s: float
    p95_s: float
    max_s: float


def main(product: RunningProduct, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks loop_latency", description=__doc__)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0, help="over which the readings are spread")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    plant = Plant(url=product.url, name="Latency", technicians=8)
    results = [
        measure(plant, limits=limits, is_busy=is_busy, machines=chosen.machines, seconds=chosen.seconds)
        for limits in SET_UPS
        for is_busy in (False, True)
    ]
    print(json.dumps([asdict(result) for result in results], indent=2) if chosen.json else table(results))
    return 0


def measure(plant: Plant, *, limits: str, is_busy: bool, machines: int, seconds: float) -> Result:
    """Lay out machines, let all there is to do be done, then post one reading over H for each of them."""
    name = f"{limits}-{'busy' if is_busy else 'idle'}"
    sensors = lay_out(plant, name, limits=limits, machines=machines)
    if is_busy:
        add_machines_to_predict(plant, f"{name}-others", machines=machines)
    waiting = Prediction.objects.filter(status=PredictionStatus.PENDING).count()
    posted_at = post_over_high(plant, sensors, seconds=seconds)
    delays = wait_for_bookings(posted_at)
    p50, p95, longest = np.quantile(delays, [0.5, 0.95, 1.0], method="higher").round(2).tolist()
    return Result(
        limits=limits,
        periodic_predictions_waiting=waiting,
        machines=machines,
        unbooked=machines - len(delays),
        p50_s=p50,
        p95_s=p95,
        max_s=longest,
    )


def lay_out(plant: Plant, name: str, *, limits: str, machines: int) -> list[Sensor]:
    """Machines with 30 days of hourly history, whose periodic predictions were made ten days before its end.

    With HH the last ten days rise towards it, so that the fit after the anomaly finds a risk which the one before
    could not know: else there would be a task before the reading that is measured.
    """
    sensors = [add_sensor(plant, f"{name}-{number}", limits=limits) for number in range(machines)]
    early, late = slice(0, (DAYS - RISING_DAYS) * 24), slice((DAYS - RISING_DAYS) * 24, None)
    rises = limits == "H+HH"
    plant.gateway.post(rows_of(sensors, early, rises=rises), historical=True)
    request_due_predictions()
    wait_until_idle(seconds=IDLE_SECONDS)
    plant.gateway.post(rows_of(sensors, late, rises=rises), historical=True)
    wait_until_idle(seconds=IDLE_SECONDS)
    return sensors


def add_machines_to_predict(plant: Plant, name: str, *, machines: int) -> None:
    """Others with the same history, none of which has had its periodic prediction yet; they wait for it now."""
    sensors = [add_sensor(plant, f"{name}-{number}", limits="H+HH") for number in range(machines)]
    plant.gateway.post(rows_of(sensors, slice(None), rises=False), historical=True)
    while ReadingBatch.objects.pending().exists():
        time.sleep(0.1)
    request_due_predictions()


def add_sensor(plant: Plant, name: str, *, limits: str) -> Sensor:
    sensor = plant.add_sensor(
        plant.add_machine(name), f"{name}/vibration", quantity="vibration velocity", unit="mm/s"
    )
    plant.add_limit(sensor, "H", HIGH, mode="VIB")
    if limits == "H+HH":
        plant.add_limit(sensor, "HH", HIGH_HIGH, mode="VIB")
    return sensor


def rows_of(sensors: list[Sensor], part: slice, *, rises: bool) -> list[Row]:
    newest = clock.now().replace(minute=0, second=0, microsecond=0)
    times = [(newest - timedelta(hours=back)).isoformat() for back in reversed(range(DAYS * 24))]
    return [
        {"sensor": sensor.key, "ts": ts, "value": value}
        for sensor in sensors
        for ts, value in zip(times[part], history(sensor.pk, rises=rises)[part].tolist(), strict=True)
    ]


def history(seed: int, *, rises: bool) -> NDArray[np.float64]:
    """Hourly values in mm/s: a daily cycle and noise about 4; rising by 0.28 a day at last, if it rises."""
    hours = np.arange(DAYS * 24)
    noise = np.random.default_rng(seed).normal(0, 0.1, len(hours))
    rise = 0.28 / 24 * np.clip(hours - (DAYS - RISING_DAYS) * 24, 0, None) if rises else 0
    return (4 + 0.2 * np.sin(2 * np.pi * hours / 24) + noise + rise).round(3)


def post_over_high(plant: Plant, sensors: list[Sensor], *, seconds: float) -> dict[int, datetime]:
    """One live reading over H per machine, evenly spread; when each was posted, by equipment."""
    posted_at: dict[int, datetime] = {}
    began = time.monotonic()
    for number, sensor in enumerate(sensors):
        time.sleep(max(began + number * seconds / len(sensors) - time.monotonic(), 0))
        posted_at[sensor.equipment_id] = clock.now()
        plant.gateway.post([{"sensor": sensor.key, "ts": clock.now().isoformat(), "value": OVER}])
    return posted_at


def wait_for_bookings(posted_at: dict[int, datetime]) -> list[float]:
    """Seconds from each post to its booking, of those that got one in time."""
    deadline = time.monotonic() + BOOKING_SECONDS
    bookings = Booking.objects.filter(task__equipment__in=posted_at, is_active=True)
    while bookings.count() < len(posted_at) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [
        (booked_at - posted_at[equipment]).total_seconds()
        for equipment, booked_at in bookings.values_list("task__equipment", "booked_at")
    ]


def table(results: list[Result]) -> str:
    lines = ["limits  periodic waiting  machines  unbooked   p50 s   p95 s   max s"]
    lines += [
        f"{one.limits:<8}{one.periodic_predictions_waiting:>16}{one.machines:>10}{one.unbooked:>10}"
        f"{one.p50_s:>8.2f}{one.p95_s:>8.2f}{one.max_s:>8.2f}"
        for one in results
    ]
    return "\n".join(lines)
