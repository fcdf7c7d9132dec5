"""What was refused is kept, counted, capped, and stored once its cause is mended."""

import threading
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from django.db import close_old_connections, connection, connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from equipment.models import Equipment, KeyRestriction
from sensors.ingest.parsed import Refusal, from_columns
from sensors.models import (
    IngestPolicy,
    Reading,
    ReadingBatch,
    RejectedReading,
    Sensor,
    SensorLatest,
    UnknownSensor,
)
from sensors.services import replaying
from sensors.services.forgetting import forget_rejected
from sensors.services.ingest import Receipt, ingest_readings
from sensors.services.rejecting import keep_rejected
from sensors.services.replaying import replay_rejected
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, Scope
from smartmaint.accounts.services import issue_api_key
from tests.plants import make_plant, make_sensor
from tests.sensors.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ten_o_clock")]

NOW_US = microseconds(NOW)
MINUTE_US = 60_000_000


@pytest.fixture
def other_key(organization) -> ApiKey:
    return issue_api_key(organization=organization, name="historian", scopes=[Scope.INGEST])[0]


def set_ingest_policy(organization: Organization, **fields: object) -> None:
    IngestPolicy.objects.filter(organization=organization).update(**fields)


def send(
    api_key: ApiKey | None,
    values: list[float],
    *,
    key: str = "pump-9/vibration",
    unit: str | None = None,
    quality: int = 0,
    newest_us: int = NOW_US,
    organization: Organization | None = None,
    refusals: list[Refusal] | None = None,
) -> Receipt:
    """One request with readings of one sensor, a minute apart, the last at `newest_us`."""
    count = len(values)
    return ingest_readings(
        organization=organization or api_key.organization,
        parsed=from_columns(
            keys=[key] * count,
            ts_us=newest_us - MINUTE_US * np.arange(count - 1, -1, -1),
            values=values,
            quality=np.full(count, quality, np.int8),
            units=[unit] * count,
            refusals=list(refusals or []),
        ),
        api_key=api_key,
        format="JSON",
    )


def kept() -> list[tuple]:
    rows = RejectedReading.objects.order_by("pk")
    return list(rows.values_list("sensor_key", "value", "code", "is_held"))


def codes(receipt: Receipt) -> list[str]:
    return [refusal.code for refusal in receipt.refusals]


# What is kept.


def test_a_refused_reading_is_kept_with_its_fields_and_the_reason(plant, api_key):
    send(api_key, [4.0, 4.5], key="pump-7/vibration", unit="degC", quality=1)
    first, second = RejectedReading.objects.order_by("pk")
    assert (first.api_key, first.format, first.index, first.code) == (api_key, "JSON", 0, "unit_mismatch")
    assert first.detail == '"degC" is a unit of temperature, "mm/s" one of velocity.'
    assert (first.sensor_key, first.ts) == ("pump-7/vibration", NOW - timedelta(minutes=1))
    assert (first.value, first.quality, first.unit, first.raw) == (4.0, 1, "degC", "")
    assert (second.index, second.value, second.received_at, second.times) == (1, 4.5, NOW, 1)
    assert not first.is_held
    assert first.stored_at is None


def test_what_could_not_be_read_is_kept_as_it_was_sent(api_key, organization):
    refusal = Refusal(3, "invalid_value", "The value must be a number.", raw='{"value": "hi\0gh"}')
    receipt = send(api_key, [], refusals=[refusal])
    row = RejectedReading.objects.get()
    assert codes(receipt) == ["invalid_value"]
    assert (row.index, row.raw) == (3, '{"value": "hi�gh"}')
    assert (row.sensor_key, row.ts, row.value, row.quality) == ("", None, None, None)


def test_the_good_rows_of_the_same_request_are_stored(plant, api_key):
    parsed = from_columns(keys=["pump-7/vibration", "nobody"], ts_us=[NOW_US, NOW_US], values=[2.0, 3.0])
    receipt = ingest_readings(organization=plant.organization, parsed=parsed, api_key=api_key)
    assert (receipt.inserted, receipt.rejected, receipt.held) == (1, 1, 0)
    assert kept() == [("nobody", 3.0, "unknown_sensor", False)]


def test_a_reading_without_a_value_is_kept_without_one(api_key):
    send(api_key, [np.nan], quality=2)
    assert RejectedReading.objects.get().value is None
    assert UnknownSensor.objects.get().last_value is None


@pytest.mark.parametrize("ts_us", [-(10**17), 10**17 * 3, -(2**63), 2**63 - 1])
def test_a_time_that_no_calendar_has_is_kept_as_a_number(api_key, ts_us):
    send(api_key, [1.0], newest_us=ts_us)
    row = RejectedReading.objects.get()
    assert (row.sensor_key, row.ts, row.raw) == ("pump-9/vibration", None, f"{ts_us} µs since 1970")
    assert replay_rejected(RejectedReading.objects.all(), by=None).stored == 0


def test_all_or_nothing_keeps_nothing(plant, api_key):
    parsed = from_columns(keys=["pump-7/vibration", "nobody"], ts_us=[NOW_US] * 2, values=[2.0, 3.0])
    ingest_readings(organization=plant.organization, parsed=parsed, api_key=api_key, all_or_nothing=True)
    assert kept() == []


# The same again, and the cap.


def test_a_client_that_repeats_itself_is_counted_and_not_kept_again(api_key):
    for _ in range(10):
        send(api_key, [1.0, 2.0], refusals=[Refusal(2, "invalid_row", "No object.", raw="[]")])
    rows = RejectedReading.objects.values_list("sensor_key", "value", "raw", "times")
    assert sorted(rows) == [
        ("", None, "[]", 10),
        ("pump-9/vibration", 1.0, "", 10),
        ("pump-9/vibration", 2.0, "", 10),
    ]


def test_of_the_same_moment_the_last_value_wins_with_its_reason(plant, api_key):
    send(api_key, [1.0], key="pump-7/vibration", unit="degC")
    send(api_key, [2.0], key="pump-7/vibration", unit="furlong")
    [row] = RejectedReading.objects.all()
    assert (row.value, row.unit, row.code, row.times) == (2.0, "furlong", "unknown_unit", 2)


def test_two_rows_of_one_request_for_the_same_moment_are_one(api_key):
    parsed = from_columns(keys=["nobody"] * 2, ts_us=[NOW_US] * 2, values=[1.0, 2.0])
    ingest_readings(organization=api_key.organization, parsed=parsed, api_key=api_key)
    [row] = RejectedReading.objects.all()
    assert (row.value, row.times) == (2.0, 2)


def test_the_oldest_go_first(api_key, organization):
    set_ingest_policy(organization, rejected_kept=3)
    send(api_key, [1.0, 2.0, 3.0])
    with clock.frozen(NOW + timedelta(minutes=1)):
        send(api_key, [4.0], newest_us=NOW_US + MINUTE_US)
        send(api_key, [1.0], newest_us=NOW_US - 2 * MINUTE_US)
    assert sorted(row.value for row in RejectedReading.objects.all()) == [1.0, 3.0, 4.0]


def test_of_a_request_beyond_the_cap_the_last_are_kept(api_key, organization):
    set_ingest_policy(organization, rejected_kept=2)
    receipt = send(api_key, [1.0, 2.0, 3.0, 4.0])
    assert len(receipt.refusals) == 4
    assert [value for _, value, _, _ in kept()] == [3.0, 4.0]


def test_a_cap_of_nothing_keeps_nothing(api_key, organization):
    send(api_key, [1.0])
    set_ingest_policy(organization, rejected_kept=0)
    assert codes(send(api_key, [2.0, 3.0])) == ["unknown_sensor"] * 2
    assert kept() == []


def test_each_key_has_a_cap_of_its_own_and_so_has_the_service_itself(api_key, other_key, organization):
    set_ingest_policy(organization, rejected_kept=2)
    for sender in (api_key, other_key, None):
        send(sender, [1.0, 2.0, 3.0], organization=organization)
    counts = Counter(RejectedReading.objects.values_list("api_key", flat=True))
    assert counts == {api_key.pk: 2, other_key.pk: 2, None: 2}


def test_the_services_own_do_not_push_out_another_organisations(organization, other_organization):
    for one in (organization, other_organization):
        set_ingest_policy(one, rejected_kept=1)
        send(None, [1.0], organization=one)
    assert RejectedReading.objects.count() == 2


# Held readings.


@pytest.fixture
def holding(organization):
    set_ingest_policy(organization, unknown_sensors="hold")


def test_under_the_policy_hold_readings_of_unknown_sensors_are_held_and_not_refused(holding, plant, api_key):
    parsed = from_columns(
        keys=["nobody", "pump-7/vibration", "pump-7/vibration"],
        ts_us=[NOW_US] * 3,
        values=[1.0, 2.0, 3.0],
        units=[None, None, "degC"],
    )
    receipt = ingest_readings(organization=plant.organization, parsed=parsed, api_key=api_key)
    assert (receipt.received, receipt.accepted, receipt.held, receipt.rejected) == (3, 1, 1, 1)
    assert codes(receipt) == ["unit_mismatch"]
    assert sorted(kept()) == [
        ("nobody", 1.0, "unknown_sensor", True),
        ("pump-7/vibration", 3.0, "unit_mismatch", False),
    ]


def test_a_request_of_which_all_is_held_has_a_receipt(holding, api_key):
    receipt = send(api_key, [1.0, 2.0])
    batch = ReadingBatch.objects.get(pk=receipt.batch.pk)
    assert (batch.received, batch.held, batch.rejected, batch.refused_by_code) == (2, 2, 0, {})


def test_held_ones_never_go(holding, api_key, organization):
    set_ingest_policy(organization, rejected_kept=3)
    send(api_key, [1.0, 2.0])
    row = Refusal(0, "invalid_row", "No object.", raw="[]")
    for number in range(5):
        send(api_key, [], refusals=[row, Refusal(1, "invalid_row", "No object.", raw=f"[{number}]")])
    assert [(value, held) for _, value, _, held in kept()] == [(1.0, True), (2.0, True), (None, False)]


def test_what_finds_no_room_in_the_inbox_is_refused_and_its_sender_is_told(holding, api_key, organization):
    set_ingest_policy(organization, rejected_kept=3)
    assert send(api_key, [1.0, 2.0]).held == 2
    receipt = send(api_key, [3.0, 4.0], newest_us=NOW_US + 2 * MINUTE_US)
    assert (receipt.held, codes(receipt)) == (1, ["inbox_full"])
    assert 'There is no sensor "pump-9/vibration", and the inbox' in receipt.refusals[0].detail
    assert [value for _, value, _, _ in kept()] == [1.0, 2.0, 3.0]


def test_what_is_held_already_finds_room_in_a_full_inbox(holding, api_key, organization):
    set_ingest_policy(organization, rejected_kept=2)
    send(api_key, [1.0, 2.0])
    receipt = send(api_key, [9.0, 1.5, 2.5], newest_us=NOW_US)
    assert (receipt.held, codes(receipt)) == (2, ["inbox_full"])
    assert [value for _, value, _, _ in kept()] == [1.5, 2.5]


def test_the_inbox_has_room_again_for_what_was_stored(holding, plant, api_key, organization):
    set_ingest_policy(organization, rejected_kept=1)
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    replay_rejected(RejectedReading.objects.all(), by=None)
    receipt = send(api_key, [1.0], key="nobody")
    assert (receipt.held, receipt.rejected) == (1, 0)
    assert kept() == [("nobody", 1.0, "unknown_sensor", True)]


def test_a_held_reading_stays_as_it_is_when_the_policy_turns_and_it_comes_again(
    holding, api_key, organization
):
    send(api_key, [1.0])
    set_ingest_policy(organization, unknown_sensors="refuse")
    assert codes(send(api_key, [7.0])) == ["unknown_sensor"]
    assert [(value, held) for _, value, _, held in kept()] == [(1.0, True), (7.0, False)]


# Replay.


def stored() -> list[tuple]:
    return list(Reading.objects.order_by("sensor_id", "ts").values_list("sensor__key", "value", "quality"))


def replay(**narrowed: object) -> tuple[int, dict]:
    report = replay_rejected(RejectedReading.objects.filter(**narrowed), by=None)
    return report.stored, dict(report.refused)


def test_a_reading_is_stored_once_its_sensor_is_there(plant, api_key):
    send(api_key, [1.0, np.nan], quality=2)
    assert replay() == (0, {"unknown_sensor": 2})
    make_sensor(plant.machine, "pump-9/vibration")
    assert replay() == (2, {})
    [(_, first, _), (_, second, _)] = stored()
    assert first == 1.0
    assert np.isnan(second)
    assert set(RejectedReading.objects.values_list("stored_at", flat=True)) == {NOW}
    assert replay() == (0, {})


def test_a_reading_is_stored_once_its_sensors_unit_is_corrected(plant, api_key):
    sensor = make_sensor(plant.machine, "pump-7/temperature", unit="mm/s")
    send(api_key, [212.0], key=sensor.key, unit="degF")
    Sensor.objects.filter(pk=sensor.pk).update(unit="Cel")
    assert replay() == (1, {})
    assert stored() == [("pump-7/temperature", pytest.approx(100), 0)]


def test_a_replay_pages_nobody_and_tells_whose_it_was(plant, api_key):
    make_sensor(plant.machine, "other")
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    replay()
    batch = ReadingBatch.objects.latest("pk")
    assert (batch.is_historical, batch.api_key, batch.format, batch.inserted) == (True, api_key, "replay", 1)
    assert batch.due_at is not None


def test_what_is_refused_again_keeps_its_row_with_the_new_reason(holding, plant, api_key):
    send(api_key, [1.0], unit="degC")
    make_sensor(plant.machine, "pump-9/vibration")
    assert replay() == (0, {"unit_mismatch": 1})
    [row] = RejectedReading.objects.all()
    assert (row.code, row.detail[:6], row.is_held, row.stored_at) == ("unit_mismatch", '"degC"', True, None)


def test_a_key_that_may_not_post_for_the_machine_may_not_by_replay(plant, api_key):
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    elsewhere = Equipment.objects.create(
        organization=plant.organization,
        site=plant.site,
        tag="X-1",
        name="Elsewhere",
        equipment_class=plant.machine.equipment_class,
    )
    KeyRestriction.objects.create(organization=plant.organization, api_key=api_key, equipment=elsewhere)
    assert replay() == (0, {"forbidden_equipment": 1})
    assert stored() == []


def test_of_two_senders_of_one_moment_the_last_that_came_wins(plant, api_key, other_key):
    send(api_key, [1.0])
    with clock.frozen(NOW + timedelta(seconds=1)):
        send(other_key, [2.0])
    with clock.frozen(NOW + timedelta(seconds=2)):
        send(None, [3.0], newest_us=NOW_US - MINUTE_US, organization=plant.organization)
    make_sensor(plant.machine, "pump-9/vibration")
    report = replay_rejected(RejectedReading.objects.all(), by=None)
    assert str(report) == "2 stored; 1 left out, as another reading of their moment was stored already."
    assert stored() == [("pump-9/vibration", 3.0, 0), ("pump-9/vibration", 2.0, 0)]


@pytest.mark.parametrize("last_sender", [0, 1])
def test_the_last_that_came_wins_whichever_sender_it_is(plant, api_key, other_key, last_sender):
    by_turns = [other_key, api_key] if last_sender == 0 else [api_key, other_key]
    for number, sender in enumerate(by_turns):
        with clock.frozen(NOW + timedelta(seconds=number)):
            send(sender, [float(number)])
    make_sensor(plant.machine, "pump-9/vibration")
    assert replay() == (1, {})
    assert stored() == [("pump-9/vibration", 1.0, 0)]


def test_a_replay_leaves_a_value_that_was_posted_since(plant, api_key, other_key):
    """Refused for its unit, and then sent again as it should be; the minute before was not."""
    send(api_key, [212.0, 213.0], key="pump-7/vibration", unit="degF")
    send(other_key, [212.5], key="pump-7/vibration", unit="degF")
    send(api_key, [4.5], key="pump-7/vibration")
    Sensor.objects.filter(key="pump-7/vibration").update(unit="Cel")
    assert replay() == (1, {})
    assert stored() == [("pump-7/vibration", pytest.approx(100), 0), ("pump-7/vibration", 4.5, 0)]
    assert SensorLatest.objects.get().value == 4.5
    told = RejectedReading.objects.order_by("pk").values_list("value", "code", "stored_at")
    assert list(told) == [
        (212.0, "unit_mismatch", NOW),
        (213.0, "already_stored", NOW),
        (212.5, "already_stored", NOW),
    ]


def test_a_replay_leaves_a_value_that_is_posted_meanwhile(plant, api_key):
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    posted = []

    def post_first(execute, sql, params, many, context):
        if "FOR NO KEY UPDATE" in sql and not posted:
            posted.append(True)
            send(api_key, [5.0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(post_first):
        assert replay() == (0, {})
    assert stored() == [("pump-9/vibration", 5.0, 0)]
    assert RejectedReading.objects.get().code == "already_stored"


def test_a_replay_that_broke_off_counts_what_it_had_stored_when_it_is_started_again(plant, api_key):
    send(api_key, [1.0, np.nan], quality=2)
    make_sensor(plant.machine, "pump-9/vibration")

    def dies_before_it_settles(execute, sql, params, many, context):
        if "SET stored_at" in sql:
            raise KeyboardInterrupt
        return execute(sql, params, many, context)

    with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(dies_before_it_settles):
        replay()
    assert Reading.objects.count() == 2

    assert str(replay_rejected(RejectedReading.objects.all(), by=None)) == "2 stored."
    assert set(RejectedReading.objects.values_list("code", "stored_at")) == {("unknown_sensor", NOW)}


def test_only_what_is_asked_for_is_replayed(plant, api_key):
    for key in ("pump-8/vibration", "pump-9/vibration"):
        send(api_key, [1.0], key=key)
        make_sensor(plant.machine, key)
    assert replay(sensor_key="pump-8/vibration") == (1, {})
    assert stored() == [("pump-8/vibration", 1.0, 0)]


def test_a_replay_of_many_goes_in_blocks(plant, api_key, monkeypatch):
    monkeypatch.setattr(replaying, "MAX_READINGS", 100)
    send(api_key, [1.0] * 250)
    make_sensor(plant.machine, "pump-9/vibration")
    batches = ReadingBatch.objects.count()
    assert replay() == (250, {})
    assert ReadingBatch.objects.count() == batches + 3
    assert Reading.objects.count() == 250


def test_a_reading_that_came_again_during_its_replay_waits_on(plant, api_key, monkeypatch):
    """Its new value was not the one that was stored."""
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    parsed = from_columns(keys=["pump-9/vibration"], ts_us=[NOW_US], values=[5.0])
    refusal = Refusal(0, "unknown_sensor", "There is no sensor.", row=0)

    def late_request(execute, sql, params, many, context):
        if "SET stored_at" in sql:
            keep_rejected(
                organization=plant.organization,
                api_key=api_key,
                parsed=parsed,
                refusals=[refusal],
                format="JSON",
            )
        return execute(sql, params, many, context)

    with connection.execute_wrapper(late_request):
        assert replay() == (1, {})
    assert [(row.value, row.stored_at) for row in RejectedReading.objects.all()] == [(5.0, None)]
    assert replay() == (0, {})
    assert [(row.value, row.code) for row in RejectedReading.objects.all()] == [(5.0, "already_stored")]
    assert stored() == [("pump-9/vibration", 1.0, 0)]


def test_forgetting_deletes_held_ones_too(holding, api_key, other_key):
    send(api_key, [1.0])
    send(other_key, [1.0])
    send(api_key, [1.0], key="other")
    assert forget_rejected(RejectedReading.objects.filter(sensor_key="pump-9/vibration")) == 2
    assert [key for key, *_ in kept()] == ["other"]


# At once.


def at_once(*calls) -> None:
    """Run the calls in a thread each; raises what one of them raised."""
    problems: list[BaseException] = []
    start = threading.Barrier(len(calls))

    def run(call) -> None:
        try:
            with clock.frozen(NOW):
                start.wait()
                call()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_old_connections()
    if problems:
        raise problems[0]


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_keep_to_the_cap_and_count_all(organization, api_key, other_key):
    set_ingest_policy(organization, unknown_sensors="hold", rejected_kept=50)
    keys = [f"sensor-{number}" for number in range(10)]

    def request(sender: ApiKey, place: int) -> None:
        for round_ in range(3):
            order = keys if place % 2 else keys[::-1]
            parsed = from_columns(
                keys=order,
                ts_us=[NOW_US - (place * 3 + round_) * MINUTE_US] * len(keys),
                values=[float(place)] * len(keys),
            )
            ingest_readings(organization=organization, parsed=parsed, api_key=sender)

    at_once(*(lambda place=place: request((api_key, other_key)[place % 2], place) for place in range(6)))
    counts = Counter(RejectedReading.objects.filter(is_held=True).values_list("api_key", flat=True))
    assert counts == {api_key.pk: 50, other_key.pk: 50}
    assert set(UnknownSensor.objects.values_list("readings", flat=True)) == {18}
    held = sum(ReadingBatch.objects.values_list("held", flat=True))
    assert held == 100


@pytest.mark.django_db(transaction=True)
def test_two_replays_at_once_store_each_reading_once(organization, api_key):
    plant = make_plant(organization)
    send(api_key, [1.0] * 500)
    make_sensor(plant.machine, "pump-9/vibration")
    reports = []
    at_once(*[lambda: reports.append(replay_rejected(RejectedReading.objects.all(), by=None))] * 2)
    assert sum(report.stored for report in reports) == 500
    assert Reading.objects.count() == 500
    assert not RejectedReading.objects.waiting().exists()


@pytest.mark.django_db(transaction=True)
def test_a_replay_leaves_the_first_reading_of_a_sensor_that_is_posted_meanwhile(organization, api_key):
    """It comes when the replay has looked at what is stored: then it waits for the replay, or the replay leaves it."""
    plant = make_plant(organization)
    send(api_key, [1.0])
    make_sensor(plant.machine, "pump-9/vibration")
    live = threading.Thread(target=at_once, args=[lambda: send(api_key, [5.0])])

    def is_live_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database "
                "WHERE datname = current_database() AND NOT granted)"
            )
            return cursor.fetchone()[0]

    def post_after_the_look(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if "WITH ORDINALITY AS wanted" in sql and live.ident is None:
            live.start()
            while live.is_alive() and not is_live_waiting():
                live.join(0.01)
        return result

    with connection.execute_wrapper(post_after_the_look):
        replay()
    live.join()
    assert stored() == [("pump-9/vibration", 5.0, 0)]


@pytest.mark.django_db(transaction=True)
def test_a_replay_and_a_client_that_repeats_itself_do_not_lock_each_other_out(organization, api_key):
    plant = make_plant(organization)
    sensor = make_sensor(plant.machine, "pump-9/vibration", unit="Cel")
    send(api_key, [1.0] * 200, unit="mm/s")

    def repeat() -> None:
        for _ in range(10):
            mixed = from_columns(
                keys=[sensor.key] * 400,
                ts_us=NOW_US - MINUTE_US * np.arange(400),
                values=[1.0] * 400,
                units=["mm/s"] * 200 + ["Cel"] * 200,
            )
            ingest_readings(organization=organization, parsed=mixed, api_key=api_key)

    def replay_often() -> None:
        for _ in range(10):
            replay_rejected(RejectedReading.objects.all(), by=None)

    at_once(repeat, replay_often, repeat)
    assert RejectedReading.objects.waiting().count() == 200
    assert Reading.objects.count() == 200


# The database.


def test_what_waits_is_there_once(api_key):
    send(api_key, [1.0])
    row = RejectedReading.objects.get()
    row.pk = None
    with pytest.raises(Exception, match="rejectedreading_waiting_once"), transaction.atomic():
        row.save(force_insert=True)
    row.stored_at = NOW
    row.save(force_insert=True)


TEXTS = st.text(max_size=600)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    refusals=st.lists(
        st.builds(
            Refusal,
            index=st.integers(0, 2**40),
            code=st.sampled_from(["invalid_row", "unknown_sensor"]),
            detail=TEXTS,
            raw=TEXTS,
        ),
        max_size=5,
    )
)
def test_whatever_was_sent_is_kept(api_key, refusals):
    with transaction.atomic():
        parsed = from_columns(keys=[], ts_us=[], values=[], refusals=refusals)
        told, held = keep_rejected(
            organization=api_key.organization,
            api_key=api_key,
            parsed=parsed,
            refusals=refusals,
            format="x" * 50,
        )
        assert (told, held) == (refusals, 0)
        assert RejectedReading.objects.count() <= len(refusals)
        assert bool(RejectedReading.objects.exists()) == bool(refusals)
        transaction.set_rollback(True)
