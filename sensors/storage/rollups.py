"""Rollups of 5 minutes, hours and days, kept current with what was stored, late readings too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

_SPANS = (
    "unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[]) "
    "AS span(sensor_id, first, last, counted_until)"
)


@dataclass(frozen=True)
class Span:
    """One sensor's readings from `first` to `last`, both included.

    Rollups have counted, or now do, what is stored up to `counted_until`: what lies behind it is counted when its turn
    comes, and until then no bucket may have it.
    """

    sensor_id: int
    first: datetime
    last: datetime
    counted_until: datetime


# A bucket that is made of what lies below it is made anew as a whole, so that doing it twice changes nothing.
_REFRESH = """
    WITH span AS (
        SELECT sensor_id, date_bin(%s, first, 'epoch') AS first, date_bin(%s, last, 'epoch') + %s::interval AS after,
               counted_until
        FROM {spans}
    ),
    made AS (
        SELECT source.sensor_id, date_bin(%s, source.{at}, 'epoch') AS started_at, {aggregates}
        FROM span CROSS JOIN LATERAL (
            SELECT * FROM {source}
            WHERE sensor_id = span.sensor_id AND {at} >= span.first AND {at} < span.after {usable}
        ) source
        GROUP BY 1, 2
    ),
    without_readings AS (
        DELETE FROM {table} stale USING span
        WHERE stale.sensor_id = span.sensor_id AND stale.started_at >= span.first AND stale.started_at < span.after
          AND NOT EXISTS (
            SELECT 1 FROM made WHERE made.sensor_id = stale.sensor_id AND made.started_at = stale.started_at
          )
    )
    INSERT INTO {table} (sensor_id, started_at, count, mean, minimum, maximum)
    SELECT sensor_id, started_at, count, mean, minimum, maximum FROM made ORDER BY sensor_id, started_at
    ON CONFLICT (sensor_id, started_at) DO UPDATE
    SET count = excluded.count, mean = excluded.mean, minimum = excluded.minimum, maximum = excluded.maximum
"""
_OF_READINGS = "count(*) AS count, avg(value) AS mean, min(value) AS minimum, max(value) AS maximum"
_OF_ROLLUPS = (
    "sum(count) AS count, sum(mean * count) / sum(count) AS mean, "
    "min(minimum) AS minimum, max(maximum) AS maximum"
)
_USABLE = "AND quality < 2 AND value <> 'NaN' AND ts <= span.counted_until"

_ADD = """
    INSERT INTO sensors_fiveminuterollup AS known (sensor_id, started_at, count, mean, minimum, maximum)
    SELECT source.sensor_id, date_bin('5 minutes', source.ts, 'epoch'), {aggregates}
    FROM {spans} CROSS JOIN LATERAL (
        SELECT * FROM sensors_reading
        WHERE sensor_id = span.sensor_id AND ts >= span.first AND ts <= span.last {usable}
    ) source
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (sensor_id, started_at) DO UPDATE
    SET count = known.count + excluded.count,
        mean = (known.mean * known.count + excluded.mean * excluded.count) / (known.count + excluded.count),
        minimum = least(known.minimum, excluded.minimum),
        maximum = greatest(known.maximum, excluded.maximum)
"""


def add_to_rollups(spans: Sequence[Span]) -> None:
    """Count readings in that no rollup has counted yet; once only. For the buckets that still fill up."""
    if spans:
        with connection.cursor() as cursor:
            cursor.execute(_ADD.format(spans=_SPANS, aggregates=_OF_READINGS, usable=_USABLE), _lists(spans))
        _refresh_above(spans)


def refresh_rollups(spans: Sequence[Span]) -> None:
    """Make the rollups of every bucket that the spans touch anew, from the readings."""
    if spans:
        _refresh("sensors_fiveminuterollup", "5 minutes", spans, source="sensors_reading", at="ts")
        _refresh_above(spans)


def _refresh_above(spans: Sequence[Span]) -> None:
    _refresh("sensors_hourlyrollup", "1 hour", spans, source="sensors_fiveminuterollup", at="started_at")
    _refresh("sensors_dailyrollup", "1 day", spans, source="sensors_hourlyrollup", at="started_at")


def _refresh(table: str, width: str, spans: Sequence[Span], *, source: str, at: str) -> None:
    is_raw = source == "sensors_reading"
    with connection.cursor() as cursor:
        cursor.execute(
            _REFRESH.format(
                table=table,
                spans=_SPANS,
                source=source,
                at=at,
                aggregates=_OF_READINGS if is_raw else _OF_ROLLUPS,
                usable=_USABLE if is_raw else "",
            ),
            [width, width, width, *_lists(spans), width],
        )


def _lists(spans: Sequence[Span]) -> list[list]:
    return [
        [span.sensor_id for span in spans],
        [span.first for span in spans],
        [span.last for span in spans],
        [span.counted_until for span in spans],
    ]
