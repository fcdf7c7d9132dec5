"""What programs ask the API for, and what they hear when they ask wrongly."""

from datetime import UTC, datetime

import pytest

from smartmaint import clock
from tests.plants import make_plant, post

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KEY = "pump-7/vibration"


@pytest.fixture
def plant(organization):
    with clock.frozen(NOW):
        plant = make_plant(organization)
        post(plant.sensor, [2.0, 2.1, 2.2])
    return plant


@pytest.fixture
def get(client, ingest_key):
    def ask(path):
        return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {ingest_key[1]}"})

    return ask


def test_readings_come_by_range(plant, get):
    rows = get(f"sensors/{KEY}/readings?from=2026-11-22T09:55:00Z&to=2026-11-22T10:00:00Z").json()["results"]
    assert [row["value"] for row in rows] == [2.1]


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
        (f"sensors/{KEY}/readings?from=%00", 400, "invalid"),
        (f"sensors/{KEY}/readings?to=yesterday", 400, "invalid"),
        (f"sensors/{KEY}/readings?from=2026-11-22T09:55:00", 400, "invalid"),
        (f"sensors/{KEY}/readings?limit=%00", 200, None),
        (f"sensors/{KEY}/readings?cursor=%00", 200, None),
        (f"sensors/{KEY}/readings?cursor=x", 404, "not_found"),
        (f"sensors/{KEY}/readings?cursor=cD0lMDA=", 400, "invalid"),
        (f"sensors/{KEY}/readings?cursor=bz05OTk5OTk5OTk5OTk5OTk5OTk5OQ==", 200, None),
        ("sensors/%00", 404, "not_found"),
        ("sensors/pump%00/readings", 404, "not_found"),
        ("tasks/99999999999999999999", 404, "not_found"),
        ("predictions/99999999999999999999", 404, "not_found"),
    ],
)
def test_a_strange_question_is_answered(plant, get, path, status, code):
    answer = get(path)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
