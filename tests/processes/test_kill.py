"""kill -9 of web, worker, beat and database while readings travel: every step of the loop is there once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.processes.product import RunningProduct, running_product
from tests.processes.rows import PASSWORD

pytestmark = pytest.mark.process

MACHINES = 50
GATEWAYS = 4
COMPLETED = 8
# Each machine's readings: three normal ones, then one over its limit of 7.1 mm/s.
VALUES = (2.0, 2.1, 2.0, 7.9)
READINGS = MACHINES * len(VALUES)
# What is killed once that many of the readings were accepted.
KILLS = {20: "database", 70: "web", 110: "worker", 150: "beat"}
PAUSE_SECONDS = 0.1
CLIENT_PATIENCE_SECONDS = 60.0


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningProduct]:
    with running_product(tmp_path, WORK_BACKOFF_SECONDS="1", FORECAST_LEASE_SECONDS="1") as running:
        yield running


@dataclass
class Gateways:
    """Clients that send a reading again until they are told that it is stored, as real ones do."""

    url: str
    secret: str
    accepted: list[tuple[str, str, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send_all(self, sensors: list[str]) -> None:
        """One after another, in the order of their times, each machine's story by itself."""
        started_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
        for sensor in sensors:
            for minute, value in enumerate(VALUES):
                self.send(sensor, (started_at + timedelta(minutes=minute)).isoformat(), value)
                time.sleep(PAUSE_SECONDS)

    def send(self, sensor: str, ts: str, value: float) -> None:
        body = {"readings": [{"sensor": sensor, "ts": ts, "value": value}]}
        deadline = time.monotonic() + CLIENT_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = requests.post(
                    f"{self.url}/api/v1/readings",
                    json=body,
                    headers={"Authorization": f"Bearer {self.secret}"},
                    timeout=10,
                )
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.status_code == 200:
                with self.lock:
                    self.accepted.append((sensor, ts, value))
                return
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"]
            time.sleep(0.2)
        raise AssertionError(f"{sensor} {ts} was never accepted.")


def test_every_step_is_there_once_after_kills_of_everything(product: RunningProduct):
    plant = product.ask(f"lay_out(machines={MACHINES}, technicians=4)")
    sensors = plant["sensors"]

    accepted = send_while_killing(product, sensors, plant["secret"])
    story = product.ask("story_when_quiet()")

    once = dict.fromkeys
    assert story["queues"] == {}
    assert sorted(map(tuple, story["readings"])) == sorted(accepted)
    assert story["newly_stored"] == READINGS
    assert story["anomalies"] == once((f"{sensor} limit H credible" for sensor in sensors), 1)
    assert story["open_anomalies"] == MACHINES
    assert story["anomaly_predictions"] == once((f"{sensor} made" for sensor in sensors), 1)
    assert story["undone_predictions"] == story["undecided_predictions"] == 0
    assert story["proposals"] == story["bookings"] == once(sensors, 1)
    assert story["tasks"] == once((f"{sensor} predictive pending" for sensor in sensors), 1)
    assert story["all_bookings"] == MACHINES

    complete_while_killing(product)
    story = product.ask("story_when_quiet()")

    assert story["queues"] == {}
    done = [key.removesuffix(" predictive completed") for key in story["tasks"] if "completed" in key]
    assert len(done) == COMPLETED
    assert sum(story["tasks"].values()) == MACHINES
    assert story["logs"] == once((f"{sensor} confirmed_as_predicted" for sensor in done), 1)
    assert story["baselines"] == story["true_positives"] == once(done, 1)
    assert story["unscored"] == 0
    assert story["open_anomalies"] == MACHINES - COMPLETED


def send_while_killing(
    product: RunningProduct, sensors: list[str], secret: str
) -> list[tuple[str, str, float]]:
    """Let the gateways send everything, and kill what is due at each count of accepted readings."""
    gateways = Gateways(product.url, secret)
    with ThreadPoolExecutor(GATEWAYS) as pool:
        sending = [pool.submit(gateways.send_all, sensors[number::GATEWAYS]) for number in range(GATEWAYS)]
        for count, name in KILLS.items():
            while len(gateways.accepted) < count and not any(one.done() for one in sending):
                time.sleep(0.02)
            product.wait_for_another(name, product.kill(name))
    for one in sending:
        one.result()
    product.wait_until_ready(CLIENT_PATIENCE_SECONDS)
    return gateways.accepted


def complete_while_killing(product: RunningProduct) -> None:
    """A manager reports some tasks through the API, while worker and web are killed."""
    client = logged_in(product)
    tasks = [task["id"] for task in client.get(f"{product.url}/api/v1/tasks", timeout=10).json()["results"]]
    for number, task in enumerate(tasks[:COMPLETED]):
        if victim := {2: "worker", 4: "web"}.get(number):
            product.kill(victim)
        report(client, product.url, task)
    product.wait_until_ready(CLIENT_PATIENCE_SECONDS)


def logged_in(product: RunningProduct) -> requests.Session:
    client = requests.Session()
    client.get(f"{product.url}/login/", timeout=10)
    form = {"username": "mina", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    answer = client.post(f"{product.url}/login/", data=form, timeout=10, allow_redirects=False)
    assert answer.status_code == 302
    return client


def report(client: requests.Session, url: str, task: int) -> None:
    """Start and complete a task; a client whose answer was lost looks before it asks again."""
    finding = {"verdict": "confirmed_as_predicted", "remedy": "Bearing changed", "downtime_minutes": 30}
    verbs = {"pending": ("start", None), "in_progress": ("complete", finding)}
    deadline = time.monotonic() + CLIENT_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = client.get(f"{url}/api/v1/tasks/{task}", timeout=10)
            answer.raise_for_status()
            status = answer.json()["status"]
            if status == "completed":
                return
            verb, body = verbs[status]
            client.post(
                f"{url}/api/v1/tasks/{task}/{verb}",
                json=body,
                headers={"X-CSRFToken": client.cookies["csrftoken"]},
                timeout=10,
            )
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(f"Task {task} was never completed.")
