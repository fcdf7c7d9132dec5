"""POST /api/v2/write as Telegraf and InfluxDB's official client use it, with their answers; and naming by key."""

import csv
import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from influxdb_client import InfluxDBClient, Point, WriteOptions
from influxdb_client.client.write.retry import WritesRetry
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from equipment.models import KeyRestriction
from sensors.models import (
    IngestPolicy,
    KeyAllowance,
    Reading,
    ReadingBatch,
    RejectedReading,
    SensorNaming,
)
from sensors.services.metering import charge
from sensors.services.naming import copy_sensor_naming, naming_of
from smartmaint import clock, problems
from smartmaint.accounts.models import Role, Scope
from smartmaint.accounts.services import add_member, disable_api_key, issue_api_key
from tests.plants import make_plant, make_sensor
from tests.sensors.conftest import NOW

pytestmark = pytest.mark.django_db

URL = "/api/v2/write"
TS = int(NOW.timestamp()) * 10**9

AZURE = Path(__file__).parents[3] / "shared" / "data" / "azure_pdm" / "PdM_telemetry.csv"
QUANTITIES = ["volt", "rotate", "pressure", "vibration"]


@pytest.fixture
def write(key, client, ten_o_clock):
    """As Telegraf does it."""

    def send(body, *, query="?bucket=plant&org=works", **headers):
        body = body.encode() if isinstance(body, str) else body
        content_type = headers.pop("content_type", "text/plain; charset=utf-8")
        headers = {"Authorization": f"Token {key[1]}"} | headers
        return client.generic("POST", URL + query, body, content_type=content_type, headers=headers)

    return send


def name_by(api_key, template="{machine}/{field}", **fields):
    return SensorNaming.objects.create(
        organization=api_key.organization, api_key=api_key, template=template, **fields
    )


def stored(sensor) -> list[tuple[datetime, float]]:
    return list(Reading.objects.filter(sensor=sensor).order_by("ts").values_list("ts", "value"))


def error_of(response, status=400) -> str:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body["message"]
    return body["code"]


# Writing


def test_all_stored_is_204_without_a_body(plant, write):
    response = write(f"pump-7 vibration=4.2 {TS}\npump-7 vibration=4.5 {TS - 10**9}\n")
    assert (response.status_code, response.content) == (204, b"")
    assert stored(plant.sensor) == [(NOW - timedelta(seconds=1), 4.5), (NOW, 4.2)]
    batch = ReadingBatch.objects.get()
    assert (batch.format, batch.received, batch.inserted) == ("line protocol", 2, 2)


def test_without_a_timestamp_it_was_now(plant, write):
    assert write("pump-7 vibration=4.2").status_code == 204
    assert stored(plant.sensor) == [(NOW, 4.2)]


@pytest.mark.parametrize(
    ("precision", "per_s"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9), ("", 10**9)]
)
def test_the_precision_is_the_unit_of_the_timestamps(plant, write, precision, per_s):
    body = f"pump-7 vibration=4.2 {int(NOW.timestamp()) * per_s}"
    assert write(body, query=f"?precision={precision}").status_code == 204
    assert stored(plant.sensor) == [(NOW, 4.2)]


@pytest.mark.parametrize(
    ("precision", "per_s", "words"),
    [
        ("", 1, "it reads as 1970: is precision=s missing?"),
        ("ms", 1, "it reads as 1970: is precision=s meant?"),
        ("s", 10**3, "too large for precision=s: is precision=ms meant?"),
        ("s", 10**9, "too large for precision=s: is precision=ns meant?"),
    ],
)
@pytest.mark.parametrize("lines", [1, 40])
def test_a_timestamp_of_another_precision_is_refused_with_a_hint(
    plant, write, precision, per_s, words, lines
):
    body = "\n".join(f"pump-7 vibration=4.2 {(int(NOW.timestamp()) - age) * per_s}" for age in range(lines))
    response = write(body, query=f"?precision={precision}")
    assert error_of(response) == "invalid"
    assert response.json()["message"].count(words) == 1
    assert not Reading.objects.exists()


def test_two_problems_of_one_line_name_it_once(plant, write):
    message = write(f'pump-7 vibration=4.2,state="ok",colour="red" {TS}\npump-9 a=1,b=2 {TS}').json()[
        "message"
    ]
    assert message == (
        "partial write: the other lines are stored, 4 of 5 readings refused: "
        "line 1: The field is text, and a reading is a number. "
        'line 2: There is no sensor "pump-9/a". There is no sensor "pump-9/b".'
    )


def test_a_partial_write_is_400_with_the_lines_and_the_others_are_stored(plant, write):
    response = write(
        f"pump-7 vibration=1 {TS}\n"
        f"# a comment\n"
        f"pump-7 vibration=oops {TS}\n"
        f"pump-7 vibration=2 {TS - 10**9}\n"
        f"pump-9 vibration=3 {TS}\n"
        f"pump-7\n"
        f"pump-9 vibration=4 {TS - 10**9}\n"
    )

    assert error_of(response) == "invalid"
    body = response.json()
    assert body["message"].startswith(
        "partial write: the other lines are stored, 4 of 6 readings refused: line 3: "
    )
    assert 'lines 5, 7: There is no sensor "pump-9/vibration".' in body["message"]
    assert body["line"] == 3
    assert [(error["index"], error["code"]) for error in body["errors"]] == [
        (3, "invalid_value"),
        (5, "unknown_sensor"),
        (6, "invalid_row"),
        (7, "unknown_sensor"),
    ]
    assert [value for _, value in stored(plant.sensor)] == [2.0, 1.0]
    kept = RejectedReading.objects.order_by("index").values_list(
        "index", "code", "format", "sensor_key", "raw"
    )
    assert list(kept) == [
        (3, "invalid_value", "line protocol", "", f"pump-7 vibration=oops {TS}"),
        (5, "unknown_sensor", "line protocol", "pump-9/vibration", ""),
        (6, "invalid_row", "line protocol", "", "pump-7"),
        (7, "unknown_sensor", "line protocol", "pump-9/vibration", ""),
    ]


def test_all_refused_is_400_and_nothing_is_stored(plant, write):
    response = write("pump-7 vibration=oops\npump-7 temperature=1")
    assert error_of(response) == "invalid"
    assert response.json()["message"].startswith("nothing was stored, 2 of 2 readings refused: line 1: ")
    assert Reading.objects.count() == 0


def test_atomic_stores_all_or_nothing(plant, write):
    response = write(f"pump-7 vibration=1 {TS}\npump-7 vibration=oops", query="?atomic=true")
    assert response.json()["message"].startswith("nothing was stored, ")
    assert Reading.objects.count() == 0


def test_the_message_stays_short_when_everything_is_wrong(plant, write):
    response = write("".join(f"pump-9 field{number}=1 {TS}\n" for number in range(1_000)))
    assert error_of(response) == "invalid"
    assert len(response.json()["errors"]) == 100
    assert len(response.content) < 30_000


def test_a_replay_changes_nothing(plant, write):
    body = f"pump-7 vibration=4.2 {TS}\n"
    write(body)
    assert write(body).status_code == 204
    assert ReadingBatch.objects.latest("id").unchanged == 1


def test_what_an_unknown_sensor_sent_is_held_by_policy(organization, plant, write):
    IngestPolicy.objects.filter(organization=organization).update(unknown_sensors="hold")
    assert write(f"pump-9 vibration=4.2 {TS}").status_code == 204
    assert RejectedReading.objects.get().is_held


def test_comments_alone_are_fine(plant, write):
    assert write("# nothing today\n").status_code == 204
    assert ReadingBatch.objects.count() == 0


def test_a_sensor_of_another_organisation_is_unknown(other_organization, plant, write):
    make_plant(other_organization, name="crusher")
    response = write(f"crusher vibration=1 {TS}")
    assert response.json()["errors"][0]["code"] == "unknown_sensor"


def test_a_restricted_key_writes_for_its_equipment_only(organization, plant, key, write):
    other = make_plant(organization, name="fan-4")
    KeyRestriction.objects.create(organization=organization, api_key=key[0], equipment=other.machine)
    response = write(f"fan-4 vibration=1 {TS}\npump-7 vibration=1 {TS}")
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (2, "forbidden_equipment")
    ]


# Refused as a whole


@pytest.mark.parametrize("precision", ["h", "m", "NS", "n", "µs", "s "])
def test_an_unknown_precision_is_400(plant, write, precision):
    response = write(f"pump-7 vibration=1 {TS}", query=f"?precision={precision}")
    assert error_of(response) == "invalid"
    assert "ns, us, ms, s" in response.json()["message"]
    assert Reading.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_an_empty_body_is_400(plant, write, body):
    assert error_of(write(body)) == "invalid"


def test_no_key_is_401(plant, client):
    response = client.post(URL, b"pump-7 vibration=1", content_type="text/plain")
    assert error_of(response, 401) == "unauthorized"
    assert response.headers["WWW-Authenticate"]


def test_a_wrong_key_is_401(plant, write):
    assert error_of(write("pump-7 vibration=1", Authorization="Token sm_nonsense"), 401) == "unauthorized"


def test_a_disabled_key_and_one_without_the_scope_are_403(organization, plant, key, write):
    _, reader = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    assert error_of(write("pump-7 vibration=1", Authorization=f"Token {reader}"), 403) == "forbidden"
    disable_api_key(api_key=key[0])
    assert error_of(write("pump-7 vibration=1"), 403) == "forbidden"


def test_another_method_is_405(plant, client):
    response = client.get(URL)
    assert error_of(response, 405) == "method not allowed"
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/vnd.influx.arrow", "multipart/form-data"]
)
def test_an_unsupported_type_is_415(plant, write, content_type):
    assert error_of(write("pump-7 vibration=1", content_type=content_type), 415) == "unsupported media type"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_clients_call_it_is_fine(plant, write, content_type):
    assert write(f"pump-7 vibration=1 {TS}", content_type=content_type).status_code == 204
    assert len(stored(plant.sensor)) == 1


def test_gzip_is_unpacked_and_another_encoding_is_415(plant, write):
    body = gzip.compress(f"pump-7 vibration=1 {TS}".encode())
    assert write(body, **{"Content-Encoding": "gzip"}).status_code == 204
    assert error_of(write(body[:-4], **{"Content-Encoding": "gzip"})) == "invalid"
    assert error_of(write(body, **{"Content-Encoding": "br"}), 415) == "unsupported media type"


def test_a_gzip_bomb_is_413(plant, write):
    bomb = gzip.compress(b"pump-7 vibration=1\n" * 2_000_000)
    assert error_of(write(bomb, **{"Content-Encoding": "gzip"}), 413) == "request too large"


def test_a_batch_that_is_too_large_goes_in_two_halves(plant, write):
    """What Telegraf does after a 413."""
    lines = [f"pump-7 vibration={number} {TS - number * 10**9}\n" for number in range(12_000)]
    assert error_of(write("".join(lines)), 413) == "request too large"
    assert Reading.objects.count() == 0
    for half in (lines[:6_000], lines[6_000:]):
        assert write(gzip.compress("".join(half).encode()), **{"Content-Encoding": "gzip"}).status_code == 204
    assert Reading.objects.count() == 12_000


def test_over_the_limit_is_429_with_the_time_to_wait(organization, plant, key, write, settings):
    settings.INGEST_BURST_S = 1
    KeyAllowance.objects.create(organization=organization, api_key=key[0], readings_per_s=1)
    body = "".join(f"pump-7 vibration=1 {TS - number * 10**9}\n" for number in range(60))
    assert write(body).status_code == 204

    response = write(body)

    assert error_of(response, 429) == "too many requests"
    assert 1 <= int(response.headers["Retry-After"]) <= 61


@contextmanager
def database_away() -> Iterator[None]:
    """No new connection reaches the server."""
    port, options = connection.settings_dict["PORT"], connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["PORT"] = "1"
    connection.settings_dict["OPTIONS"] = {"host": "127.0.0.1"}
    try:
        yield
    finally:
        connection.settings_dict["PORT"], connection.settings_dict["OPTIONS"] = port, options
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_503_and_health_says_so(plant, write, client):
    with database_away():
        response, health = write(f"pump-7 vibration=1 {TS}"), client.get("/health")
    assert error_of(response, 503) == "unavailable"
    assert int(response.headers["Retry-After"]) > 0
    assert (health.status_code, health.json()["status"]) == (503, "fail")
    assert client.get("/health").json()["status"] == "pass"
    assert Reading.objects.count() == 0


@pytest.mark.parametrize("method", ["get", "head"])
def test_ping_answers_anybody(client, method):
    response = getattr(client, method)("/ping")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["X-Influxdb-Version"].startswith("v2.")
    assert response.headers["X-Influxdb-Build"]


def test_health_answers_anybody(client):
    response = client.get("/health")
    assert response.status_code == 200
    assert {"name", "version", "message"} < response.json().keys()
    assert response.json()["status"] == "pass"
    assert client.post("/health").status_code == 405


# Naming


def test_a_keys_template_names_its_sensors(plant, key, write):
    name_by(key[0], "{machine}/{field}")
    assert write(f"telemetry,site=north,machine=pump-7 vibration=4.2 {TS}").status_code == 204
    assert stored(plant.sensor) == [(NOW, 4.2)]
    response = write(f"telemetry,site=north vibration=4.2 {TS}")
    assert [error["code"] for error in response.json()["errors"]] == ["missing_tag"]
    assert 'no tag "machine"' in response.json()["message"]


def test_text_is_left_out_by_the_keys_choice(plant, key, write):
    body = f'telemetry,machine=pump-7 vibration=4.2,state="running" {TS}'
    naming = name_by(key[0])
    assert error_of(write(body)) == "invalid"
    naming.text_fields = SensorNaming.TextFields.IGNORE
    naming.save()
    assert write(body).status_code == 204
    assert ReadingBatch.objects.latest("id").received == 1


def test_a_successor_gets_the_naming(organization, key):
    name_by(key[0], text_fields=SensorNaming.TextFields.IGNORE)
    successor, _ = issue_api_key(organization=organization, name="telegraf #2", scopes=[Scope.INGEST])
    for _ in range(2):
        copy_sensor_naming(old=key[0], new=successor)
    assert naming_of(successor) == naming_of(key[0])
    assert naming_of(successor).ignores_text


NAMINGS = "/admin/sensors/sensornaming/"


def test_an_admin_names_the_sensors_of_a_key(key, org_admin_client):
    form = {"api_key": key[0].pk, "template": "{site}/{field}", "text_fields": "ignore"}
    assert org_admin_client.post(f"{NAMINGS}add/", form).status_code == 302
    naming = SensorNaming.objects.get(api_key=key[0], template="{site}/{field}", text_fields="ignore")

    assert org_admin_client.get(NAMINGS).status_code == 200
    form = {"template": "{machine}", "text_fields": "refuse"}
    assert org_admin_client.post(f"{NAMINGS}{naming.pk}/change/", form).status_code == 302
    assert naming_of(key[0]).template.source == "{machine}"
    assert [version.history_user.username for version in naming.history.all()] == ["ada", "ada"]


def test_naming_is_the_business_of_the_organisations_admins(key, other_organization, manager_client, client):
    naming = name_by(key[0])
    form = {"template": "{site}", "text_fields": "refuse"}
    foreign_admin = add_member(
        organization=other_organization, role=Role.ADMIN, username="olaf", password="a long pass phrase"
    )
    client.force_login(foreign_admin.user)
    assert manager_client.post(f"{NAMINGS}{naming.pk}/change/", form).status_code == 403
    assert client.post(f"{NAMINGS}{naming.pk}/change/", form).status_code == 404
    assert naming_of(key[0]).template.source == "{machine}/{field}"


def test_a_second_naming_of_a_key_is_a_form_error(key, org_admin_client):
    name_by(key[0])
    form = {"api_key": key[0].pk, "template": "{site}", "text_fields": "refuse"}
    response = org_admin_client.post(f"{NAMINGS}add/", form)
    assert list(response.context["adminform"].form.errors) == ["api_key"]


def test_a_key_of_another_organisation_is_no_choice(other_organization, org_admin_client):
    foreign, _ = issue_api_key(organization=other_organization, name="theirs", scopes=[Scope.INGEST])
    form = {"api_key": foreign.pk, "template": "{site}", "text_fields": "refuse"}
    response = org_admin_client.post(f"{NAMINGS}add/", form)
    assert list(response.context["adminform"].form.errors) == ["api_key"]


@pytest.mark.parametrize("template", ["{site", "plain", "{}", "{{site}}"])
def test_a_bad_template_is_a_form_error(key, org_admin_client, template):
    form = {"api_key": key[0].pk, "template": template, "text_fields": "refuse"}
    response = org_admin_client.post(f"{NAMINGS}add/", form)
    assert list(response.context["adminform"].form.errors) == ["template"]
    assert SensorNaming.objects.count() == 0


# The official client, against a real server


@pytest.fixture
def machine(transactional_db, organization):
    """With sensors for what the client sends, by the machine's tag."""
    plant = make_plant(organization)
    make_sensor(plant.machine, "pump-7/temperature", quantity="temperature", unit="Cel")
    return plant


@pytest.fixture
def influxdb(live_server, machine, key, monkeypatch):
    """The official client; it waits between two attempts as the server tells it."""
    # The server's threads outlive the test, and would keep their connections to its database.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    name_by(key[0])

    def connect(**options) -> InfluxDBClient:
        return InfluxDBClient(url=live_server.url, token=key[1], org="works", **options)

    return connect


def moments(count: int) -> list[datetime]:
    now = clock.now().replace(microsecond=0)
    return [now - timedelta(seconds=number) for number in range(count)]


def points(count: int) -> list[Point]:
    return [
        Point("telemetry")
        .tag("machine", "pump-7")
        .field("vibration", number / 7)
        .field("temperature", 60 + number)
        .time(at)
        for number, at in enumerate(moments(count))
    ]


def test_the_official_client_finds_the_server(influxdb):
    with influxdb() as client:
        assert client.ping() is True
        assert client.version().startswith("v2.")
        assert client.build()
        with pytest.warns(DeprecationWarning, match="ping"):
            assert client.health().status == "pass"


@pytest.mark.parametrize("gzipped", [False, True])
def test_the_official_client_writes(influxdb, machine, gzipped):
    with influxdb(enable_gzip=gzipped) as client, client.write_api(write_options=SYNCHRONOUS) as api:
        api.write(bucket="plant", record=points(100))
        at = moments(1)[0] - timedelta(minutes=10)
        api.write(
            bucket="plant",
            record={
                "measurement": "m",
                "tags": {"machine": "pump-7"},
                "fields": {"vibration": 9},
                "time": at,
            },
        )
        api.write(
            bucket="plant",
            record=f"m,machine=pump-7 vibration=8i {int(at.timestamp()) + 1}",
            write_precision="s",
        )
    assert Reading.objects.count() == 202
    assert stored(machine.sensor)[:2] == [(at, 9.0), (at + timedelta(seconds=1), 8.0)]


def test_the_official_client_writes_in_batches(influxdb):
    written, failed = [], []
    options = WriteOptions(batch_size=100, flush_interval=10_000)
    with influxdb() as client:
        api = client.write_api(
            write_options=options,
            success_callback=lambda conf, data: written.append(data),
            error_callback=lambda conf, data, error: failed.append(error),
        )
        api.write(bucket="plant", record=points(1_050))
        api.close()
    assert (len(written), failed) == (11, [])
    assert Reading.objects.count() == 2_100
    assert set(ReadingBatch.objects.values_list("received", flat=True)) == {200, 100}


def test_the_official_client_is_told_of_a_partial_write(influxdb, machine):
    record = [*(point.to_line_protocol() for point in points(3)), "telemetry,machine=pump-9 vibration=1"]
    with influxdb() as client, pytest.raises(ApiException) as caught:
        client.write_api(write_options=SYNCHRONOUS).write(bucket="plant", record=record)
    assert caught.value.status == 400
    assert caught.value.message.startswith("partial write: ")
    assert 'line 4: There is no sensor "pump-9/vibration".' in caught.value.message
    assert Reading.objects.count() == 6


def test_the_official_client_is_told_of_a_wrong_key(influxdb):
    with influxdb(retries=False) as client:
        client.api_client.default_headers["Authorization"] = "Token sm_nonsense"
        with pytest.raises(ApiException) as caught:
            client.write_api(write_options=SYNCHRONOUS).write(bucket="plant", record="m v=1")
    assert (caught.value.status, caught.value.message) == (401, "No such key.")


def retries(told) -> WritesRetry:
    return WritesRetry(total=3, retry_interval=1, allowed_methods=["POST"], retry_callback=told)


def test_the_official_client_comes_again_after_429(influxdb, machine, key, settings):
    settings.INGEST_BURST_S = 1
    KeyAllowance.objects.create(organization=machine.organization, api_key=key[0], readings_per_s=100)
    charge(key[0], readings=300)
    told = []
    with influxdb(retries=retries(told.append)) as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket="plant", record=points(10))
    assert [error.response.status for error in told] == [429]
    assert int(told[0].retry_after) >= 1
    assert (Reading.objects.count(), ReadingBatch.objects.count()) == (20, 1)


def test_the_official_client_comes_again_after_503(influxdb, monkeypatch):
    monkeypatch.setattr(problems, "RETRY_AFTER_SECONDS", 1)
    told = []
    with ExitStack() as outage:
        outage.enter_context(database_away())

        def back_again(error) -> None:
            told.append(error)
            outage.close()

        with influxdb(retries=retries(back_again)) as client:
            client.write_api(write_options=SYNCHRONOUS).write(bucket="plant", record=points(10))
    assert [error.response.status for error in told] == [503]
    assert (Reading.objects.count(), ReadingBatch.objects.count()) == (20, 1)


# Real rows


@pytest.mark.skipif(not AZURE.exists(), reason=f"the Azure telemetry is not at {AZURE}")
def test_the_azure_telemetry_comes_through_line_protocol(organization, key, client):
    """Ten machines, hour by hour, as a gateway would send them; all of it is there, to the last digit."""
    name_by(key[0], "machine-{machineID}/{field}")
    with AZURE.open(newline="") as file:
        table = list(csv.DictReader(file))
    machine = make_plant(organization).machine
    sensors = {
        (number, quantity): make_sensor(machine, f"machine-{number}/{quantity}", quantity=quantity)
        for number in {row["machineID"] for row in table}
        for quantity in QUANTITIES
    }
    with clock.frozen(datetime(2016, 1, 2, tzinfo=UTC)):
        for first in range(0, len(table), 1_000):
            body = "\n".join(map(azure_line, table[first : first + 1_000]))
            response = client.generic(
                "POST",
                f"{URL}?precision=s",
                gzip.compress(body.encode()),
                content_type="text/plain",
                headers={"Authorization": f"Token {key[1]}", "Content-Encoding": "gzip"},
            )
            assert response.status_code == 204, response.content
    assert Reading.objects.count() == 4 * len(table)
    for (number, quantity), sensor in sensors.items():
        of_machine = [row for row in table if row["machineID"] == number]
        assert stored(sensor) == sorted((azure_time(row), float(row[quantity])) for row in of_machine)


def azure_line(row: dict[str, str]) -> str:
    fields = ",".join(f"{quantity}={row[quantity]}" for quantity in QUANTITIES)
    return f"telemetry,machineID={row['machineID']} {fields} {int(azure_time(row).timestamp())}"


def azure_time(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC)
