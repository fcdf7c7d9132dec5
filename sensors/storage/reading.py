"""How readings come out of PostgreSQL, as arrays."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO

from django.db import connection

from sensors.storage import binary
from sensors.storage.arrays import number_array
from sensors.storage.rows import Rows, moment

BLOCK_ROWS = 50_000


def read_readings(
    sensor_id: int, *, after: datetime | None, until: datetime, most: int | None = None
) -> Rows:
    """One sensor's readings in (after, until], in order of time; the first `most` of them."""
    return _copy(
        """
        SELECT sensor_id, ts, value, quality FROM sensors_reading
        WHERE sensor_id = %s AND ts > coalesce(%s, '-infinity'::timestamptz) AND ts <= %s
        ORDER BY ts LIMIT %s
        """,
        [sensor_id, after, until, most],
    )


def read_in_blocks(sensor_id: int, *, after: datetime | None, until: datetime) -> Iterator[Rows]:
    """The same in blocks, so that years of a fast sensor fit into memory."""
    while len(rows := read_readings(sensor_id, after=after, until=until, most=BLOCK_ROWS)):
        yield rows
        if len(rows) < BLOCK_ROWS:
            return
        after = moment(rows.ts_us[-1])


def read_many(spans: Sequence[tuple[int, datetime | None, datetime]], *, most: int | None) -> dict[int, Rows]:
    """Readings of many sensors, each in its own (after, until], the first `most` of each, by sensor."""
    sensor_ids, after, until = zip(*spans, strict=True)
    return _copy(
        """
        SELECT reading.sensor_id, reading.ts, reading.value, reading.quality
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS span(sensor_id, after, until)
        CROSS JOIN LATERAL (
            SELECT sensor_id, ts, value, quality FROM sensors_reading
            WHERE sensor_id = span.sensor_id AND ts > coalesce(span.after, '-infinity') AND ts <= span.until
            ORDER BY ts LIMIT %s
        ) reading
        ORDER BY reading.sensor_id, reading.ts
        """,
        [number_array(sensor_ids), list(after), list(until), most],
    ).by_sensor()


def count_newest(
    spans: Sequence[tuple[int, datetime | None, datetime]], *, most: int
) -> dict[int, tuple[int, datetime | None]]:
    """How many readings each sensor has in its own (after, until], up to `most`, and when the first of the newest came.

    They are counted where they are stored: rollups follow later.
    """
    sensor_ids, after, until = zip(*spans, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT span.sensor_id, counted.readings, counted.since
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS span(sensor_id, after, until)
            CROSS JOIN LATERAL (
                SELECT count(*) AS readings, min(ts) AS since
                FROM (
                    SELECT ts FROM sensors_reading
                    WHERE sensor_id = span.sensor_id AND ts > coalesce(span.after, '-infinity') AND ts <= span.until
                    ORDER BY ts DESC LIMIT %s
                ) newest
            ) counted
            """,
            [number_array(sensor_ids), list(after), list(until), most],
        )
        return {sensor_id: (readings, since) for sensor_id, readings, since in cursor.fetchall()}


def read_hours(spans: Sequence[tuple[int, datetime, datetime]]) -> dict[int, Rows]:
    """Hourly means of many sensors, of the hours that begin in each one's own [first, before), by sensor.

    A row is at the beginning of its hour; all are good, for rollups are made of what is usable.
    """
    sensor_ids, first, before = zip(*spans, strict=True)
    return _copy(
        """
        SELECT rollup.sensor_id, rollup.started_at, rollup.mean, 0::smallint
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS span(sensor_id, first, before)
        CROSS JOIN LATERAL (
            SELECT sensor_id, started_at, mean FROM sensors_hourlyrollup
            WHERE sensor_id = span.sensor_id AND started_at >= span.first AND started_at < span.before
            ORDER BY started_at
        ) rollup
        ORDER BY rollup.sensor_id, rollup.started_at
        """,
        [number_array(sensor_ids), list(first), list(before)],
    ).by_sensor()


def _copy(query: str, parameters: list[object]) -> Rows:
    stream = BytesIO()
    with connection.cursor() as cursor:
        bound = cursor.mogrify(query, parameters).decode()
        with connection.wrap_database_errors:
            cursor.copy_expert(f"COPY ({bound}) TO STDOUT (FORMAT binary)", stream)
    return binary.decode(stream)
