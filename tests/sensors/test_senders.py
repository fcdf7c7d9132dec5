"""When a sender last brought something is found among a million receipts of which nothing was stored."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sensors.models import ReadingBatch
from sensors.services.senders import first_sent_after, who_sent
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def receipts(organization, ingest_key):
    """The sensor of a request a second: four that brought something, then 5,000 of which all was refused."""
    sensor = make_plant(organization, name="pump").sensor
    ReadingBatch.objects.bulk_create(
        ReadingBatch(
            organization=organization,
            api_key=ingest_key[0],
            received_at=START + number * SECOND,
            received=1,
            inserted=int(number < 4),
            updated=0,
            unchanged=0,
            rejected=int(number >= 4),
            sensor_ids=[sensor.pk] if number < 4 else [],
        )
        for number in range(5_004)
    )
    with connection.cursor() as cursor:
        # What other tests took back still lies in the indexes, and would count as pages to be read.
        cursor.execute("REINDEX TABLE sensors_readingbatch")
        cursor.execute("ANALYZE sensors_readingbatch")
    return sensor


def plan_of(ask) -> str:
    """How the server does the one statement that `ask` sends."""
    with CaptureQueriesContext(connection) as queries:
        ask()
    (query,) = queries.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query['sql']}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_refused_requests_are_nobodys_sign_of_life(receipts, ingest_key):
    key = ingest_key[0].pk
    assert first_sent_after(key, START) == START + SECOND
    assert first_sent_after(key, START + 3 * SECOND) is None
    (sent,) = who_sent({receipts.pk: START}).values()
    assert (sent.api_key_id, sent.at) == (key, START + 3 * SECOND)


def test_they_are_not_looked_at_either(receipts, ingest_key):
    after_the_last = plan_of(lambda: first_sent_after(ingest_key[0].pk, START + 3 * SECOND))
    assert "readingbatch_live" in after_the_last
    of_whom = plan_of(lambda: who_sent({receipts.pk: START}))
    assert "readingbatch_live" in of_whom
    assert "Seq Scan on sensors_readingbatch" not in of_whom
