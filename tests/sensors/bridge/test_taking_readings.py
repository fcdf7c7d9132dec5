"""From a broker's topics into the database: what is stored, refused and acknowledged. Real Mosquitto."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from sensors.bridge.storing import BridgeStopped
from sensors.models import (
    KeyAllowance,
    KeyMeter,
    Reading,
    ReadingBatch,
    RefusedRequests,
    RejectedReading,
    SensorNaming,
)
from sensors.services.metering import charge
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.plants import make_sensor
from tests.sensors.bridge.broker import (
    Mosquitto,
    NoPauses,
    Until,
    batch_sum,
    gateway,
    make_bridge,
    needs_mosquitto,
    run_until,
    stored,
    subscribe,
)

pytestmark = [needs_mosquitto, pytest.mark.django_db]

TOPIC = "plant/pump-7/vibration"


@pytest.fixture
def moments() -> list[str]:
    """Three hundred moments of the last minutes."""
    newest = datetime.now(UTC).replace(microsecond=0)
    return [(newest - timedelta(seconds=age)).isoformat() for age in range(300, 0, -1)]


def publish(broker: Mosquitto, *messages: tuple[str, object]) -> None:
    with gateway(broker) as publisher:
        for topic, payload in messages:
            publisher.send(topic, payload)
        publisher.wait_until_taken()


def take(broker: Mosquitto, secret: str, *messages: tuple[str, object], **options: object) -> None:
    """Publish these to a bridge's session, and let it work until it has looked at all readings."""
    before = batch_sum("received")
    subscribe(broker, secret, **options)
    publish(broker, *messages)
    bridge = make_bridge(broker, secret, **options)
    run_until(bridge, lambda: batch_sum("received") >= before + len(messages), broker.log)


def test_messages_are_gathered_and_stored_each_once(broker, sensor, secret, moments):
    take(broker, secret, *((TOPIC, {"ts": ts, "value": number}) for number, ts in enumerate(moments)))
    assert sorted(Reading.objects.values_list("value", flat=True)) == list(range(len(moments)))
    assert batch_sum("received") == len(moments)
    assert ReadingBatch.objects.count() < len(moments) / 10
    assert set(ReadingBatch.objects.values_list("format", "api_key__name")) == {("MQTT JSON", "gateway")}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_comes_while_the_bridge_is_away_waits_with_the_broker(broker, sensor, secret, moments, protocol):
    subscribe(broker, secret, protocol=protocol)
    publish(broker, *((TOPIC, {"ts": ts, "value": 1}) for ts in moments[:50]))
    broker.stop()
    broker.start()
    bridge = make_bridge(broker, secret, protocol=protocol)
    run_until(bridge, lambda: stored() == 50, broker.log)


def test_a_message_that_cannot_be_read_stops_no_other_and_does_not_come_again(
    broker, sensor, secret, moments
):
    good = [(TOPIC, {"ts": ts, "value": 1}) for ts in moments[:10]]
    bad = [(TOPIC, b"\xff%d" % number) for number in range(10)]
    take(broker, secret, *(message for pair in zip(good, bad, strict=True) for message in pair))
    assert (stored(), batch_sum("rejected")) == (10, 10)
    assert RefusedRequests.objects.values_list("api_key__name", "code", "count").get() == (
        "gateway",
        "malformed",
        10,
    )
    kept = RejectedReading.objects.first()
    assert kept.code == "malformed"
    assert kept.raw.startswith(f"{TOPIC}: ")

    take(broker, secret, (TOPIC, {"ts": moments[-1], "value": 2}))
    assert batch_sum("received") == 21


def test_a_message_that_meets_a_defect_is_kept_and_stops_no_other(
    broker, sensor, secret, moments, monkeypatch
):
    def defective(self: object, message: object, manners: object) -> None:
        raise ZeroDivisionError

    subscribe(broker, secret, payload="value")
    publish(broker, (TOPIC, b"1"))
    bridge = make_bridge(broker, secret, payload="value")
    monkeypatch.setattr("sensors.bridge.payloads.ValueKind.read", defective)
    run_until(bridge, lambda: batch_sum("rejected") == 1, broker.log)
    assert RejectedReading.objects.get().code == "not_stored"
    assert RefusedRequests.objects.values_list("code", "count").get() == ("not_stored", 1)
    monkeypatch.undo()
    take(broker, secret, (TOPIC, b"2"), payload="value")
    assert stored() == 1


def test_unknown_sensors_are_refused_and_acknowledged(broker, sensor, secret, moments):
    messages = [(topic, {"ts": moments[0], "value": 1}) for topic in ("plant/pump-7/pressure", TOPIC)]
    take(broker, secret, *messages)
    assert stored() == 1
    kept = RejectedReading.objects.get()
    assert (kept.code, kept.sensor_key, kept.value) == ("unknown_sensor", "plant/pump-7/pressure", 1)


def test_a_key_reaches_its_own_organisation_only(broker, sensor, other_organization, moments):
    _, foreign = issue_api_key(organization=other_organization, name="gateway", scopes=[Scope.INGEST])
    take(broker, foreign, (TOPIC, {"ts": moments[0], "value": 1}))
    assert stored() == 0
    assert RejectedReading.objects.get().organization == other_organization


def test_the_naming_of_the_key_gives_the_sensor(broker, plant, organization, ingest_key, moments):
    api_key, secret = ingest_key
    sensor = make_sensor(plant.machine, "pump-7.vibration")
    SensorNaming.objects.create(organization=organization, api_key=api_key, template="{2}.{3}")
    take(broker, secret, (TOPIC, {"ts": moments[0], "value": 1}))
    assert Reading.objects.get().sensor == sensor


@pytest.mark.parametrize("template", ["{measurement}/{field}", "{2"])
def test_a_naming_that_names_no_topic_is_waited_for(
    broker, sensor, organization, ingest_key, moments, monkeypatch, template
):
    api_key, secret = ingest_key
    subscribe(broker, secret)
    publish(broker, (TOPIC, {"ts": moments[0], "value": 1}))
    naming = SensorNaming.objects.create(organization=organization, api_key=api_key, template=template)
    bridge = make_bridge(broker, secret)
    bridge.stopping = NoPauses(after=3)
    with capture_logs() as lines:
        bridge.run()
    assert bridge.stopping.pauses == [0.25, 0.5, 1]
    assert {line["event"] for line in lines} == {"bridge.naming_unreadable"}
    assert f"The naming {template!r} of this key does not suit a bridge" in lines[0]["reason"]

    naming.template = "{topic}"
    naming.save()
    run_until(make_bridge(broker, secret), lambda: stored() == 1, broker.log)


def test_a_naming_that_is_broken_meanwhile_is_waited_for(
    broker, sensor, organization, ingest_key, moments, monkeypatch
):
    api_key, secret = ingest_key
    monkeypatch.setattr("sensors.bridge.storing.KEY_CHECK_SECONDS", 0.0)
    bridge = make_bridge(broker, secret)
    looks = iter(range(1000))

    def mended_after_some_looks() -> bool:
        match next(looks) if bridge.broker.is_subscribed else None:
            case 0:
                SensorNaming.objects.create(organization=organization, api_key=api_key, template="{2")
            case 1:
                publish(broker, (TOPIC, {"ts": moments[0], "value": 1}))
            case 2:
                assert stored() == 0
                SensorNaming.objects.update(template="{topic}")
        return stored() == 1

    with capture_logs() as lines:
        run_until(bridge, mended_after_some_looks, broker.log)
    assert "bridge.naming_unreadable" in {line["event"] for line in lines}


def test_a_key_that_opens_nothing_stops_the_bridge(broker, organization, ingest_key):
    api_key, secret = ingest_key
    with pytest.raises(BridgeStopped, match="No such key"):
        make_bridge(broker, "sm_nonsense").run()
    _, reader = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    with pytest.raises(BridgeStopped, match="scope"):
        make_bridge(broker, reader).run()
    disable_api_key(api_key=api_key)
    with pytest.raises(BridgeStopped, match="disabled"):
        make_bridge(broker, secret).run()


def test_a_key_that_is_disabled_meanwhile_stops_the_bridge(broker, sensor, ingest_key, monkeypatch):
    api_key, secret = ingest_key
    monkeypatch.setattr("sensors.bridge.storing.KEY_CHECK_SECONDS", 0.0)
    bridge = make_bridge(broker, secret)

    def disabled_once_subscribed() -> bool:
        if bridge.broker.is_subscribed and api_key.is_active:
            disable_api_key(api_key=api_key)
        return False

    with pytest.raises(BridgeStopped, match="disabled"):
        run_until(bridge, disabled_once_subscribed, broker.log)


def test_over_its_limit_the_bridge_waits_and_loses_nothing(broker, sensor, organization, ingest_key, moments):
    api_key, secret = ingest_key
    KeyAllowance.objects.create(organization=organization, api_key=api_key, readings_per_s=20)
    subscribe(broker, secret)
    publish(broker, *((TOPIC, {"ts": ts, "value": 1}) for ts in moments[:100]))
    charge(api_key, readings=100_000)
    pauses: list[float | None] = []

    class PaidOff(Until):
        """After the first pause nothing is owed any more."""

        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            KeyMeter.objects.update(readings_paid_at=0)
            return self.is_set()

    bridge = make_bridge(broker, secret)
    bridge.stopping = PaidOff(lambda: stored() == 100, broker.log)
    bridge.run()
    assert len(pauses) == 1
    assert pauses[0] == pytest.approx(100_000 / 20, rel=0.01)
    assert batch_sum("received") == 100
    assert RefusedRequests.objects.values_list("code", "count").get() == ("rate_limited", 1)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_message_is_no_measurement(broker, sensor, secret, protocol):
    with gateway(broker) as publisher:
        publisher.send(TOPIC, b"41.5", retain=True)
        publisher.wait_until_taken()
    take(broker, secret, (TOPIC, b"4.2"), payload="value", protocol=protocol)
    assert Reading.objects.get().value == 4.2


def test_history_is_stored_as_history(broker, plant, secret, moments):
    row = {"sensor": plant.sensor.key, "ts": moments[0], "value": 1}
    take(broker, secret, ("plant/any", {"readings": [row], "historical": True}))
    assert ReadingBatch.objects.get().is_historical
