"""Where readings stand: monthly partitions and hypertables behind one interface, and the way from one to the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO

import numpy as np
import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from sensors import storage
from sensors.models import IngestPolicy, Reading, Sensor, SensorLatest
from sensors.services import retention
from sensors.storage.kinds import Hypertable, Kind, NativePartitions, kind, make_partitions
from sensors.storage.kinds.conversion import create_timescale, to_hypertable, to_partitions
from sensors.storage.kinds.native import PARTITION_LOCK
from smartmaint import clock
from tests.plants import make_plant, make_sensor

AT = datetime(2026, 3, 30, 12, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
# No other test has readings then.
LONG_AGO = datetime(1971, 2, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    """Tests change the kind of the table and take it back; no process of the product does."""
    kind.cache_clear()
    yield
    kind.cache_clear()


def use_partitions() -> None:
    if not isinstance(kind(), NativePartitions):
        to_partitions(connection)


def use_hypertable() -> None:
    if isinstance(kind(), Hypertable):
        return
    if obstacle := create_timescale(connection):
        pytest.skip(f"{obstacle}.")
    to_hypertable(connection)


@pytest.fixture(params=[use_partitions, use_hypertable], ids=["partitions", "hypertable"])
def each_kind(request, db) -> Kind:
    request.param()
    return kind()


@pytest.fixture
def partitions(db) -> NativePartitions:
    use_partitions()
    return NativePartitions()


@pytest.fixture
def hypertable(db) -> Hypertable:
    use_hypertable()
    return Hypertable()


@pytest.fixture
def real_partitions(django_db_setup, django_db_blocker) -> Iterator[NativePartitions]:
    """Committed ones, which other connections see; all that a test has put into them goes with them."""
    with django_db_blocker.unblock():
        if not isinstance(kind(), NativePartitions):
            pytest.skip("The table of readings is a hypertable in this database.")
        yield NativePartitions()
        NativePartitions().drop_before(LONG_AGO + timedelta(days=400))


@pytest.fixture
def sensor(organization) -> Sensor:
    return make_plant(organization).sensor


def us(moment: datetime) -> int:
    return storage.microseconds(moment)


def store(sensor: Sensor, values: list[float], *, last_at: datetime) -> tuple[int, int]:
    """Readings five minutes apart, written as ingest writes them; how many were new and how many changed."""
    count = len(values)
    ts_us = us(last_at) + np.arange(1 - count, 1) * (FIVE_MINUTES // timedelta(microseconds=1))
    make_partitions(ts_us[0], ts_us[-1])
    rows = storage.Rows(
        sensor_ids=np.full(count, sensor.pk),
        ts_us=ts_us,
        values=np.array(values, dtype=np.float64),
        quality=np.zeros(count, np.int8),
    )
    is_first = not SensorLatest.objects.filter(sensor=sensor).exists()
    with transaction.atomic():
        stored = storage.store_readings(
            rows,
            organization_id=sensor.organization_id,
            received_at=clock.now(),
            is_historical=False,
            first_of=[sensor.pk] if is_first else [],
        )
    return stored.inserted, stored.updated


def stored_values(sensor: Sensor) -> list[float]:
    return list(Reading.objects.filter(sensor=sensor).order_by("ts").values_list("value", flat=True))


def months() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
            "WHERE inhparent = 'sensors_reading'::regclass ORDER BY 1"
        )
        return [name.removeprefix("sensors_reading_") for (name,) in cursor.fetchall()]


@contextmanager
def another_session() -> Iterator[psycopg2.extensions.cursor]:
    """A cursor of another connection, in a transaction that is rolled back."""
    other = psycopg2.connect(**connection.get_connection_params())
    try:
        yield other.cursor()
    finally:
        other.close()


# What both kinds do


def test_copied_inserted_replayed_and_changed_readings(each_kind, sensor):
    values = [float(number) for number in range(1000)]
    assert store(sensor, values, last_at=AT) == (1000, 0), "by COPY"
    assert store(sensor, [7.5, 8.5], last_at=AT + 2 * FIVE_MINUTES) == (2, 0), "by INSERT"
    assert store(sensor, values, last_at=AT) == (0, 0), "a replay by way of the staging table"
    assert store(sensor, [7.5, 9.5], last_at=AT + 2 * FIVE_MINUTES) == (0, 1), (
        "a change by INSERT ON CONFLICT"
    )
    assert stored_values(sensor) == [*values, 7.5, 9.5]


def test_readings_before_everything_that_is_stored(each_kind, sensor):
    store(sensor, [1.0], last_at=AT)
    assert store(sensor, [2.0] * 100, last_at=AT - timedelta(days=390)) == (100, 0)
    assert stored_values(sensor) == [2.0] * 100 + [1.0]


def test_parts_that_end_before_a_moment_are_dropped_whole(each_kind, sensor):
    for days in (100, 60, 0):
        store(sensor, [float(days)], last_at=AT - timedelta(days=days))
    parts = each_kind.facts().parts
    dropped = each_kind.drop_before(AT - timedelta(days=50))
    assert stored_values(sensor) == [0.0]
    assert dropped == parts - each_kind.facts().parts
    assert each_kind.drop_before(AT - timedelta(days=50)) == 0


def test_a_part_that_reaches_beyond_the_moment_stays(each_kind, sensor):
    store(sensor, [1.0], last_at=AT)
    each_kind.drop_before(AT + FIVE_MINUTES)
    assert stored_values(sensor) == [1.0]


def test_a_dropped_part_is_made_again_when_readings_need_it(each_kind, sensor):
    store(sensor, [1.0], last_at=AT)
    each_kind.drop_before(AT + timedelta(days=40))
    assert stored_values(sensor) == []
    assert store(sensor, [2.0], last_at=AT) == (1, 0)


def test_the_facts_of_a_table(each_kind, sensor):
    each_kind.drop_before(datetime(2100, 1, 1, tzinfo=UTC))
    empty = each_kind.facts()
    assert (empty.parts, empty.oldest_at, empty.newest_at) == (0, None, None)
    store(sensor, [1.0] * 500, last_at=AT)
    facts = each_kind.facts()
    assert facts.parts == 1
    assert facts.size > empty.size
    assert facts.oldest_at <= AT - 499 * FIVE_MINUTES
    assert facts.newest_at > AT


def test_readings_survive_the_way_to_another_kind_and_back(hypertable, sensor):
    for days in (200, 45, 0):
        store(sensor, [days + 0.5, days + 0.25], last_at=AT - timedelta(days=days))
    before = list(Reading.objects.order_by("ts").values_list())
    to_partitions(connection)
    assert isinstance(kind(), NativePartitions)
    assert list(Reading.objects.order_by("ts").values_list()) == before
    assert {"2025_09", "2026_02", "2026_03"} <= set(months())
    assert store(sensor, [9.0], last_at=AT) == (0, 1)
    to_hypertable(connection)
    assert isinstance(kind(), Hypertable)
    assert len(stored_values(sensor)) == 6
    assert stored_values(sensor)[-1] == 9.0


def test_the_key_has_the_same_name_in_each_kind(each_kind):
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "sensors_reading")
    assert constraints["sensors_reading_pkey"]["columns"] == ["sensor_id", "ts"]


# Monthly partitions


def test_months_are_those_of_utc(partitions, sensor):
    make_partitions(us(datetime(2026, 5, 31, 23, 59, tzinfo=UTC)), us(datetime(2026, 6, 1, tzinfo=UTC)))
    assert {"2026_05", "2026_06"} <= set(months())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'America/Denver'")
    store(sensor, [1.0, 2.0], last_at=datetime(2026, 6, 1, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, value FROM sensors_reading ORDER BY ts")
        assert cursor.fetchall() == [("sensors_reading_2026_05", 1.0), ("sensors_reading_2026_06", 2.0)]


def test_a_month_whose_making_was_rolled_back_is_not_remembered(partitions):
    with transaction.atomic():
        partitions.make_room(us(LONG_AGO), us(LONG_AGO))
        transaction.set_rollback(True)
    partitions.make_room(us(LONG_AGO), us(LONG_AGO))
    assert "1971_02" in months()


def test_months_that_were_seen_cost_no_query(real_partitions, django_assert_num_queries):
    real_partitions.make_room(us(LONG_AGO), us(LONG_AGO + timedelta(days=62)))
    assert {"1971_02", "1971_03", "1971_04"} <= set(months())
    with django_assert_num_queries(0):
        real_partitions.make_room(us(LONG_AGO + timedelta(days=30)), us(LONG_AGO + timedelta(days=31)))


def test_a_month_that_another_process_dropped_is_made_anew(real_partitions):
    here, there = real_partitions, NativePartitions()
    here.make_room(us(LONG_AGO), us(LONG_AGO))
    assert there.drop_before(LONG_AGO + timedelta(days=40)) == 1
    reading = {"sensor_id": 1, "ts": LONG_AGO, "value": 1.0}
    here.make_room(us(LONG_AGO), us(LONG_AGO))
    with pytest.raises(IntegrityError, match="no partition"), transaction.atomic():
        Reading.objects.create(**reading)
    here.make_room(us(LONG_AGO), us(LONG_AGO), anew=True)
    Reading.objects.create(**reading)


def test_a_month_is_made_while_another_session_writes(real_partitions):
    real_partitions.make_room(us(LONG_AGO), us(LONG_AGO))
    with another_session() as other:
        other.execute("INSERT INTO sensors_reading VALUES (1, %s, 1.0, 0)", [LONG_AGO])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        try:
            real_partitions.make_room(us(LONG_AGO + timedelta(days=31)), us(LONG_AGO + timedelta(days=31)))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    assert "1971_03" in months()


def test_many_at_once_make_one_month(real_partitions):
    def make() -> None:
        NativePartitions().make_room(us(LONG_AGO), us(LONG_AGO + timedelta(days=90)))

    assert at_once([make] * 6) == []
    assert [month for month in months() if month.startswith("1971")] == [
        "1971_02",
        "1971_03",
        "1971_04",
        "1971_05",
    ]


def test_a_month_in_use_is_dropped_next_time(real_partitions):
    real_partitions.make_room(us(LONG_AGO), us(LONG_AGO))
    with another_session() as other:
        other.execute("SELECT count(*) FROM sensors_reading_1971_02")
        assert real_partitions.drop_before(LONG_AGO + timedelta(days=40)) == 0
        assert "1971_02" in months()
    assert real_partitions.drop_before(LONG_AGO + timedelta(days=40)) == 1
    assert "1971_02" not in months()


def test_a_drop_does_not_wait_for_a_month_being_made(real_partitions):
    real_partitions.make_room(us(LONG_AGO), us(LONG_AGO))
    with another_session() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        assert real_partitions.drop_before(LONG_AGO + timedelta(days=40)) == 0


def test_plain_partitions_are_not_compressed(partitions):
    assert partitions.compress_after(timedelta(days=14)) is False


def at_once(calls: list[Callable[[], None]]) -> list[Exception]:
    """Run each in a thread with a connection of its own; return what they raised."""
    raised: list[Exception] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        try:
            call()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# Hypertables


@pytest.fixture
def compressing(hypertable) -> Hypertable:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('timescaledb.license')")
        (licence,) = cursor.fetchone()
    if not hypertable.compress_after(timedelta(days=14)):
        pytest.skip(f"The server's TimescaleDB has the licence {licence}, which does not compress.")
    return hypertable


def compress_all() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT compress_chunk(chunk) FROM show_chunks('sensors_reading') AS chunk")


def test_the_job_that_compresses_is_set_once_and_follows_its_age(compressing):
    assert compressing.compress_after(timedelta(days=14))
    assert compressing.compress_after(timedelta(days=21))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT config->>'compress_after' FROM timescaledb_information.jobs "
            "WHERE hypertable_name = 'sensors_reading' AND proc_name = 'policy_compression'"
        )
        assert cursor.fetchall() == [("21 days",)]


def test_late_and_corrected_readings_in_compressed_chunks(compressing, sensor):
    values = [float(number % 10) for number in range(3000)]
    store(sensor, values, last_at=AT)
    compress_all()
    assert compressing.facts().compressed_parts == compressing.facts().parts
    assert store(sensor, values, last_at=AT) == (0, 0)
    assert store(sensor, [99.0] * 500, last_at=AT - 1000 * FIVE_MINUTES) == (0, 500)
    assert store(sensor, [55.0] * 300, last_at=AT - timedelta(minutes=1)) == (300, 0), "between the others"
    assert sum(value == 99.0 for value in stored_values(sensor)) == 500
    assert len(stored_values(sensor)) == 3300


def test_a_request_may_touch_more_compressed_readings_than_timescale_unpacks_by_default(compressing, sensor):
    count = 120
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sensors_reading SELECT sensor, %s - number * interval '5 minutes', 1, 0 "
            "FROM generate_series(1, %s) AS sensor, generate_series(0, 999) AS number",
            [AT, count],
        )
        compress_all()
        cursor.execute(
            "INSERT INTO sensors_reading SELECT sensor, %s, 2, 0 FROM generate_series(1, %s) AS sensor "
            "ON CONFLICT (sensor_id, ts) DO UPDATE SET value = excluded.value",
            [AT, count],
        )
    assert Reading.objects.filter(value=2).count() == count


def test_compressed_chunks_are_dropped_and_turned_back(compressing, sensor):
    store(sensor, [1.0] * 10, last_at=AT - timedelta(days=100))
    store(sensor, [2.0] * 10, last_at=AT)
    compress_all()
    assert compressing.drop_before(AT - timedelta(days=50)) == 1
    to_partitions(connection)
    assert stored_values(sensor) == [2.0] * 10


def test_an_organisation_that_keeps_readings_for_less_time_loses_compressed_ones(
    compressing, sensor, organization, other_organization, monkeypatch
):
    monkeypatch.setattr(retention, "STEP_ROWS", 2000)
    IngestPolicy.objects.filter(organization=organization).update(retention_days=400)
    # Steps that end inside a packed thousand, of several sensors in one chunk.
    sensors = [sensor, *(make_sensor(sensor.equipment, f"pump-7/{number}") for number in range(4))]
    for one in sensors:
        store(one, [1.0] * 5000, last_at=AT - timedelta(days=410))
        store(one, [2.0], last_at=AT)
    compress_all()
    with clock.frozen(AT):
        dropped = retention.drop_old_readings(budget_seconds=60)
    assert dropped.rows == {"sensors_reading": 25_000}
    assert all(stored_values(one) == [2.0] for one in sensors)


# Switching by hand


def told(*arguments: str) -> str:
    words = StringIO()
    call_command("convert_storage", *arguments, stdout=words)
    return words.getvalue()


def test_the_command_says_where_readings_are(partitions, sensor):
    partitions.drop_before(datetime(2100, 1, 1, tzinfo=UTC))
    assert told() == "monthly partitions: 0 parts 0 bytes.\n"
    store(sensor, [1.0], last_at=AT)
    assert told("partitions").startswith("monthly partitions: 1 parts from 2026-03-01 to 2026-04-01, ")


def test_the_command_refuses_where_there_is_no_timescale(partitions, sensor):
    if not create_timescale(connection):
        pytest.skip("This server has TimescaleDB.")
    store(sensor, [1.0], last_at=AT)
    with pytest.raises(CommandError, match=r"Nothing was changed: .*TimescaleDB"):
        told("timescale")
    assert stored_values(sensor) == [1.0]


def test_the_command_converts_and_converts_back(hypertable, sensor):
    store(sensor, [1.0, 2.0], last_at=AT)
    assert told("partitions").startswith("monthly partitions: 1 parts")
    assert told("timescale").startswith("TimescaleDB ")
    assert stored_values(sensor) == [1.0, 2.0]
