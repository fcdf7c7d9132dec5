"""Sparkplug B through a real broker: births outlive the bridge, and nodes are asked for what is missing."""

import time

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from sensors.models import Reading, RejectedReading, SparkplugBirth
from tests.plants import make_sensor
from tests.sensors.bridge.broker import (
    batch_sum,
    gateway,
    make_bridge,
    needs_mosquitto,
    run_until,
    stored,
)
from tests.sensors.bridge.sparkplug_wire import metric, payload

pytestmark = [needs_mosquitto, pytest.mark.django_db]

DOUBLE = 10
SPARKPLUG = {"payload": "sparkplug"}
FILTER = "spBv1.0/#"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def birth(ts_ms: int, name: str = "vibration") -> bytes:
    return payload(metric(name, alias=4, ts_ms=ts_ms, datatype=DOUBLE, double_value=2), ts_ms=ts_ms, seq=0)


def data(ts_ms: int, value: float, *, seq: int, historical: bool = False) -> bytes:
    return payload(
        metric(alias=4, ts_ms=ts_ms, double_value=value, historical=historical), ts_ms=ts_ms, seq=seq
    )


def test_a_birth_outlives_the_bridge(broker, plant, secret):
    make_sensor(plant.machine, "Works/line-1/vibration")
    ts_ms = now_ms() - 10_000
    with gateway(broker) as publisher:
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: bridge.broker.is_subscribed, broker.log)
        publisher.send("spBv1.0/Works/NBIRTH/line-1", birth(ts_ms))
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: stored() == 1, broker.log)
        assert SparkplugBirth.objects.get().metrics == [["vibration", 4, DOUBLE]]

        publisher.send("spBv1.0/Works/NDATA/line-1", data(ts_ms + 1000, 3, seq=1))
        publisher.send("spBv1.0/Works/NDATA/line-1", data(ts_ms - 1000, 1, seq=2, historical=True))
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: stored() == 3, broker.log)
    assert list(Reading.objects.order_by("ts").values_list("value", flat=True)) == [1, 2, 3]
    assert RejectedReading.objects.count() == 0


class Crash(BaseException):
    """The end of a process."""


def test_what_comes_again_after_a_crash_comes_to_no_other_sensor(broker, plant, secret, monkeypatch):
    """The alias 4 is the vibration, then the pressure; the bridge dies between commit and acknowledgement."""
    for name in ("vibration", "pressure"):
        make_sensor(plant.machine, f"Works/line-1/{name}")
    ts_ms = now_ms() - 10_000

    def crash(*_: object) -> None:
        """When all is stored; however many messages came at a time, none of them is acknowledged before."""
        if stored() == 4:
            raise Crash

    with gateway(broker) as publisher:
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: bridge.broker.is_subscribed, broker.log)
        publisher.send("spBv1.0/Works/NBIRTH/line-1", birth(ts_ms))
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: stored() == 1, broker.log)

        publisher.send("spBv1.0/Works/NDATA/line-1", data(ts_ms + 1000, 3, seq=1))
        publisher.send("spBv1.0/Works/NBIRTH/line-1", birth(ts_ms + 2000, "pressure"))
        publisher.send("spBv1.0/Works/NDATA/line-1", data(ts_ms + 3000, 5, seq=1))
        publisher.wait_until_taken()
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        for answer in ("acknowledge", "disconnect"):
            monkeypatch.setattr(bridge.broker, answer, crash)
        with pytest.raises(Crash):
            run_until(bridge, lambda: False, broker.log)
        assert stored() == 4
        bridge.broker._client.socket().close()

        looked_at = batch_sum("received")
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: batch_sum("received") == looked_at + 3, broker.log)
    values = {
        name: list(Reading.objects.filter(sensor__key=f"Works/line-1/{name}").values_list("value", flat=True))
        for name in ("vibration", "pressure")
    }
    assert values == {"vibration": [2, 3], "pressure": [2, 5]}
    assert RejectedReading.objects.get().code == "earlier_birth"


def test_a_node_without_a_birth_is_asked_for_one(broker, plant, secret):
    commands: list[mqtt.MQTTMessage] = []
    node = mqtt.Client(CallbackAPIVersion.VERSION2, "line-1")
    node.on_message = lambda client, userdata, message: commands.append(message)
    node.on_connect = lambda client, *_: client.subscribe("spBv1.0/Works/NCMD/line-1", 1)
    subscribed: list[int] = []
    node.on_subscribe = lambda client, userdata, mid, *_: subscribed.append(mid)
    node.connect("127.0.0.1", broker.port)
    node.loop_start()
    try:
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: bridge.broker.is_subscribed and bool(subscribed), broker.log)
        node.publish("spBv1.0/Works/NDATA/line-1", data(now_ms(), 3, seq=1), qos=1)
        bridge = make_bridge(broker, secret, FILTER, **SPARKPLUG)
        run_until(bridge, lambda: bool(commands), broker.log)
    finally:
        node.disconnect()
        node.loop_stop()
    assert b"Node Control/Rebirth" in commands[0].payload
    assert RejectedReading.objects.get().code == "no_birth"
    assert batch_sum("received") == 1
