"""Broker, bridge and database end without a word while messages come: nothing is lost, nothing doubled."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensors.models import Reading, ReadingBatch
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.sensors.bridge.broker import (
    PATIENCE_SECONDS,
    BridgeProcess,
    Mosquitto,
    batch_sum,
    database_closed,
    gateway,
    make_bridge,
    needs_mosquitto,
    running,
    stored,
    wait_until,
)

pytestmark = [needs_mosquitto, pytest.mark.process, pytest.mark.django_db(transaction=True)]

TOPIC = "plant/pump-7/vibration"
COUNT = 600


def messages(count: int = COUNT) -> Iterator[bytes]:
    """One a second, each with a value of its own; the newest is of now."""
    newest = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        ts = newest - timedelta(seconds=count - number)
        yield json.dumps({"ts": ts.isoformat(), "value": number}).encode()


def assert_each_is_there_once(count: int = COUNT) -> None:
    assert sorted(Reading.objects.values_list("value", flat=True)) == list(range(count))
    assert (batch_sum("inserted"), batch_sum("updated"), batch_sum("rejected")) == (count, 0, 0)


@pytest.fixture
def process(broker: Mosquitto, tmp_path: Path, secret: str) -> Iterator[BridgeProcess]:
    bridge = BridgeProcess(tmp_path, broker.port, secret, "--topic=plant/#", "--client-id=bridge")
    try:
        yield bridge
    finally:
        if bridge.process is not None:
            bridge.kill()


def test_a_killed_broker_loses_nothing(broker, sensor, secret):
    with running(make_bridge(broker, secret)), gateway(broker) as publisher:
        for number, message in enumerate(messages()):
            publisher.send(TOPIC, message)
            if number in (COUNT // 4, COUNT // 2):
                publisher.wait_until_taken(but=10)
                broker.kill()
                broker.start()
        publisher.wait_until_taken()
        wait_until(lambda: stored() == COUNT, broker.log)
    assert_each_is_there_once()


def test_a_killed_bridge_loses_nothing(broker, sensor, secret, process):
    process.start()
    with gateway(broker) as publisher:
        for number, message in enumerate(messages()):
            publisher.send(TOPIC, message)
            if number in (COUNT // 4, COUNT // 2):
                wait_until(lambda number=number: stored() > number // 2, process.log)
                process.kill()
                process.start()
        wait_until(lambda: stored() == COUNT, process.log)
    assert process.terminate() == 0, process.log()
    assert_each_is_there_once()


def test_a_bridge_that_is_told_to_stop_acknowledges_what_it_has_stored(broker, sensor, secret, process):
    process.start()
    with gateway(broker) as publisher:
        for number, message in enumerate(messages()):
            publisher.send(TOPIC, message)
            if number == COUNT // 2:
                wait_until(lambda: stored() > 0, process.log)
                assert process.terminate() == 0, process.log()
        process.start()
        wait_until(lambda: stored() == COUNT, process.log)
        assert process.terminate() == 0, process.log()
    assert_each_is_there_once()
    assert batch_sum("received") == COUNT


def test_a_disabled_key_ends_the_command_with_the_reason(broker, ingest_key, process):
    disable_api_key(api_key=ingest_key[0])
    process.launch()
    assert process.process.wait(PATIENCE_SECONDS) == 1
    assert "The API key is refused. This key has been disabled." in process.log()


def test_a_database_that_is_away_is_waited_for(broker, sensor, secret):
    queue = messages()
    with running(make_bridge(broker, secret)), gateway(broker) as publisher:
        publisher.send(TOPIC, next(queue))
        wait_until(lambda: stored() == 1, broker.log)
        with database_closed():
            for message in queue:
                publisher.send(TOPIC, message)
            publisher.wait_until_taken()
            assert stored() == 1
        wait_until(lambda: stored() == COUNT, broker.log)
    assert_each_is_there_once()


def test_two_bridges_share_a_subscription(broker, sensor, organization, secret):
    _, other = issue_api_key(organization=organization, name="second", scopes=[Scope.INGEST])
    bridges = [
        make_bridge(broker, key, "$share/works/plant/#", client_id=name)
        for key, name in ((secret, "first"), (other, "second"))
    ]
    with running(*bridges), gateway(broker) as publisher:
        for message in messages():
            publisher.send(TOPIC, message)
        wait_until(lambda: stored() == COUNT, broker.log)
    assert_each_is_there_once()
    assert batch_sum("received") == COUNT
    assert set(ReadingBatch.objects.values_list("api_key__name", flat=True)) == {"gateway", "second"}
