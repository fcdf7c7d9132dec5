"""Rollups of 5 minutes, hours and days, kept current with what was stored, late readings too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

_SPANS = (
    "unnest(%(sensor_ids)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[], "
    "%(counted_until)s::timestamptz[]) AS span(sensor_id, first, last, counted_until)"
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


# A bucket that is made of what lies below it is made anew as a whole, so that doing it twice changes nothing. Spans
# that come to the same buckets, or to buckets side by side, are one: each bucket is counted once, and what lies
# between spans that are apart is not read.
_REFRESH = """
    WITH span AS (
        SELECT sensor_id, lower(buckets) AS first, upper(buckets) AS after, counted_until
        FROM (
            SELECT sensor_id, max(counted_until) AS counted_until, unnest(range_agg(tstzrange(
                date_bin(%(width)s, first, 'epoch'), date_bin(%(width)s, last, 'epoch') + %(width)s::interval
            ))) AS buckets
            FROM {spans} GROUP BY sensor_id
        ) touched
    ),
    made AS (
        SELECT source.sensor_id, date_bin(%(width)s, source.{at}, 'epoch') AS started_at, {aggregates}
        FROM span CROSS JOIN LATERAL (
            SELECT * FROM {source}
            WHERE sensor_id = span.sensor_id AND {at} >= span.first AND {at} < span.after {usable}
        ) source
        GROUP BY 1, 2
    ),
    without_readings AS (
        DELETE FROM {table} stale USING span
        WHERE stale.sensor_id = span.sensor_id AND stale.started_at >= span.first AND stale.started_at < span.after
          AND stale.started_at >= %(may_lack_before)s AND NOT EXISTS (
            SELECT 1 FROM made WHERE made.sensor_id = stale.sensor_id AND made.started_at = stale.started_at
          )
    )
    INSERT INTO {table} AS known (sensor_id, started_at, count, mean, minimum, maximum)
    SELECT sensor_id, started_at, count, mean, minimum, maximum FROM made ORDER BY sensor_id, started_at
    ON CONFLICT (sensor_id, started_at) DO UPDATE
    SET count = excluded.count, mean = excluded.mean, minimum = excluded.minimum, maximum = excluded.maximum
    WHERE known.started_at >= %(may_lack_before)s OR excluded.count >= known.count
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


def add_to_rollups(spans: Sequence[Span], *, may_lack_before: datetime) -> None:
    """Count readings in that no rollup has counted yet, once only; one span of each sensor.

    For the buckets that still fill up. `may_lack_before` as in `refresh_rollups`.
    """
    if spans:
        with connection.cursor() as cursor:
            cursor.execute(
                _ADD.format(spans=_SPANS, aggregates=_OF_READINGS, usable=_USABLE), _columns(spans)
            )
        _refresh_above(spans, may_lack_before)


def refresh_rollups(spans: Sequence[Span], *, may_lack_before: datetime) -> None:
    """Make the rollups of every bucket that the spans touch anew, from the readings.

    Retention may have taken away what lies before `may_lack_before`, and hours and days outlive what they were made of.
    Those before it are therefore made where there are none, and of as many readings as they know or more, never of
    fewer.
    """
    if spans:
        _refresh("sensors_fiveminuterollup", "5 minutes", spans, None, source="sensors_reading", at="ts")
        _refresh_above(spans, may_lack_before)


def _refresh_above(spans: Sequence[Span], may_lack_before: datetime) -> None:
    for table, width, source in (
        ("sensors_hourlyrollup", "1 hour", "sensors_fiveminuterollup"),
        ("sensors_dailyrollup", "1 day", "sensors_hourlyrollup"),
    ):
        _refresh(table, width, spans, may_lack_before, source=source, at="started_at")


def _refresh(
    table: str, width: str, spans: Sequence[Span], may_lack_before: datetime | None, *, source: str, at: str
) -> None:
    is_raw = source == "sensors_reading"
    query = _REFRESH.format(
        table=table,
        spans=_SPANS,
        source=source,
        at=at,
        aggregates=_OF_READINGS if is_raw else _OF_ROLLUPS,
        usable=_USABLE if is_raw else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            query, _columns(spans) | {"width": width, "may_lack_before": may_lack_before or "-infinity"}
        )


def _columns(spans: Sequence[Span]) -> dict[str, Any]:
    return {
        "sensor_ids": [span.sensor_id for span in spans],
        "first": [span.first for span in spans],
        "last": [span.last for span in spans],
        "counted_until": [span.counted_until for span in spans],
    }
