"""Readings in SenML, NDJSON, CSV and ThingsBoard's shapes: stored alike, answered alike, and refused by their place."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from equipment.models import KeyRestriction
from sensors.models import Reading, ReadingBatch, RejectedReading
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.plants import make_plant, make_sensor
from tests.sensors.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ten_o_clock")]

EARLIER = NOW - timedelta(minutes=5)
READINGS, DEVICE, GATEWAY = "/api/v1/readings", "/api/v1/telemetry?device=pump-7", "/api/v1/gateway/telemetry"


def lines(*rows: object) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)


def reading(key="pump-7/vibration", ts=NOW, value=4.25, **more):
    return {"sensor": key, "ts": ts.isoformat(), "value": value} | more


def ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000


# Each body holds the same two readings, of EARLIER 4 and of NOW 4.25.
BODIES = {
    "SenML": (
        READINGS,
        "application/senml+json",
        lines(
            [{"bn": "pump-7/", "bt": -300, "n": "vibration", "v": 4}, {"n": "vibration", "t": 300, "v": 4.25}]
        ),
    ),
    "NDJSON": (READINGS, "application/x-ndjson", lines(reading(ts=EARLIER, value=4), reading())),
    "CSV": (
        READINGS,
        "text/csv",
        f"sensor,ts,value\npump-7/vibration,{EARLIER.isoformat()},4\npump-7/vibration,{NOW.isoformat()},4.25\n".encode(),
    ),
    "wide CSV": (
        READINGS,
        "text/csv",
        f"time,pump-7/vibration [mm/s]\n{EARLIER.isoformat()},4\n{NOW.isoformat()},4.25\n".encode(),
    ),
    "ThingsBoard device": (
        DEVICE,
        "application/json",
        lines([{"ts": ms(EARLIER), "values": {"vibration": 4}}, {"vibration": "4.25"}]),
    ),
    "ThingsBoard gateway": (
        GATEWAY,
        "application/json",
        lines({"pump-7": [{"ts": ms(EARLIER), "values": {"vibration": 4}}, {"vibration": 4.25}]}),
    ),
}
FORMAT_NAMES = {"wide CSV": "CSV", "ThingsBoard device": "ThingsBoard", "ThingsBoard gateway": "ThingsBoard"}

every_format = pytest.mark.parametrize("name", BODIES)
every_view = pytest.mark.parametrize("name", ["SenML", "ThingsBoard device", "ThingsBoard gateway"])


def with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


def counts(response):
    body = response.json()
    return tuple(body[name] for name in ("received", "accepted", "inserted", "unchanged", "rejected"))


def errors(response):
    return [(error["index"], error["code"]) for error in response.json()["errors"]]


def stored() -> list[tuple[str, datetime, float]]:
    return list(Reading.objects.order_by("ts", "sensor_id").values_list("sensor__key", "ts", "value"))


@every_format
def test_all_stored_is_200_with_counts_and_a_batch(plant, post_to, name):
    response = post_to(*BODIES[name])

    assert (response.status_code, counts(response)) == (200, (2, 2, 2, 0, 0))
    assert stored() == [("pump-7/vibration", EARLIER, 4), ("pump-7/vibration", NOW, 4.25)]
    assert not ReadingBatch.objects.get(pk=response.json()["batch"]).is_historical


@every_format
def test_an_exact_replay_changes_nothing(plant, post_to, name):
    post_to(*BODIES[name])
    assert counts(post_to(*BODIES[name])) == (2, 2, 0, 2, 0)


@every_format
def test_a_gzip_body_and_a_type_with_parameters_are_read(plant, post_to, name):
    url, content_type, body = BODIES[name]
    response = post_to(
        url, f"{content_type}; charset=utf-8", gzip.compress(body), **{"Content-Encoding": "gzip"}
    )
    assert counts(response) == (2, 2, 2, 0, 0)


@every_view
def test_old_readings_may_be_marked_as_such(plant, post_to, name):
    url, content_type, body = BODIES[name]
    assert post_to(with_query(url, "historical=true"), content_type, body).status_code == 200
    assert ReadingBatch.objects.get().is_historical


@every_format
def test_a_sensor_of_another_organisation_is_unknown(other_organization, post_to, name):
    make_plant(other_organization)

    response = post_to(*BODIES[name])

    assert response.status_code == 422
    assert {code for _, code in errors(response)} == {"unknown_sensor"}
    assert not Reading.objects.exists()


@every_format
def test_what_is_refused_is_kept_with_the_name_of_its_format(organization, post_to, name):
    post_to(*BODIES[name])
    assert set(RejectedReading.objects.values_list("format", "sensor_key")) == {
        (FORMAT_NAMES.get(name, name), "pump-7/vibration")
    }


@every_view
def test_a_restricted_key_posts_for_its_equipment_only(organization, plant, post_to, name):
    other = make_plant(organization, name="fan-4")
    api_key, secret = issue_api_key(organization=organization, name="fan gateway", scopes=[Scope.INGEST])
    KeyRestriction.objects.create(organization=organization, api_key=api_key, equipment=other.machine)

    response = post_to(*BODIES[name], key=secret)

    assert {code for _, code in errors(response)} == {"forbidden_equipment"}


@every_view
def test_without_a_key_that_may_post_nothing_is_read(organization, plant, post_to, client, name):
    url, content_type, body = BODIES[name]
    disabled, old_secret = issue_api_key(organization=organization, name="old", scopes=[Scope.INGEST])
    disable_api_key(api_key=disabled)
    _, reader = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])

    nobody = Client().generic("POST", url, body, content_type=content_type)

    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert post_to(url, content_type, body, key="sm_nonsense").status_code == 401
    assert post_to(url, content_type, body, key=old_secret).status_code == 403
    assert post_to(url, content_type, body, key=reader).json()["code"] == "missing_scope"
    assert not Reading.objects.exists()


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [
        (
            "SenML",
            lines([{"bn": "pump-7/vibration", "v": 1}, {"vs": "x"}, {"n": "x", "v": 1}, {"t": -300, "v": 1}]),
            [(1, "invalid_value"), (2, "unknown_sensor")],
        ),
        (
            "NDJSON",
            lines(reading(value=1), b"", b"{", reading("pump-7/x"), reading(ts=EARLIER)),
            [(3, "invalid_row"), (4, "unknown_sensor")],
        ),
        (
            "CSV",
            lines(
                b"sensor,ts,value",
                f"pump-7/vibration,{NOW.isoformat()},1".encode(),
                b"x",
                f"pump-7/x,{NOW.isoformat()},1".encode(),
                f"pump-7/vibration,{EARLIER.isoformat()},1".encode(),
            ),
            [(3, "invalid_row"), (4, "unknown_sensor")],
        ),
        (
            "wide CSV",
            lines(
                b"ts,pump-7/vibration,pump-7/x",
                f"{NOW.isoformat()},1,".encode(),
                f"{EARLIER.isoformat()},2,3".encode(),
                f"{NOW.isoformat()},,bad".encode(),
            ),
            [(3, "unknown_sensor"), (4, "invalid_value")],
        ),
        (
            "ThingsBoard device",
            lines([{"vibration": 1, "mode": "on", "x": 1}, {"ts": ms(EARLIER), "values": {"vibration": 2}}]),
            [(1, "invalid_value"), (2, "unknown_sensor")],
        ),
        (
            "ThingsBoard gateway",
            lines({"pump-7": [{"vibration": 1, "mode": "on"}], "x": {"y": 1}, "pump-7/": []})[:-1]
            + b', "pump-7": [{"vibration": 1, "mode": "on"}, {"x": 1}, {"ts": %d, "values": {"vibration": 2}}]}'
            % ms(EARLIER),
            [(1, "invalid_value"), (2, "unknown_sensor"), (4, "unknown_sensor")],
        ),
    ],
)
def test_some_refused_is_207_and_the_rest_is_stored(plant, post_to, name, body, found):
    url, content_type, _ = BODIES[name]

    response = post_to(url, content_type, body)

    assert (response.status_code, sorted(errors(response))) == (207, found)
    assert [ts for _, ts, _ in stored()] == [EARLIER, NOW]


@every_format
def test_atomic_stores_all_or_nothing(plant, post_to, name):
    url, content_type, body = BODIES[name]
    with_a_stranger = body.replace(b"vibration", b"unknown", 1)

    response = post_to(with_query(url, "atomic=true"), content_type, with_a_stranger)

    assert (response.status_code, response.json()["code"]) == (422, "all_refused")
    assert not Reading.objects.exists()
    assert post_to(with_query(url, "atomic=true"), content_type, body).status_code == 200


@every_format
def test_another_type_of_content_is_415(plant, post_to, name):
    url, _, body = BODIES[name]
    assert post_to(url, "application/xml", body).status_code == 415


@every_view
def test_only_posting_is_possible(post_to, client, secret, name):
    url = BODIES[name][0]
    response = client.get(url, headers={"Authorization": f"Bearer {secret}"})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("NDJSON", lines({"sensor": "pump-7/vibration", "ts": "2026-11-22T10:30:00", "value": 1})),
        ("CSV", b"sensor,ts,value\npump-7/vibration,2026-11-22T10:30:00,1"),
        ("wide CSV", b"ts,pump-7/vibration\n2026-11-22T10:30:00,1"),
        ("ThingsBoard device", lines({"ts": "2026-11-22T10:30:00", "values": {"vibration": 1}})),
    ],
)
def test_local_times_need_a_zone_of_the_key(organization, plant, post_to, name, body):
    url, content_type, _ = BODIES[name]
    _, berlin = issue_api_key(
        organization=organization, name="berlin", scopes=[Scope.INGEST], time_zone="Europe/Berlin"
    )

    assert {code for _, code in errors(post_to(url, content_type, body))} == {"timestamp_naive"}
    assert post_to(url, content_type, body, key=berlin).status_code == 200
    assert Reading.objects.get().ts == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("SenML", lines([{"n": "boiler/temperature", "u": "K", "v": 373.15}])),
        ("NDJSON", lines(reading("boiler/temperature", value=212, unit="[degF]"))),
        ("wide CSV", f"ts,boiler/temperature [[degF]]\n{NOW.isoformat()},212".encode()),
    ],
)
def test_units_become_the_sensors_own(plant, post_to, name, body):
    make_sensor(plant.machine, "boiler/temperature", quantity="temperature", unit="Cel")
    url, content_type, _ = BODIES[name]

    assert post_to(url, content_type, body).status_code == 200
    assert Reading.objects.get().value == pytest.approx(100)


def test_a_coulomb_of_senml_is_no_degree(plant, post_to):
    make_sensor(plant.machine, "boiler/temperature", quantity="temperature", unit="Cel")
    url, content_type, _ = BODIES["SenML"]
    response = post_to(url, content_type, lines([{"n": "boiler/temperature", "u": "C", "v": 100}]))
    assert errors(response) == [(0, "unknown_unit")]


def test_a_device_without_a_name_posts_whole_keys(plant, post_to):
    response = post_to("/api/v1/telemetry", "application/json", b'{"pump-7/vibration": 4.25}')
    assert (response.status_code, stored()) == (200, [("pump-7/vibration", NOW, 4.25)])


def test_telemetry_without_a_type_of_content_is_read(plant, post_to):
    assert post_to(DEVICE, "", b'{"vibration": 4.25}').status_code == 200


@pytest.mark.parametrize("device", ["a%00b", "x" * 300, "%0a", "%ff"])
def test_a_name_of_a_device_that_cannot_be_is_refused_as_a_sensor(plant, post_to, device):
    response = post_to(f"/api/v1/telemetry?device={device}", "application/json", b'{"vibration": 4.25}')
    assert response.status_code == 422
    assert {code for _, code in errors(response)} <= {"invalid_sensor", "unknown_sensor"}
