"""However a client sends its readings, again and again, at once or in any order, the same is stored."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.agents import detect_anomalies
from sensors.ingest.parsed import ParsedReadings, from_columns
from sensors.models import (
    Anomaly,
    DailyRollup,
    DetectorState,
    FiveMinuteRollup,
    HourlyRollup,
    Reading,
    ReadingBatch,
    Sensor,
    SensorLatest,
)
from sensors.services.ingest import ingest_readings
from sensors.storage import microseconds, moment
from smartmaint import clock
from tests.plants import make_plant, make_sensor

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE_US = 60_000_000
KEYS = ["pump-7/vibration", "pump-7/temperature", "pump-7/current"]
CLIENTS = 10

Row = tuple[str, int, float, int]

# Around the borders of five minutes, an hour and a day; the same moment more than once, with another value.
rows = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from([0, 1, 4, 5, 59, 60, 61, 24 * 60 - 1, 24 * 60]),
    st.sampled_from([1.0, 2.0, 5.0]),
    st.sampled_from([0, 0, 0, 2]),
)
requests = st.lists(st.lists(rows, min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.fixture
def sensors(organization) -> list[Sensor]:
    plant = make_plant(organization)
    return [plant.sensor, *(make_sensor(plant.machine, key) for key in KEYS[1:])]


def parsed(request: list[Row], begin_us: int) -> ParsedReadings:
    keys, minutes, values, quality = zip(*request, strict=True)
    return from_columns(
        keys=keys, ts_us=[begin_us + minute * MINUTE_US for minute in minutes], values=values, quality=quality
    )


def day_start_us() -> int:
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    return microseconds(midnight)


def what_is_stored() -> dict[str, list]:
    of_rollup = ("sensor", "started_at", "count", "minimum", "maximum")
    stored = {
        "readings": list(Reading.objects.values_list("sensor", "ts", "value", "quality")),
        "latest": list(SensorLatest.objects.order_by("pk").values_list("sensor", "ts", "value", "quality")),
    }
    for model in (FiveMinuteRollup, HourlyRollup, DailyRollup):
        stored[model.__name__] = list(model.objects.values_list(*of_rollup))
        means = model.objects.values_list("mean", flat=True)
        stored[f"means of {model.__name__}"] = [round(mean, 9) for mean in means]
    return stored


def forget_readings() -> None:
    for model in (
        Anomaly,
        ReadingBatch,
        DetectorState,
        SensorLatest,
        Reading,
        FiveMinuteRollup,
        HourlyRollup,
        DailyRollup,
    ):
        model.objects.all()._raw_delete("default")


def expected(sent: list[Row], begin_us: int, ids: dict[str, int]) -> list[tuple]:
    last = {(ids[key], minute): (value, quality) for key, minute, value, quality in sent}
    return [
        (sensor, begin_us + minute * MINUTE_US, value, quality)
        for (sensor, minute), (value, quality) in sorted(last.items())
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=requests, detections=st.sets(st.integers(0, 4)), again=st.booleans())
def test_the_last_write_wins_and_rollups_follow(organization, sensors, requests, detections, again):
    """Whenever detection comes by; and when all is sent again in the same order, nothing changes."""
    forget_readings()
    begin_us = day_start_us()
    ids = {sensor.key: sensor.pk for sensor in sensors}
    for number, request in enumerate(requests):
        ingest_readings(organization=organization, parsed=parsed(request, begin_us))
        if number in detections:
            detect_anomalies()
    detect_anomalies()
    sent = [row for request in requests for row in request]
    stored = what_is_stored()

    assert [
        (sensor, microseconds(ts), value, quality) for sensor, ts, value, quality in stored["readings"]
    ] == expected(sent, begin_us, ids)
    newest = {sensor: row for row in stored["readings"] for sensor in [row[0]]}
    assert stored["latest"] == [newest[sensor] for sensor in sorted(newest)]
    usable = [row for row in stored["readings"] if row[3] != 2]
    for model in (FiveMinuteRollup, HourlyRollup, DailyRollup):
        assert sum(count for _, _, count, _, _ in stored[model.__name__]) == len(usable)
    if again:
        last_wins = {(key, minute): (key, minute, value, quality) for key, minute, value, quality in sent}
        receipt = ingest_readings(
            organization=organization, parsed=parsed(list(last_wins.values()), begin_us)
        )
        detect_anomalies()
        assert (receipt.inserted, receipt.updated) == (0, 0)
        assert what_is_stored() == stored


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_batches_in_any_order_come_to_the_same(organization, sensors, data):
    """Of readings that do not contradict each other; detection comes by after each."""
    sent = data.draw(st.lists(rows, min_size=2, max_size=20, unique_by=lambda row: row[:2]))
    order = data.draw(st.permutations(sent))
    begin_us = day_start_us()
    outcomes = []
    for way in (sorted(sent, key=lambda row: row[1]), order):
        forget_readings()
        for first in range(0, len(way), 4):
            ingest_readings(organization=organization, parsed=parsed(way[first : first + 4], begin_us))
            detect_anomalies()
        outcomes.append(what_is_stored())
    assert outcomes[0] == outcomes[1]


def test_late_and_new_readings_of_one_bucket_are_counted_once(organization, sensors):
    """Also while a further reading of it is stored that detection has not come to yet."""
    begin_us = day_start_us()
    for request in ([(KEYS[0], 1, 1.0, 0)], [(KEYS[0], 0, 1.0, 0), (KEYS[0], 2, 1.0, 0)]):
        ingest_readings(organization=organization, parsed=parsed(request, begin_us))
        if request[0][1] == 1:
            detect_anomalies()
    waiting = ingest_readings(
        organization=organization, parsed=parsed([(KEYS[0], 3, 1.0, 0)], begin_us)
    ).batch
    ReadingBatch.objects.filter(pk=waiting.pk).update(due_at=clock.now() + timedelta(hours=1))
    detect_anomalies()
    assert FiveMinuteRollup.objects.get().count == 3

    ReadingBatch.objects.filter(pk=waiting.pk).update(due_at=clock.now())
    detect_anomalies()
    assert FiveMinuteRollup.objects.get().count == 4


@pytest.mark.parametrize("requests", [[(0,), (600,)], [(600,), (0,)], [(0, 600)]])
def test_a_late_reading_beside_a_live_one_has_nothing_between_them_counted_anew(
    organization, sensors, requests
):
    begin_us = day_start_us()
    ingest_readings(
        organization=organization,
        parsed=parsed([(KEYS[0], minute, 1.0, 0) for minute in range(1, 600)], begin_us),
    )
    detect_anomalies()
    between = {"started_at": moment(begin_us + 300 * MINUTE_US)}
    for model in (FiveMinuteRollup, HourlyRollup):
        assert model.objects.filter(**between).update(mean=99) == 1
    for minutes in requests:
        ingest_readings(
            organization=organization,
            parsed=parsed([(KEYS[0], minute, 1.0, 0) for minute in minutes], begin_us),
        )
    detect_anomalies()
    for model in (FiveMinuteRollup, HourlyRollup):
        assert model.objects.get(**between).mean == 99
        assert sum(model.objects.values_list("count", flat=True)) == 601


def test_late_readings_of_one_day_that_are_hours_apart_are_counted_once(organization, sensors):
    begin_us = day_start_us()
    for request in ([1300], [10], [500], [1000], [20, 700]):
        ingest_readings(
            organization=organization,
            parsed=parsed([(KEYS[0], minute, 1.0, 0) for minute in request], begin_us),
        )
        if request == [1300]:
            detect_anomalies()
    detect_anomalies()
    assert DailyRollup.objects.get().count == 6
    assert sum(HourlyRollup.objects.values_list("count", flat=True)) == 6


def test_ten_replays_are_one_batch_of_news(organization, sensors):
    request = parsed([(key, minute, 1.0, 0) for key in KEYS for minute in range(400)], day_start_us())
    receipts = [ingest_readings(organization=organization, parsed=request) for _ in range(10)]

    assert [receipt.inserted for receipt in receipts] == [1200] + [0] * 9
    assert [receipt.unchanged for receipt in receipts] == [0] + [1200] * 9
    assert ReadingBatch.objects.pending().count() == 1
    assert Reading.objects.count() == 1200


def test_ten_clients_that_send_the_same_at_once_store_it_once(organization, sensors):
    """Also when these are the first readings of all, for which the sensors have no row to lock yet."""
    begin_us = day_start_us()
    requests = [
        parsed([(key, minute, 1.0, 0) for key in KEYS for minute in range(begin, begin + 100)], begin_us)
        for begin in (0, 50, 100)
    ]

    def client(number: int) -> int:
        try:
            return sum(
                ingest_readings(organization=organization, parsed=request).inserted
                for request in (requests if number % 2 else requests[::-1])
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        inserted = sum(pool.map(client, range(CLIENTS)))
    detect_anomalies()

    assert inserted == Reading.objects.count() == 600
    assert set(SensorLatest.objects.values_list("ts", flat=True)) == set(
        Reading.objects.order_by("-ts").values_list("ts", flat=True)[:1]
    )
    assert sum(HourlyRollup.objects.values_list("count", flat=True)) == 600


@pytest.mark.parametrize("rows_sent", [2, 500])
def test_a_reading_newer_than_the_latest_row_knows_is_compared_and_not_refused(
    organization, sensors, rows_sent
):
    begin_us = day_start_us()
    ingest_readings(organization=organization, parsed=parsed([(KEYS[0], 5, 1.0, 0)], begin_us))
    SensorLatest.objects.update(ts=clock.now() - timedelta(days=100))

    receipt = ingest_readings(
        organization=organization,
        parsed=parsed([(KEYS[0], minute, 2.0, 0) for minute in range(5, 5 + rows_sent)], begin_us),
    )

    assert (receipt.inserted, receipt.updated) == (rows_sent - 1, 1)
    assert Reading.objects.count() == rows_sent
