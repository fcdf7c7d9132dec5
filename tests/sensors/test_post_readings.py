"""POST /api/v1/readings answers as the clients of plants expect it; one test per case."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from django.db import connection
from django.test import Client

from equipment.models import KeyRestriction
from sensors.agents import detect_anomalies
from sensors.models import HourlyRollup, Reading, ReadingBatch, SensorLatest
from smartmaint import clock
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.plants import make_plant, make_sensor
from tests.sensors.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ten_o_clock")]

URL = "/api/v1/readings"


def reading(key="pump-7/vibration", minutes=0, value=4.2, **more):
    return {"sensor": key, "ts": (NOW - timedelta(minutes=minutes)).isoformat(), "value": value} | more


def counts(response):
    body = response.json()
    return tuple(
        body[name] for name in ("received", "accepted", "inserted", "updated", "unchanged", "rejected")
    )


def test_all_stored_is_200_with_counts_and_a_batch_id(plant, post):
    response = post({"readings": [reading(minutes=5), reading(quality="uncertain")]})

    assert response.status_code == 200
    assert counts(response) == (2, 2, 2, 0, 0, 0)
    batch = ReadingBatch.objects.get(pk=response.json()["batch"])
    assert (batch.received, batch.inserted, batch.api_key.name) == (2, 2, "gateway")
    assert batch.due_at is not None
    assert list(Reading.objects.order_by("ts").values_list("value", "quality")) == [(4.2, 0), (4.2, 1)]


def test_some_refused_is_207_and_the_good_rows_are_stored(plant, post):
    response = post({"readings": [reading(), reading("pump-9/vibration"), reading(minutes=1, value="high")]})

    assert response.status_code == 207
    assert counts(response) == (3, 1, 1, 0, 0, 2)
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (1, "unknown_sensor"),
        (2, "invalid_value"),
    ]
    assert Reading.objects.count() == 1


def test_only_the_first_hundred_errors_are_told(plant, post):
    response = post({"readings": [reading()] + [reading("nobody", minutes=n) for n in range(150)]})

    assert response.status_code == 207
    assert counts(response) == (151, 1, 1, 0, 0, 150)
    assert len(response.json()["errors"]) == 100


def test_all_refused_is_422_as_a_problem(plant, post):
    response = post({"readings": [reading("nobody")]})

    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "all_refused"
    assert counts(response) == (1, 0, 0, 0, 0, 1)
    batch = ReadingBatch.objects.get(pk=response.json()["batch"])
    assert (batch.rejected, batch.due_at, batch.refused_by_code) == (1, None, {"unknown_sensor": 1})


def test_atomic_stores_all_or_nothing(plant, post):
    body = {"readings": [reading(), reading("nobody")]}

    response = post(body, query="?atomic=true")

    assert response.status_code == 422
    assert counts(response) == (2, 0, 0, 0, 0, 2)
    assert [error["code"] for error in response.json()["errors"]] == ["unknown_sensor"]
    assert Reading.objects.count() == 0
    assert post({"readings": [reading()]}, query="?atomic=true").status_code == 200


def test_an_empty_request_stores_nothing_and_is_no_error(post, plant):
    response = post({"readings": []})
    assert response.status_code == 200
    assert counts(response) == (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"readings"',
        b'{"readings": {}}',
        b'{"readings": [], "historical": "yes"}',
        b'{"readings": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
        b'{"readings": [{"sensor": "a\x00b"}]}',
        b'{"readings": ["\xff\xfe"]}',
    ],
)
def test_a_malformed_body_is_400(plant, post, body):
    response = post(body)
    assert response.status_code == 400
    assert response.json()["code"] == "malformed"


def test_no_key_is_401_with_a_challenge(plant):
    response = Client().post(URL, {"readings": []}, content_type="application/json")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_bad_key_is_401_with_a_challenge(plant, post):
    response = post({"readings": [reading()]}, Authorization="Bearer sm_nonsense")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert Reading.objects.count() == 0


def test_a_disabled_key_is_403(organization, plant, post):
    api_key, secret = issue_api_key(organization=organization, name="old", scopes=[Scope.INGEST])
    disable_api_key(api_key=api_key)
    assert post({"readings": [reading()]}, Authorization=f"Bearer {secret}").status_code == 403


def test_a_key_without_the_scope_is_403(organization, plant, post):
    _, secret = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    response = post({"readings": [reading()]}, Authorization=f"Bearer {secret}")
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
    assert Reading.objects.count() == 0


def test_a_person_cannot_post_readings_by_session(plant, manager_client):
    response = manager_client.post(URL, {"readings": [reading()]}, content_type="application/json")
    assert response.status_code == 403


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "Api-Key", "bearer"])
def test_every_usual_scheme_is_understood(plant, post, secret, scheme):
    assert post({"readings": [reading()]}, Authorization=f"{scheme} {secret}").status_code == 200


def test_a_key_in_its_own_header_is_understood(plant, client, secret):
    response = client.generic(
        "POST",
        URL,
        json.dumps({"readings": [reading()]}),
        content_type="application/json",
        headers={"X-API-Key": secret},
    )
    assert response.status_code == 200


def test_a_restricted_key_posts_for_its_equipment_only(organization, plant, post):
    other = make_plant(organization, name="fan-4")
    api_key, secret = issue_api_key(organization=organization, name="fan gateway", scopes=[Scope.INGEST])
    KeyRestriction.objects.create(organization=organization, api_key=api_key, equipment=other.machine)

    response = post({"readings": [reading("fan-4/vibration"), reading()]}, Authorization=f"Bearer {secret}")

    assert response.status_code == 207
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (1, "forbidden_equipment")
    ]


def test_more_than_ten_mebibytes_is_413(plant, post):
    body = b'{"readings": [' + b" " * (10 * 1024 * 1024) + b"]}"
    response = post(body)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_a_gzip_bomb_is_413(plant, post):
    bomb = gzip.compress(b'{"readings": [' + b" " * (200 * 1024 * 1024) + b"]}")
    response = post(bomb, **{"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_more_than_ten_thousand_readings_is_413(plant, post):
    response = post({"readings": [{"sensor": "s", "ts": 0, "value": 1}] * 10_001})
    assert (response.status_code, response.json()["code"]) == (413, "too_many")


def test_a_gzip_body_is_unpacked(plant, post):
    body = gzip.compress(json.dumps({"readings": [reading()]}).encode())
    assert post(body, **{"Content-Encoding": "gzip"}).status_code == 200
    assert Reading.objects.count() == 1


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_gzip_body_that_no_header_tells_of_is_400_and_says_so(plant, post, encoding):
    body = gzip.compress(json.dumps({"readings": [reading()]}).encode())
    response = post(body, **({"Content-Encoding": encoding} if encoding else {}))
    assert response.status_code == 400
    assert "send Content-Encoding: gzip" in response.json()["detail"]
    assert not Reading.objects.exists()


def test_every_member_of_a_gzip_body_counts(plant, post):
    body = json.dumps({"readings": [reading(), reading(minutes=1)]}).encode()
    members = gzip.compress(body[:20]) + gzip.compress(body[20:])

    assert counts(post(members, **{"Content-Encoding": "gzip"}))[0] == 2
    assert post(members + b"no gzip", **{"Content-Encoding": "gzip"}).status_code == 400
    assert post(members[:-4], **{"Content-Encoding": "gzip"}).status_code == 400


@pytest.mark.parametrize("cut", [1, 20])
def test_a_broken_gzip_body_is_400(plant, post, cut):
    body = gzip.compress(json.dumps({"readings": [reading()]}).encode())[:-cut]
    response = post(body, **{"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


def test_an_unsupported_type_is_415(plant, post):
    assert post(b"vibration value=1", content_type="text/plain").status_code == 415


def test_an_unsupported_encoding_is_415(plant, post):
    response = post(b"{}", **{"Content-Encoding": "br"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_encoding")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_503_and_nothing_is_half_written(plant, post):
    port = connection.settings_dict["PORT"]
    options = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["PORT"] = "1"
    connection.settings_dict["OPTIONS"] = {"host": "127.0.0.1"}
    try:
        response = post({"readings": [reading()]})
    finally:
        connection.settings_dict["PORT"], connection.settings_dict["OPTIONS"] = port, options
        connection.close()

    assert (response.status_code, response.json()["code"]) == (503, "database_away")
    assert int(response.headers["Retry-After"]) > 0
    assert Reading.objects.count() == 0


def test_an_exact_replay_counts_as_unchanged_and_causes_no_event(plant, post):
    body = {"readings": [reading(minutes=5), reading()]}
    post(body)

    response = post(body)

    assert counts(response) == (2, 2, 0, 0, 2, 0)
    assert ReadingBatch.objects.get(pk=response.json()["batch"]).due_at is None


def test_the_last_write_wins(plant, post):
    post({"readings": [reading(value=4.2)]})

    response = post({"readings": [reading(value=4.3), reading(value=4.4)]})

    assert counts(response) == (2, 2, 0, 1, 1, 0)
    assert Reading.objects.get().value == 4.4
    assert SensorLatest.objects.get().value == 4.4


def test_an_older_reading_does_not_move_the_latest_one(plant, post):
    post({"readings": [reading(value=4.2)]})
    post({"readings": [reading(minutes=30, value=9.9)]})
    assert SensorLatest.objects.get().value == 4.2


def test_units_are_converted_to_the_sensors_own(plant, post):
    temperature = make_sensor(plant.machine, "pump-7/temperature", quantity="temperature", unit="Cel")
    response = post(
        {
            "readings": [
                reading(temperature.key, value=212, unit="[degF]"),
                reading(temperature.key, minutes=1, value=4, unit="bar"),
                reading(temperature.key, minutes=2, value=4, unit="furlong"),
            ]
        }
    )
    assert [error["code"] for error in response.json()["errors"]] == ["unit_mismatch", "unknown_unit"]
    assert Reading.objects.get().value == pytest.approx(100)


def test_the_window_of_time_is_held_at_both_ends(plant, post):
    response = post({"readings": [reading(minutes=-11), reading(minutes=401 * 24 * 60), reading(minutes=-9)]})
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (0, "timestamp_out_of_range"),
        (1, "timestamp_out_of_range"),
    ]


def test_a_time_that_does_not_count_from_1970_is_told_how_it_reads(plant, post):
    response = post({"readings": [reading() | {"ts": 86_400}]})
    assert response.json()["errors"][0]["detail"].endswith("it reads as 1970.")


def test_a_naive_timestamp_needs_a_zone_of_the_key(organization, plant, post):
    naive = {"readings": [reading() | {"ts": "2026-11-22T10:30:00"}]}
    assert post(naive).json()["errors"][0]["code"] == "timestamp_naive"

    _, secret = issue_api_key(
        organization=organization, name="berlin", scopes=[Scope.INGEST], time_zone="Europe/Berlin"
    )
    assert post(naive, Authorization=f"Bearer {secret}").status_code == 200
    assert Reading.objects.get().ts == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("query", ["", "?historical=true"])
def test_live_readings_of_the_hour_that_repeats_are_of_the_pass_they_come_in(
    plant, post, organization, query
):
    """What is historical came at any time: without an order it is of the first."""
    _, secret = issue_api_key(
        organization=organization, name="berlin", scopes=[Scope.INGEST], time_zone="Europe/Berlin"
    )
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for pass_, value in enumerate((1.0, 2.0)):
        with clock.frozen(first + timedelta(hours=pass_, seconds=5)):
            body = {"readings": [reading(value=value, ts="2026-10-25T02:30:00")]}
            assert post(body, query=query, Authorization=f"Bearer {secret}").status_code == 200
    stored = list(Reading.objects.order_by("ts").values_list("ts", "value"))
    both = [(first, 1.0), (first + timedelta(hours=1), 2.0)]
    assert stored == ([(first, 2.0)] if query else both)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"quality": "splendid"}, "unknown_quality"),
        ({"quality": 0}, "unknown_quality"),
        ({"ts": "yesterday"}, "invalid_timestamp"),
        ({"value": None}, "invalid_value"),
        ({"value": True}, "invalid_value"),
        ({"value": 10**400}, "invalid_value"),
        ({"value": "NaN"}, "invalid_value"),
        ({"sensor": 7}, "invalid_sensor"),
        ({"sensor": "x" * 201}, "invalid_sensor"),
    ],
)
def test_what_is_wrong_with_a_row_has_a_stable_code(plant, post, row, code):
    response = post({"readings": [reading() | row, reading(minutes=5)]})
    assert response.status_code == 207
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [(0, code)]


def streamed(response) -> dict:
    return json.loads(b"".join(response.streaming_content))


def test_nan_is_stored_with_bad_quality_and_read_back_as_null(organization, plant, post, client):
    assert post({"readings": [reading(value="NaN", quality="bad")]}).status_code == 200
    _, secret = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    body = streamed(client.get("/api/v1/sensors/pump-7/vibration/readings", headers={"X-API-Key": secret}))
    assert body["results"] == [{"ts": "2026-11-22T10:00:00Z", "value": None, "quality": "bad"}]


def test_a_marker_that_would_overflow_every_mean_is_refused(plant, post):
    far = make_sensor(plant.machine, "pump-7/way", quantity="position", unit="mm")
    response = post(
        {"readings": [reading(value=1.7e308), reading(far.key, value=9e99, unit="km"), reading()]}
    )
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (0, "invalid_value"),
        (1, "invalid_value"),
    ]


def test_a_value_that_the_sensor_cannot_measure_is_stored_as_bad(plant, post):
    plant.sensor.physical_max = 50
    plant.sensor.save()
    assert post({"readings": [reading(value=51)]}).status_code == 200
    assert Reading.objects.get().quality == 2


def test_a_sensor_of_another_organisation_is_unknown(other_organization, plant, post):
    make_plant(other_organization, name="crusher")
    response = post({"readings": [reading("crusher/vibration")]})
    assert response.json()["errors"][0]["code"] == "unknown_sensor"


def test_a_large_request_takes_the_way_of_copy_and_counts_the_same(plant, post):
    body = {"readings": [reading(minutes=n, value=n / 7) for n in range(1000)]}

    assert counts(post(body)) == (1000, 1000, 1000, 0, 0, 0)
    body["readings"][3]["value"] = 99.5
    assert counts(post(body)) == (1000, 1000, 0, 1, 999, 0)
    stored = dict(Reading.objects.values_list("ts", "value"))
    assert len(stored) == 1000
    assert stored[NOW - timedelta(minutes=3)] == 99.5
    assert stored[NOW - timedelta(minutes=999)] == 999 / 7


def test_microseconds_and_months_are_kept_exactly(plant, post):
    moments = [
        "2026-10-31T23:59:59.999999Z",
        "2026-11-01T00:00:00.000001Z",
        "2026-11-22T09:00:00.123456+00:00",
    ]
    rows = [reading() | {"ts": moment} for moment in moments]
    assert post({"readings": rows}).status_code == 200
    assert [ts.isoformat() for ts in Reading.objects.order_by("ts").values_list("ts", flat=True)] == [
        "2026-10-31T23:59:59.999999+00:00",
        "2026-11-01T00:00:00.000001+00:00",
        "2026-11-22T09:00:00.123456+00:00",
    ]


def test_readings_come_back_by_range_in_pages(organization, plant, post, client):
    post({"readings": [reading(minutes=n, value=n) for n in range(10)]})
    _, secret = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    url = "/api/v1/sensors/pump-7/vibration/readings"
    asked = {"from": "2026-11-22T09:53:00Z", "to": "2026-11-22T09:57:00+00:00", "limit": "3"}

    first = streamed(client.get(url, asked, headers={"X-API-Key": secret}))
    second = streamed(client.get(url, asked | {"from": first["next"]}, headers={"X-API-Key": secret}))

    assert [row["value"] for row in first["results"] + second["results"]] == [7, 6, 5, 4]
    assert second["next"] is None


def test_a_range_that_is_no_time_is_400(organization, plant, client):
    _, secret = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    url = "/api/v1/sensors/pump-7/vibration/readings?from=2026-11-22T09:53:00"
    response = client.get(url, headers={"X-API-Key": secret})
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_late_data_corrects_the_rollup(plant, post):
    post({"readings": [reading(minutes=10, value=1.0), reading(minutes=5, value=3.0)]})
    detect_anomalies()
    post({"readings": [reading(minutes=7, value=8.0)]})
    detect_anomalies()
    assert list(HourlyRollup.objects.values_list("count", "mean", "minimum", "maximum")) == [
        (3, 4.0, 1.0, 8.0)
    ]


def post_in_chunks(client, secret, body, *, content_type="application/json", is_terminated=True, **headers):
    """As a server hands on a body that came in chunks: no length, and a stream that ends by itself or not."""
    from_server = {
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": "",
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": is_terminated,
    }
    headers |= {"Authorization": f"Bearer {secret}", "Transfer-Encoding": "chunked"}
    return client.generic("POST", URL, headers=headers, **from_server)


def test_a_body_in_chunks_is_read(plant, client, secret):
    body = gzip.compress(json.dumps({"readings": [reading()]}).encode())
    response = post_in_chunks(client, secret, body, **{"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["inserted"]) == (200, 1)


def test_a_body_in_chunks_whose_end_is_not_marked_needs_its_length(plant, client, secret):
    response = post_in_chunks(client, secret, b"{}", is_terminated=False)
    assert (response.status_code, response.json()["code"]) == (411, "length_required")


def test_a_body_in_chunks_of_another_format_is_refused_as_such(plant, client, secret):
    assert post_in_chunks(client, secret, b"a,b", content_type="text/x-strange").status_code == 415
