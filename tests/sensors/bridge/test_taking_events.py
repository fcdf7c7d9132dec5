"""From a broker's topics to machine events: what is stored, refused and acknowledged. Real Mosquitto."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from equipment.models import KeyRestriction
from sensors.models import KeyAllowance, KeyMeter, MachineEvent, Reading, RefusedRequests, RejectedReading
from sensors.services.metering import charge
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import issue_api_key
from tests.plants import make_plant
from tests.sensors.bridge.broker import (
    BridgeProcess,
    Until,
    database_closed,
    gateway,
    make_bridge,
    needs_mosquitto,
    run_until,
    running,
    stored,
    subscribe,
    wait_until,
)

pytestmark = [needs_mosquitto, pytest.mark.django_db]

ALARMS = {"event_filters": ("plant/+/alarms",), "machine": "{2}"}


@pytest.fixture
def topic(plant) -> str:
    return f"plant/{plant.machine.tag}/alarms"


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def recorded() -> int:
    return MachineEvent.objects.count()


def refused() -> list[tuple[str, int]]:
    return list(RefusedRequests.objects.order_by("code").values_list("code", "count"))


def take(broker, secret, *messages, until=None, **options):
    """Publish these to a bridge's session, and let it work until it is so, or all are recorded."""
    options = ALARMS | options
    wanted = recorded() + len(messages)
    subscribe(broker, secret, **options)
    publish(broker, *messages)
    run_until(make_bridge(broker, secret, **options), until or (lambda: recorded() >= wanted), broker.log)


def publish(broker, *messages):
    with gateway(broker) as publisher:
        for topic, payload in messages:
            publisher.send(topic, payload)
        publisher.wait_until_taken()


def codes():
    return sorted(MachineEvent.objects.values_list("code", flat=True))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_are_stored_each_once(broker, plant, secret, topic, now, protocol):
    event = {"code": "E17", "kind": "fault", "message": "Motor overload"}
    moments = [(now - timedelta(seconds=age)).isoformat() for age in range(200)]
    take(broker, secret, *((topic, event | {"ts": ts}) for ts in moments), protocol=protocol)
    assert recorded() == 200
    one = MachineEvent.objects.first()
    assert (one.equipment, one.code, one.kind, one.message) == (
        plant.machine,
        "E17",
        "fault",
        "Motor overload",
    )
    assert (one.at, one.api_key.name) == (now, "gateway")


def test_readings_and_events_come_by_one_bridge(broker, plant, secret, topic, now):
    reading = {"sensor": plant.sensor.key, "ts": now.isoformat(), "value": 3.9}
    take(
        broker,
        secret,
        (topic, {"code": "E17"}),
        ("plant/any", reading),
        until=lambda: recorded() == 1 and stored() == 1,
    )
    assert Reading.objects.get().value == 3.9
    assert not RejectedReading.objects.exists()


def test_an_event_without_a_time_is_one_though_both_topics_match(broker, plant, secret, topic, now):
    """Mosquitto sends a message once for each filter that it matches."""
    take(broker, secret, (topic, {"code": "E17"}), (topic, {"code": "E18"}), (topic, {"code": "E18"}))
    assert codes() == ["E17", "E18", "E18"]
    assert not RejectedReading.objects.exists()


def test_a_bridge_for_events_alone(broker, plant, secret, topic):
    take(broker, secret, (topic, [{"code": "E1"}]), (topic, [{"code": "E2"}]), filters=())
    assert codes() == ["E1", "E2"]


def test_what_cannot_be_read_is_logged_counted_and_does_not_come_again(broker, plant, secret, topic):
    with capture_logs() as lines:
        take(
            broker,
            secret,
            (topic, b"\xff1"),
            (topic, {"code": "E1"}),
            ("plant/nobody/alarms", {"code": "E2"}),
            (topic, {"code": "E3", "kind": "odd"}),
            (topic, {"code": "E4"}),
            until=lambda: recorded() == 2 and bool(refused()),
        )
    assert codes() == ["E1", "E4"]
    assert refused() == [("malformed", 1)]
    told: dict[str, int] = {}
    for line in lines:
        if line["event"] == "bridge.events_refused":
            told |= line["codes"]
            assert line["raw"]
    assert told == {"malformed": 1, "unknown_equipment": 1, "unknown_kind": 1}
    assert [line["events"] for line in lines if line["event"] == "bridge.stored"] != []

    take(broker, secret, (topic, {"code": "E5"}))
    assert refused() == [("malformed", 1)]
    assert codes() == ["E1", "E4", "E5"]


def test_a_message_that_meets_a_defect_stops_no_other(broker, plant, secret, topic, monkeypatch):
    subscribe(broker, secret, **ALARMS)
    publish(broker, (topic, {"code": "E1"}))

    def fails_once(*args, **kwargs):
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr("sensors.bridge.storing.record_events", fails_once)
    run_until(make_bridge(broker, secret, **ALARMS), lambda: bool(refused()), broker.log)
    assert refused() == [("not_stored", 1)]
    take(broker, secret, (topic, {"code": "E2"}))
    assert codes() == ["E2"]


def test_a_key_reaches_its_own_organisation_and_machines_only(
    broker, plant, organization, other_organization, ingest_key, topic
):
    _, foreign = issue_api_key(organization=other_organization, name="gateway", scopes=[Scope.INGEST])
    with capture_logs() as lines:
        take(
            broker,
            foreign,
            (topic, {"code": "E1"}),
            until=lambda: "bridge.events_refused" in {line["event"] for line in lines},
        )
    other = make_plant(organization, name="pump-8").machine
    KeyRestriction.objects.create(organization=organization, api_key=ingest_key[0], equipment=other)
    with capture_logs() as lines:
        take(
            broker,
            ingest_key[1],
            (topic, {"code": "E1"}),
            until=lambda: "bridge.events_refused" in {line["event"] for line in lines},
            client_id="restricted",
        )
    assert {"forbidden_equipment": 1} in [line.get("codes") for line in lines]
    assert recorded() == 0


def test_over_its_limit_the_bridge_waits_and_loses_nothing(broker, plant, organization, ingest_key, topic):
    api_key, secret = ingest_key
    KeyAllowance.objects.create(organization=organization, api_key=api_key, readings_per_s=20)
    subscribe(broker, secret, **ALARMS)
    publish(broker, *((topic, {"code": number}) for number in range(100)))
    charge(api_key, readings=100_000)
    pauses: list[float | None] = []

    class PaidOff(Until):
        """After the first pause nothing is owed any more."""

        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            KeyMeter.objects.update(readings_paid_at=0)
            return self.is_set()

    bridge = make_bridge(broker, secret, **ALARMS)
    bridge.stopping = PaidOff(lambda: recorded() == 100, broker.log)
    bridge.run()
    assert pauses[0] == pytest.approx(100_000 / 20, rel=0.01)
    assert refused() == [("rate_limited", 1)]


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
class TestInTrouble:
    COUNT = 300

    def events(self, now):
        return [
            {"code": number, "ts": (now - timedelta(seconds=number)).isoformat()}
            for number in range(self.COUNT)
        ]

    def test_a_database_that_is_away_is_waited_for(self, broker, secret, topic, now):
        queue = iter(self.events(now))
        with running(make_bridge(broker, secret, **ALARMS)), gateway(broker) as publisher:
            publisher.send(topic, next(queue))
            wait_until(lambda: recorded() == 1, broker.log)
            with database_closed():
                for event in queue:
                    publisher.send(topic, event)
                publisher.wait_until_taken()
                assert recorded() == 1
            wait_until(lambda: recorded() == self.COUNT, broker.log)

    def test_a_killed_bridge_loses_nothing(self, broker, secret, topic, now, tmp_path):
        process = BridgeProcess(
            tmp_path,
            broker.port,
            secret,
            "--events-topic=plant/+/alarms",
            "--machine={2}",
            "--client-id=bridge",
        )
        process.start()
        try:
            with gateway(broker) as publisher:
                for number, event in enumerate(self.events(now)):
                    publisher.send(topic, event)
                    if number == self.COUNT // 2:
                        wait_until(lambda: recorded() > 0, process.log)
                        process.kill()
                        process.start()
                wait_until(lambda: recorded() == self.COUNT, process.log)
            assert process.terminate() == 0, process.log()
        finally:
            process.kill()
        assert len(set(codes())) == self.COUNT
