"""What programs ask the API for, and what they hear when they ask wrongly."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg2
import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse

from sensors.agents import detect_anomalies
from sensors.models import DailyRollup, FiveMinuteRollup, HourlyRollup, Reading
from sensors.services.reading_back import BLOCK_ROWS, MAX_POINTS, Resolution
from sensors.storage import make_partitions, microseconds
from smartmaint import clock
from tests.plants import make_plant, post

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KEY = "pump-7/vibration"
READINGS = f"sensors/{KEY}/readings"


@pytest.fixture
def plant(organization):
    with clock.frozen(NOW):
        plant = make_plant(organization)
        post(plant.sensor, [2.0, 2.1, 2.2])
    return plant


@pytest.fixture
def get(client, ingest_key):
    def ask(path: str, **headers: str) -> HttpResponse:
        return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {ingest_key[1]}"} | headers)

    return ask


def body_of(answer: HttpResponse) -> dict:
    return json.loads(answer.getvalue())


def values_of(answer: HttpResponse) -> list[float]:
    return [row["value"] for row in body_of(answer)["results"]]


def lines_of(answer: HttpResponse) -> list[list[str]]:
    return list(csv.reader(StringIO(answer.getvalue().decode())))


def post_a_month(sensor) -> None:
    """A reading each five minutes of thirty days, and their rollups."""
    with clock.frozen(NOW):
        values = [float(n % 12) for n in range(30 * 288)]
        post(sensor, values, last_at=NOW - timedelta(minutes=5), historical=True)
        detect_anomalies()


class TestRange:
    def test_readings_come_by_range(self, plant, get):
        answer = get(f"{READINGS}?from=2026-11-22T09:55:00Z&to=2026-11-22T10:00:00Z")
        assert body_of(answer) == {
            "sensor": KEY,
            "unit": "mm/s",
            "resolution": "raw",
            "results": [{"ts": "2026-11-22T09:55:00Z", "value": 2.1, "quality": "good"}],
            "count": 1,
            "next": None,
        }
        assert (answer.headers["X-Resolution"], answer.headers["Content-Type"]) == ("raw", "application/json")

    def test_without_a_range_all_there_are_come(self, plant, get):
        assert values_of(get(READINGS)) == [2.0, 2.1, 2.2]

    @pytest.mark.parametrize(
        ("query", "values"),
        [
            ("from=2026-11-22T10:00:00Z", [2.2]),
            ("from=2026-11-22T10:00:00.000001Z", []),
            ("to=2026-11-22T09:50:00Z", []),
            ("to=2026-11-22T11:50:00%2B02:00", [2.0][:0]),
            ("from=2026-11-22T10:55:00+01:00", [2.1, 2.2]),
            ("from=2026-11-22T09:55:00Z&to=2026-11-22T09:55:00Z", []),
            ("from=2090-01-01T00:00:00Z", []),
            ("from=0001-01-01T00:00:00%2B14:00&to=9999-12-31T23:59:59-14:00", [2.0, 2.1, 2.2]),
        ],
    )
    def test_the_beginning_is_part_of_it_and_the_end_is_not(self, plant, get, query, values):
        assert values_of(get(f"{READINGS}?{query}")) == values

    def test_fractions_of_a_second_are_kept(self, plant, get):
        with clock.frozen(NOW):
            post(plant.sensor, [7.25], last_at=NOW + timedelta(microseconds=250))
        rows = body_of(get(f"{READINGS}?from=2026-11-22T10:00:00Z"))["results"]
        assert [row["ts"] for row in rows] == ["2026-11-22T10:00:00.000000Z", "2026-11-22T10:00:00.000250Z"]

    def test_a_bad_reading_without_a_value_is_null(self, plant, get):
        with clock.frozen(NOW):
            post(plant.sensor, [float("nan")], last_at=NOW + timedelta(minutes=1), quality=2)
        assert body_of(get(READINGS))["results"][-1] == {
            "ts": "2026-11-22T10:01:00Z",
            "value": None,
            "quality": "bad",
        }
        assert lines_of(get(f"{READINGS}?format=csv"))[-1] == ["2026-11-22T10:01:00Z", "", "bad"]

    def test_a_limit_says_where_to_go_on(self, plant, get):
        first = body_of(get(f"{READINGS}?limit=2"))
        assert ([row["value"] for row in first["results"]], first["count"]) == ([2.0, 2.1], 2)
        rest = body_of(get(f"{READINGS}?limit=2&from={first['next']}"))
        assert ([row["value"] for row in rest["results"]], rest["next"]) == ([2.2], None)

    @pytest.mark.parametrize("limit", [3, 4, 1_000_000_000])
    def test_a_limit_that_suffices_goes_on_nowhere(self, plant, get, limit):
        assert body_of(get(f"{READINGS}?limit={limit}"))["next"] is None

    def test_a_sensor_without_readings_has_an_empty_answer(self, plant, get):
        Reading.objects.all().delete()
        answer = body_of(get(READINGS))
        assert (answer["results"], answer["count"], answer["resolution"]) == ([], 0, "raw")
        assert lines_of(get(f"{READINGS}?format=csv")) == [["ts", "value", "quality"]]


class TestResolution:
    def test_it_follows_from_how_many_rows_there_are(self, plant, get):
        post_a_month(plant.sensor)
        for days, resolution, count in ((6, "raw", 6 * 288), (30, "1h", 30 * 24)):
            begin = (NOW - timedelta(days=days)).isoformat()
            answer = body_of(get(f"{READINGS}?from={begin}&to={NOW.isoformat()}"))
            assert (answer["resolution"], answer["count"]) == (resolution, count)

    def test_a_bucket_has_its_mean_and_range(self, plant, get):
        post_a_month(plant.sensor)
        answer = body_of(get(f"{READINGS}?resolution=1h&from=2026-11-10T00:00:00Z&to=2026-11-10T01:00:00Z"))
        assert answer["results"] == [
            {"ts": "2026-11-10T00:00:00Z", "count": 12, "mean": 5.5, "min": 0.0, "max": 11.0}
        ]

    def test_the_bucket_in_which_the_range_begins_is_part_of_it(self, plant, get):
        post_a_month(plant.sensor)
        answer = get(f"{READINGS}?resolution=1h&from=2026-11-10T00:59:59Z&to=2026-11-10T01:00:00.000001Z")
        assert [row["ts"][11:16] for row in body_of(answer)["results"]] == ["00:00", "01:00"]

    @pytest.mark.parametrize(("resolution", "count"), [("raw", 8643), ("5m", 8643), ("1h", 721), ("1d", 31)])
    def test_a_resolution_that_is_asked_for_is_given_whatever_its_length(self, plant, get, resolution, count):
        post_a_month(plant.sensor)
        answer = get(f"{READINGS}?resolution={resolution}")
        assert answer.headers["X-Resolution"] == resolution
        assert abs(body_of(answer)["count"] - count) <= 3

    def test_when_days_are_too_many_too_days_it_is(self, plant, get):
        begin = datetime(2010, 1, 1, tzinfo=UTC)
        for table, step in (
            (DailyRollup, timedelta(days=1)),
            (HourlyRollup, timedelta(hours=1)),
            (FiveMinuteRollup, timedelta(minutes=5)),
        ):
            table.objects.bulk_create(
                table(sensor=plant.sensor, started_at=begin + n * step, count=1, mean=1, minimum=1, maximum=1)
                for n in range(MAX_POINTS + 1)
            )
        with clock.frozen(NOW):
            post(plant.sensor, [1.0] * (MAX_POINTS + 2), interval=timedelta(seconds=1))
        answer = body_of(get(f"{READINGS}?to=2026-11-22T10:00:00Z"))
        assert (answer["resolution"], answer["count"]) == ("1d", MAX_POINTS + 1)


class TestCsv:
    @pytest.mark.parametrize(("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv")])
    def test_it_is_asked_for_by_the_address_or_by_a_header(self, plant, get, query, accept):
        answer = get(f"{READINGS}{query}", Accept=accept)
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="pump-7_vibration.csv"'
        assert answer.headers["X-Row-Count"] == "3"
        assert lines_of(answer) == [
            ["ts", "value", "quality"],
            ["2026-11-22T09:50:00Z", "2.0", "good"],
            ["2026-11-22T09:55:00Z", "2.1", "good"],
            ["2026-11-22T10:00:00Z", "2.2", "good"],
        ]

    def test_a_limit_counts_for_it_too(self, plant, get):
        answer = get(f"{READINGS}?format=csv&limit=2")
        assert (answer.headers["X-Row-Count"], len(lines_of(answer))) == ("2", 3)

    def test_buckets(self, plant, get):
        post_a_month(plant.sensor)
        answer = get(f"{READINGS}?format=csv&resolution=1d&from=2026-11-10T00:00:00Z&to=2026-11-10T00:00:01Z")
        assert lines_of(answer) == [
            ["ts", "count", "mean", "min", "max"],
            ["2026-11-10T00:00:00Z", "288", "5.5", "0.0", "11.0"],
        ]


class TestStream:
    @pytest.fixture
    def many(self, plant) -> int:
        """Readings for three blocks, a second apart."""
        count = 2 * BLOCK_ROWS + 7
        first = NOW - timedelta(days=10)
        make_partitions(microseconds(first), microseconds(NOW))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO sensors_reading (sensor_id, ts, value, quality) "
                "SELECT %s, %s::timestamptz + n * interval '1 second', n, 0 FROM generate_series(1, %s) n",
                [plant.sensor.pk, first, count],
            )
        return count

    def test_nothing_is_lost_or_doubled_between_blocks(self, many, get):
        answer = get(f"{READINGS}?resolution=raw&to={(NOW - timedelta(hours=1)).isoformat()}")
        chunks = list(answer.streaming_content)
        assert len(chunks) == 4
        rows = json.loads(b"".join(chunks))["results"]
        assert [row["value"] for row in rows] == list(range(1, many + 1))

    @pytest.mark.parametrize("limit", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS])
    def test_a_limit_cuts_where_it_should(self, many, get, limit):
        answer = body_of(get(f"{READINGS}?resolution=raw&limit={limit}"))
        assert (answer["count"], answer["results"][-1]["value"]) == (limit, limit)
        rest = body_of(get(f"{READINGS}?resolution=raw&limit=1&from={answer['next']}"))
        assert rest["results"][0]["value"] == limit + 1

    @pytest.mark.django_db(transaction=True)
    def test_an_answer_that_breaks_off_is_no_complete_json(self, many, get):
        stream = iter(get(f"{READINGS}?resolution=raw").streaming_content)
        beginning = next(stream)
        connection.ensure_connection()
        pid = connection.connection.get_backend_pid()
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
        with pytest.raises((OperationalError, psycopg2.OperationalError)):
            list(stream)
        connection.close()
        with pytest.raises(json.JSONDecodeError):
            json.loads(beginning)


class TestWalls:
    def test_another_organisations_sensor_is_not_there(self, plant, outsider_client, client):
        assert outsider_client.get(f"/api/v1/{READINGS}").status_code == 404
        assert outsider_client.get(f"/api/v1/{READINGS}?format=csv").status_code == 404
        assert client.get(f"/api/v1/{READINGS}").status_code == 401

    def test_a_viewer_reads_in_the_browser(self, plant, viewer_client):
        assert values_of(viewer_client.get(f"/api/v1/{READINGS}")) == [2.0, 2.1, 2.2]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("anomalies?status=%00", 400, "invalid"),
        ("anomalies?status=strange", 400, "invalid"),
        ("anomalies?limit=x&offset=%00", 200, None),
        ("anomalies?limit=99999999999999999999&offset=99999999999999999999", 200, None),
        ("predictions?limit=99999999999999999999&offset=99999999999999999999", 200, None),
        ("tasks?limit=-1&offset=%00", 200, None),
        ("sensors?offset=99999999999999999999", 200, None),
        (f"{READINGS}?from=%00", 400, "invalid"),
        (f"{READINGS}?to=yesterday", 400, "invalid"),
        (f"{READINGS}?from=2026-11-22T09:55:00", 400, "invalid"),
        (f"{READINGS}?from=2026-11-22T10:00:00Z&to=2026-11-22T09:00:00Z", 400, "invalid"),
        (f"{READINGS}?limit=%00", 400, "invalid"),
        (f"{READINGS}?limit=", 400, "invalid"),
        (f"{READINGS}?limit=0", 400, "invalid"),
        (f"{READINGS}?limit=-1", 400, "invalid"),
        (f"{READINGS}?limit=1.5", 400, "invalid"),
        (f"{READINGS}?limit=²", 400, "invalid"),
        (f"{READINGS}?limit=99999999999999999999", 400, "invalid"),
        (f"{READINGS}?resolution=1w", 400, "invalid"),
        (f"{READINGS}?resolution=%00", 400, "invalid"),
        (f"{READINGS}?format=xml", 400, "invalid"),
        (f"{READINGS}?frm=2026-11-22T10:00:00Z", 400, "invalid"),
        (f"{READINGS}?format=csv&to=yesterday", 400, "invalid"),
        ("sensors/%00", 404, "not_found"),
        ("sensors/nobody/readings?format=csv", 404, "not_found"),
        ("sensors/pump%00/readings", 404, "not_found"),
        ("tasks/99999999999999999999", 404, "not_found"),
        ("predictions/99999999999999999999", 404, "not_found"),
    ],
)
def test_a_strange_question_is_answered(plant, get, path, status, code):
    answer = get(path)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_what_is_not_offered_is_not_acceptable(plant, get):
    answer = get(READINGS, Accept="image/png")
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_the_resolutions_go_from_fine_to_coarse():
    widths = [resolution.width for resolution in Resolution]
    assert widths == sorted(widths)
