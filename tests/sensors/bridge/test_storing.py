"""A group on its way into the database: what is stored is stored once, whatever fails after it."""

import pytest
from django.db import connection

from sensors.bridge.groups import Group
from sensors.bridge.messages import Content, Message
from sensors.bridge.storing import DatabaseAway, Storing
from sensors.ingest.parsed import ParsedReadings, from_columns
from sensors.models import Reading, ReadingBatch, RejectedReading
from sensors.storage import microseconds
from smartmaint import clock
from tests.plants import post

HOUR_US = 3_600_000_000


def readings(key: str, ts_us: int, **how: bool) -> ParsedReadings:
    return from_columns(keys=[key], ts_us=[ts_us], values=[1.0], **how)


@pytest.mark.django_db(transaction=True)
def test_when_the_database_goes_away_between_two_requests_the_first_is_not_stored_again(plant, ingest_key):
    """Readings would not double, but receipts and refusals would."""
    post(plant.sensor, [2.0])
    now_us = microseconds(clock.now())
    group = Group()
    group.add(Message("a", b"", now_us), Content([readings("nobody", now_us)]))
    group.add(
        Message("b", b"", now_us), Content([readings(plant.sensor.key, now_us - HOUR_US, historical=True)])
    )
    storing = Storing(secret=ingest_key[1], template=None, format="JSON")
    storing.check_key()
    before = ReadingBatch.objects.count()

    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as elsewhere:
            elsewhere.execute("SELECT FROM sensors_sensorlatest FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(DatabaseAway):
            storing.store(group)
    finally:
        other.close()
    assert (Reading.objects.count(), ReadingBatch.objects.count()) == (1, before + 1)

    storing.store(group)
    storing.store(group)
    assert (Reading.objects.count(), ReadingBatch.objects.count()) == (2, before + 2)
    assert RejectedReading.objects.get().times == 1
