"""A broker is a clock, not a store: what it loses is done all the same, and once."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from maintenance.models import Booking, MaintenanceTask
from predictions.models import Prediction, Trigger
from sensors.models import Anomaly, Reading
from smartmaint.health import queues
from tests.brokers.installation import Installation
from tests.plants import Plant, make_plant, post, set_policy

URLS = os.environ.get("TEST_BROKER_URLS", "").split()
PATIENCE_SECONDS = 60.0

pytestmark = [
    pytest.mark.broker,
    pytest.mark.django_db(transaction=True),
]


def scheme(url: str) -> str:
    return url.partition(":")[0]


@pytest.fixture(params=[*URLS, "filesystem://"], ids=scheme)
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """On a queue of its own. What a test finds in a Redis database is wiped: name one that is free."""
    call_command("ensure_schedule", verbosity=0)
    running = Installation(broker_url=request.param, folder=tmp_path, queue=f"smartmaint-test-{os.getpid()}")
    running.wipe_broker()
    running.start("worker")
    running.start("beat")
    try:
        yield running
    finally:
        running.end()


def wait_until(is_so: Callable[[], bool], installation: Installation) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, installation.log()[-4000:]
        time.sleep(0.1)


def is_booked(plant: Plant) -> bool:
    return Booking.objects.filter(task__equipment=plant.machine).exists()


def is_quiet() -> bool:
    return not any(model.objects.pending().exists() for model in queues())


def steps(plant: Plant) -> dict[str, int]:
    """How often each step from reading to booking was taken for a plant's machine."""
    return {
        "readings": Reading.objects.filter(sensor=plant.sensor).count(),
        "anomalies": Anomaly.objects.filter(sensor=plant.sensor).count(),
        "predictions": Prediction.objects.filter(sensor=plant.sensor, trigger=Trigger.ANOMALY).count(),
        "tasks": MaintenanceTask.objects.filter(equipment=plant.machine).count(),
        "bookings": Booking.objects.filter(task__equipment=plant.machine).count(),
    }


def test_pending_work_outlives_a_killed_worker_and_a_wiped_broker(installation, organization):
    set_policy(organization, approval="automatic")
    first, second = make_plant(organization, name="pump-1"), make_plant(organization, name="pump-2")

    post(first.sensor, [2.0, 7.9])
    wait_until(lambda: is_booked(first), installation)
    installation.kill("worker")
    post(second.sensor, [2.0, 7.9])
    # Beat's next ticks are on their way to nobody.
    time.sleep(3)
    installation.wipe_broker()
    installation.start("worker")
    wait_until(lambda: is_booked(second) and is_quiet(), installation)

    once = {"readings": 2, "anomalies": 1, "predictions": 1, "tasks": 1, "bookings": 1}
    assert steps(first) == steps(second) == once
