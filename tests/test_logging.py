"""What the log tells of requests: each once, but of posted readings only what was refused."""

import pytest

from sensors.api.ingest import IngestView
from tests.plants import make_plant

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(caplog):
    def codes() -> list[int]:
        return [
            record.msg["code"]
            for record in caplog.records
            if isinstance(record.msg, dict) and record.msg["event"] == "request_finished"
        ]

    return codes


@pytest.mark.parametrize(
    ("address", "content_type", "good", "bad"),
    [
        ("/api/v1/readings", "application/json", '{"readings": []}', "{"),
        ("/api/v2/write?bucket=b", "text/plain", "pump vibration=4.2", "pump"),
        ("/api/v1/telemetry", "application/json", "[]", "{"),
        ("/api/v1/gateway/telemetry", "application/json", "{}", "{"),
    ],
)
def test_of_posted_readings_only_what_is_refused_is_told(
    client, organization, ingest_key, told, address, content_type, good, bad
):
    make_plant(organization, name="pump")
    headers = {"Authorization": f"Bearer {ingest_key[1]}"}
    assert client.post(address, good, content_type, headers=headers).status_code < 300
    assert told() == []
    client.post(address, bad, content_type, headers=headers)
    assert told() == [400]


def test_nobody_who_posts_is_told_of_once(client, told):
    client.post("/api/v1/readings", '{"readings": []}', "application/json")
    assert told() == [401]


def test_what_is_refused_tells_whose_it_was(client, ingest_key, caplog):
    api_key, secret = ingest_key
    client.post("/api/v1/readings", "{", "application/json", headers={"X-API-Key": secret})
    client.post("/api/v1/readings", "{", "application/json", headers={"X-API-Key": "sm_unknown"})
    told = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    refused = [(line["key"], line["ip"]) for line in told if line["event"] == "request_finished"]
    assert refused == [(api_key.prefix, "127.0.0.1"), (None, "127.0.0.1")]


def test_a_key_opens_no_foreign_host(client, ingest_key):
    headers = {"X-API-Key": ingest_key[1], "Host": "elsewhere.example"}
    answer = client.post("/api/v1/readings", '{"readings": []}', "application/json", headers=headers)
    assert answer.status_code == 400


def test_other_requests_are_told_once(client, told):
    client.get("/healthz")
    client.get("/no/such/page")
    assert told() == [200, 404]


def test_what_is_refused_is_told_in_one_line(client, ingest_key, caplog):
    headers = {"Authorization": f"Bearer {ingest_key[1]}"}
    client.post("/api/v1/readings", "{", "application/json", headers=headers)
    assert len(caplog.records) == 1
    client.get("/no/such/page")
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["WARNING"] * 2
    assert len([record for record in caplog.records if "request_started" not in str(record.msg)]) == 2


def test_a_way_to_post_that_cannot_parse_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        IngestView()
