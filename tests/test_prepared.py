"""Prepared statements: the same with and without them, and on a connection that knows none yet."""

import pytest
from django.db import connection

from sensors.models import Reading, ReadingBatch
from smartmaint import clock
from smartmaint.prepared import PreparedStatement
from tests.plants import make_plant, post

pytestmark = pytest.mark.django_db(transaction=True)

TWICE = PreparedStatement("twice", "SELECT {0} * 2, {1}", types=["integer", "text"])


def answer(number: object, text: object) -> tuple:
    with connection.cursor() as cursor:
        TWICE.execute(cursor, number, text)
        return cursor.fetchone()


@pytest.mark.parametrize("are_prepared", [True, False])
def test_parameters_are_of_their_types_and_never_read_as_sql(settings, are_prepared):
    settings.PREPARED_STATEMENTS = are_prepared
    assert [answer(number, "%s'; DROP TABLE x --{0}") for number in (2, 3)] == [
        (4, "%s'; DROP TABLE x --{0}"),
        (6, "%s'; DROP TABLE x --{0}"),
    ]
    assert answer(None, None) == (None, None)


def test_a_new_connection_prepares_anew():
    assert answer(1, "a") == (2, "a")
    connection.close()
    assert answer(1, "a") == (2, "a")


@pytest.mark.parametrize("are_prepared", [True, False])
def test_readings_are_stored_either_way(organization, settings, are_prepared):
    settings.PREPARED_STATEMENTS = are_prepared
    sensor, now = make_plant(organization).sensor, clock.now()
    few, many = post(sensor, [1.0, 2.0], last_at=now), post(sensor, [3.0] * 200, last_at=now)

    assert (few.inserted, many.inserted, many.updated) == (2, 198, 2)
    assert Reading.objects.count() == 200
    assert ReadingBatch.objects.get(pk=many.batch.pk).sensor_ids == [sensor.pk]
