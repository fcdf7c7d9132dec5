"""A broker of the test's own and a pump whose sensors it may write to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sensors.models import Sensor
from tests.plants import make_sensor
from tests.sensors.bridge.broker import Mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path / "mosquitto")
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture
def sensor(plant) -> Sensor:
    """It is called like the topic that its messages come under."""
    return make_sensor(plant.machine, "plant/pump-7/vibration")


@pytest.fixture
def secret(ingest_key) -> str:
    return ingest_key[1]
