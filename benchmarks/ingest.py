"""How many readings get in: over HTTP in both fast formats, beside raw COPY, with detection, and from a file.

python benchmarks/ingest.py --json
"""

import sys
from pathlib import Path

# Run as a file, it starts the product before it imports what needs a database.
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from benchmarks.__main__ import main as run

    sys.exit(run(["ingest", *sys.argv[1:]]))

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psutil
from django.db import connection
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from benchmarks import load
from benchmarks.load import Outcome, Shape
from benchmarks.plant import Plant
from sensors.models import KeyAllowance, ReadingBatch, Sensor, SensorNaming
from sensors.storage import Rows, binary
from smartmaint.accounts.models import ApiKey
from smartmaint.supervisor import PROJECT_DIRECTORY
from tests.processes.product import RunningProduct

SECONDS = 10.0
IMPORTED_ROWS = 30 * 86_400
COPIED_ROWS = 500_000
MACHINES = load.CONNECTIONS
SENSORS = 1_000
LATENCY_SHARE = 0.99

JSON = {"path": "/api/v1/readings", "content_type": "application/json", "body": load.json_body}
LINES = {"path": "/api/v2/write", "content_type": "text/plain; charset=utf-8", "body": load.line_body}


@dataclass
class Bench:
    """The product, a key to post with, and the moments that were used: no two requests bring the same reading."""

    product: RunningProduct
    secret: str
    organization_slug: str
    next_us: int
    figures: dict[str, float] = field(default_factory=dict)

    def load(
        self,
        shape: Shape,
        *,
        seconds: float,
        requests_per_s: float | None = None,
        prepared: int | None = None,
    ) -> Outcome:
        outcome = load.run_load(
            url=self.product.url,
            secret=self.secret,
            shape=shape,
            seconds=seconds,
            begin_us=self.next_us,
            requests_per_s=requests_per_s,
            prepared=prepared,
        )
        self.next_us += (outcome.requests + load.CONNECTIONS) * (shape.readings // shape.sensors) * 1000
        return outcome


def main(product: RunningProduct, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks ingest", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load (default: %(default)s)")
    parser.add_argument(
        "--sustained",
        type=float,
        default=0,
        metavar="SECONDS",
        help="also ingest with detection for so long, at --rate",
    )
    parser.add_argument(
        "--rate", type=float, default=20_000, help="readings a second of it (default: %(default)s)"
    )
    parser.add_argument(
        "--rows", type=int, default=IMPORTED_ROWS, help="of the imported file (default: a month of seconds)"
    )
    parser.add_argument(
        "--only", choices=["small"], help="small: requests with one reading each, nothing else"
    )
    options = parser.parse_args(arguments)

    bench = prepare(product)
    figures = bench.figures
    say("ingest alone: detection waits, as it would when it runs on another machine")
    set_agents(enabled=False)
    bench.load(Shape(1000, 100, **JSON), seconds=2)  # the processes' first requests import and prepare
    formats = {"json": JSON, "line_protocol": LINES}
    if options.only == "small":
        for name, wire in formats.items():
            post_one_by_one(bench, name, wire, seconds=options.seconds)
        print(json.dumps(figures, indent=2) if options.json else table(figures))
        return 0
    for name, wire in formats.items():
        for readings, sensors in ((1000, 100), (1000, 1000), (100, 10), (100, 100)):
            outcome = bench.load(Shape(readings, sensors, **wire), seconds=options.seconds)
            width = f"{readings}_per_request" + (f"_of_{sensors}_sensors" if sensors == readings else "")
            figures[f"{name}_{width}_readings_per_s"] = outcome.readings_per_s
            say(
                f"{name}, {readings:,} a request of {sensors:,} sensors: {outcome.readings_per_s:,.0f} readings/s"
            )
        figures[f"raw_copy_rows_per_s_beside_{name}"] = raw_copy()
        figures[f"{name}_share_of_raw_copy"] = (
            figures[f"{name}_1000_per_request_readings_per_s"] / figures[f"raw_copy_rows_per_s_beside_{name}"]
        )
        say(f"{figures[f'{name}_share_of_raw_copy']:.1%} of raw COPY in the same run")
        post_one_by_one(bench, name, wire, seconds=options.seconds)
        half = figures[f"{name}_1000_per_request_readings_per_s"] / 2 / 1000
        outcome = bench.load(Shape(1000, 100, **wire), seconds=options.seconds, requests_per_s=half)
        figures[f"{name}_p50_ms_at_half_rate"] = outcome.latency_s(0.5) * 1000
        figures[f"{name}_p99_ms_at_half_rate"] = outcome.latency_s(LATENCY_SHARE) * 1000
        say(
            f"{name}, 1,000 a request at half of that rate: p99 {outcome.latency_s(LATENCY_SHARE) * 1000:.0f} ms"
        )
    figures["import_rows"] = options.rows
    figures["import_seconds"] = import_file(bench, options.rows)
    say(f"import_readings, {options.rows:,} rows of one sensor: {figures['import_seconds']:.1f} s")
    if options.sustained:
        figures |= sustain(bench, seconds=options.sustained, readings_per_s=options.rate)
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    return 0


def post_one_by_one(bench: Bench, name: str, wire: dict[str, Any], *, seconds: float) -> None:
    """Requests with one reading each; and what one costs the web workers in CPU."""
    before = web_cpu_s(bench.product)
    outcome = bench.load(Shape(1, 1, **wire), seconds=seconds, prepared=20_000)
    cpu_ms = (web_cpu_s(bench.product) - before) / outcome.requests * 1000
    bench.figures[f"{name}_one_reading_requests_per_s"] = outcome.requests_per_s
    bench.figures[f"{name}_one_reading_web_cpu_ms"] = cpu_ms
    say(
        f"{name}, one reading a request: {outcome.requests_per_s:,.0f} requests/s, {cpu_ms:.1f} ms of web CPU each"
    )


def prepare(product: RunningProduct) -> Bench:
    """An organisation with sensors for each client, one key without a limit, and a naming for its line protocol."""

    plant = Plant(url=product.url, name="Bench", technicians=0)
    key = ApiKey.objects.get(organization=plant.organization)
    KeyAllowance.objects.create(
        organization=plant.organization, api_key=key, requests_per_s=1e6, readings_per_s=1e8
    )
    SensorNaming.objects.create(
        organization=plant.organization, api_key=key, template="{measurement}/{machine}/{point}"
    )
    for number in range(MACHINES):
        machine = plant.add_machine(f"M{number}")
        Sensor.objects.bulk_create(
            Sensor(
                organization=plant.organization,
                equipment=machine,
                key=load.sensor_key(number, sensor),
                quantity="vibration velocity",
                unit="mm/s",
                physical_min=-50,
                physical_max=500,
                expected_interval_s=86_400,  # silence of those that a load leaves out is not what is measured
            )
            for sensor in range(SENSORS)
        )
    plant.add_sensor(machine, "imported", quantity="temperature", unit="Cel")
    begin = datetime.now(UTC) - timedelta(days=2)
    secret = plant.gateway.session.headers["Authorization"].split()[1]
    return Bench(product, str(secret), plant.organization.slug, int(begin.timestamp()) * 1_000_000)


def set_agents(*, enabled: bool) -> None:
    """Let Beat start the agents, or not."""

    PeriodicTask.objects.filter(task__endswith=".detect_anomalies").update(enabled=enabled)
    PeriodicTasks.update_changed()


def raw_copy() -> float:
    """Rows a second of one COPY, in binary, into a table of the same columns and key, as ingest cuts its readings."""

    moments = COPIED_ROWS // 100
    ts_us = int(time.time() * 1e6) + np.repeat(np.arange(moments), 100) * 1000
    rows = Rows(
        sensor_ids=np.tile(np.arange(100), moments),
        ts_us=ts_us,
        values=np.random.default_rng(1).normal(size=COPIED_ROWS),
        quality=np.zeros(COPIED_ROWS, np.int8),
    )
    stream = binary.encode(rows)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS raw_copy")
        cursor.execute(
            "CREATE TABLE raw_copy (sensor_id bigint, ts timestamptz, value float8 NOT NULL, "
            "quality smallint NOT NULL, PRIMARY KEY (sensor_id, ts))"
        )
        began = time.monotonic()
        cursor.copy_expert("COPY raw_copy FROM STDIN (FORMAT binary)", stream)
        seconds = time.monotonic() - began
        cursor.execute("DROP TABLE raw_copy")
    return COPIED_ROWS / seconds


def import_file(bench: Bench, rows: int) -> float:
    """Seconds that `manage.py import_readings` takes for a file of one sensor, a reading a second."""
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
    values = np.random.default_rng(1).normal(20, 1, rows).round(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "month.csv"
        times = np.datetime64(first.replace(tzinfo=None), "s") + np.arange(rows)
        with path.open("w") as file:
            file.write("sensor,ts,value\n")
            file.writelines(
                f"imported,{ts}Z,{value}\n"
                for ts, value in zip(times.astype(str), values.tolist(), strict=True)
            )
        command = ["manage.py", "import_readings", str(path), "--organization", bench.organization_slug]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=PROJECT_DIRECTORY,
            env=bench.product.environment | adopted(),
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
    if done.returncode or f"{rows:,} inserted" not in done.stdout:
        raise RuntimeError(f"The import failed: {done.stdout}{done.stderr}")
    return seconds


def adopted() -> dict[str, str]:
    """What this process knows of the running installation."""
    names = ("DATABASE_URL", "SECRET_KEY", "SMARTMAINT_VAR", "DJANGO_SETTINGS_MODULE")
    return {name: os.environ[name] for name in names if name in os.environ}


def sustain(bench: Bench, *, seconds: float, readings_per_s: float) -> dict[str, float]:
    """Ingest and detection together: the backlog of batches every ten seconds, and the web workers' memory."""

    set_agents(enabled=True)
    wait_until_detected()
    say(f"ingest and detection together, {readings_per_s:,.0f} readings/s for {seconds:.0f} s")
    backlogs: list[int] = []
    memory: list[float] = [web_memory_mb(bench.product)]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(10):
            backlogs.append(ReadingBatch.objects.pending().count())
            memory.append(web_memory_mb(bench.product))
            say(f"  {backlogs[-1]:,} batches wait, web workers hold {memory[-1]:.0f} MB")

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcome = bench.load(Shape(1000, 100, **JSON), seconds=seconds, requests_per_s=readings_per_s / 1000)
    stop.set()
    watcher.join()
    left = wait_until_detected()
    third = max(1, len(backlogs) // 3)
    return {
        "sustained_seconds": outcome.seconds,
        "sustained_readings_per_s": outcome.readings_per_s,
        "sustained_p99_ms": outcome.latency_s(LATENCY_SHARE) * 1000,
        "backlog_batches_middle_third": float(np.mean(backlogs[third : 2 * third] or [0])),
        "backlog_batches_last_third": float(np.mean(backlogs[-third:] or [0])),
        "backlog_seconds_to_finish": left,
        "web_memory_mb_first": memory[min(len(memory) - 1, 2)],
        "web_memory_mb_last": memory[-1],
        "web_memory_readings": float(outcome.readings),
    }


def wait_until_detected() -> float:

    began = time.monotonic()
    while ReadingBatch.objects.pending().exists():
        time.sleep(0.2)
    return time.monotonic() - began


def web_cpu_s(product: RunningProduct) -> float:
    """CPU seconds that the web workers have used."""
    web = product.find("web")
    assert web is not None
    return sum(sum(worker.cpu_times()[:2]) for worker in psutil.Process(web.pid).children())


def web_memory_mb(product: RunningProduct) -> float:
    """Resident memory of the largest web worker."""
    web = product.find("web")
    assert web is not None
    return max(worker.memory_info().rss for worker in psutil.Process(web.pid).children()) / 1e6


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(figures: dict[str, float]) -> str:
    return "\n".join(f"{name:<60}{value:>14,.3f}" for name, value in figures.items())
