"""A web worker killed and the database restarted while clients write: what got a 2xx is there."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import requests

from tests.processes.product import RunningProduct, running_product

pytestmark = pytest.mark.process

CLIENTS = 4
ROWS = 20
REQUESTS = 60
# What happens once that many requests got their 2xx.
INCIDENTS = {
    20: "kill a web worker",
    80: "restart the database",
    150: "kill a web worker",
    190: "kill the database",
}


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningProduct]:
    with running_product(tmp_path, WORK_BACKOFF_SECONDS="1", FORECAST_LEASE_SECONDS="1") as running:
        yield running


@dataclass
class Writers:
    """Clients that give up a request which got no 2xx, and note what got one."""

    product: RunningProduct
    secret: str
    accepted: list[tuple[str, int]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    interruptions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, sensor: str) -> None:
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        sent = 0
        deadline = time.monotonic() + 120
        while sent < REQUESTS:
            assert time.monotonic() < deadline, f"{sensor}: only {sent} requests were accepted."
            first = begin + timedelta(seconds=sent * ROWS)
            rows = [
                {"sensor": sensor, "ts": (first + timedelta(seconds=row)).isoformat(), "value": float(sent)}
                for row in range(ROWS)
            ]
            if self._post(rows):
                with self.lock:
                    self.accepted += [(sensor, sent * ROWS + row) for row in range(ROWS)]
                sent += 1
            else:
                with self.lock:
                    self.interruptions += 1
                time.sleep(0.2)

    def _post(self, rows: list[dict[str, object]]) -> bool:
        try:
            answer = requests.post(
                f"{self.product.url}/api/v1/readings",
                json={"readings": rows},
                headers={"Authorization": f"Bearer {self.secret}"},
                timeout=15,
            )
        except requests.RequestException:
            return False
        if answer.status_code == 200:
            return True
        with self.lock:
            self.refused.append(answer.status_code)
        return False

    def cause_incidents(self) -> None:
        for after, incident in INCIDENTS.items():
            while len(self.accepted) < after * ROWS:
                time.sleep(0.02)
            match incident:
                case "kill a web worker":
                    web = self.product.find("web")
                    assert web is not None
                    psutil.Process(web.pid).children()[0].kill()
                case "restart the database":
                    database = self.product.find("database")
                    assert database is not None
                    # A fast shutdown: open transactions are rolled back and clients sent away.
                    os.kill(database.pid, signal.SIGINT)
                    self.product.wait_for_another("database", database.pid)
                case "kill the database":
                    self.product.wait_for_another("database", self.product.kill("database"))


def test_every_reading_that_got_a_2xx_is_there(product: RunningProduct):
    plant = product.ask(f"lay_out(machines={CLIENTS}, technicians=1)")
    writers = Writers(product, plant["secret"])

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        incidents = pool.submit(writers.cause_incidents)
        for writer in [pool.submit(writers.write, sensor) for sensor in plant["sensors"]]:
            writer.result()
        incidents.result()

    stored = product.select(
        "SELECT key, count(*) FROM sensors_reading JOIN sensors_sensor sensor ON sensor.id = sensor_id GROUP BY key"
    )
    assert dict(stored) == dict.fromkeys(plant["sensors"], ROWS * REQUESTS)
    assert len(writers.accepted) == len(set(writers.accepted)) == ROWS * REQUESTS * CLIENTS
    assert set(writers.refused) <= {503}
    assert writers.interruptions > 0
