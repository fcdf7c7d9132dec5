"""A broker that lets the bridge in and serves it not: it waits longer each time, and says how to mend it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from structlog.testing import capture_logs

from sensors.bridge.engine import Bridge
from tests.sensors.bridge.broker import Mosquitto, NoPauses, make_bridge, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.django_db]

PLUGINS = sorted(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"))
EACH_TWICE_THE_LAST = [0.25, 0.5, 1, 2, 4]


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """It lets nobody subscribe to anything."""
    rules = tmp_path / "rules.json"
    access = {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    }
    rules.write_text(json.dumps({"defaultACLAccess": access, "clients": [], "groups": [], "roles": []}))
    running = Mosquitto(
        tmp_path / "mosquitto", settings=f"plugin {PLUGINS[0]}\nplugin_opt_config_file {rules}\n"
    )
    running.start()
    try:
        yield running
    finally:
        running.kill()


def run_through_pauses(bridge: Bridge) -> list[str]:
    """Let it try as often as there are pauses; returns what it said of each."""
    bridge.stopping = NoPauses(after=len(EACH_TWICE_THE_LAST))
    with capture_logs() as lines:
        bridge.run()
    assert bridge.stopping.pauses == EACH_TWICE_THE_LAST
    return [line["reason"] for line in lines if line["event"] == "bridge.broker_away"]


@pytest.mark.skipif(not PLUGINS, reason="There is no plugin that refuses subscriptions.")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_subscription_that_is_refused_is_asked_for_ever_more_seldom(strict_broker, secret, protocol):
    for reason in run_through_pauses(make_bridge(strict_broker, secret, protocol=protocol)):
        assert reason.startswith("The broker refuses the subscription to plant/# (")
        assert reason.endswith("let the bridge's user read that, or subscribe to another --topic.")


class Rival:
    """Another client under the bridge's client ID, which comes back whenever it is sent away."""

    def __init__(self, port: int, protocol: MQTTProtocolVersion) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "bridge", protocol=protocol)
        self.client.reconnect_delay_set(0.05, 0.05)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize(("protocol", "version"), [("5", mqtt.MQTTv5), ("3.1.1", mqtt.MQTTv311)])
def test_two_clients_of_one_name_do_not_chase_each_other(broker, secret, protocol, version):
    rival = Rival(broker.port, version)
    try:
        reasons = run_through_pauses(make_bridge(broker, secret, protocol=protocol))
    finally:
        rival.end()
    assert "does another client use the client ID 'bridge'? Give each bridge a --client-id" in reasons[-1]
