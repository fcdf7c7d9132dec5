"""How readings get into PostgreSQL and out again, as arrays.

Times travel as int64 microseconds since 1970 (UTC). The table is partitioned by month; months are made on demand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

# Below this the array literals of one statement beat the round trips of COPY.
COPY_FROM_ROWS = 200
PARTITION_LOCK = 1_203_001
BLOCK_ROWS = 50_000

_STAGED = """
    SELECT sensor_id, 'epoch'::timestamptz + ts_us * interval '1 microsecond' AS ts, value, quality
    FROM {source}
"""
_UNNEST = "unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::smallint[]) AS row(sensor_id, ts_us, value, quality)"
# The rows' sensors are locked, so what is read as known stays known until the insert; unchanged rows are not written.
_UPSERT = """
    WITH staged AS ({staged}),
    compared AS (
        SELECT staged.*, known.sensor_id IS NULL AS is_new
        FROM staged LEFT JOIN sensors_reading known
          ON known.sensor_id = staged.sensor_id AND known.ts = staged.ts
         AND known.ts BETWEEN %s AND %s
        WHERE known.sensor_id IS NULL
           OR (known.value, known.quality) IS DISTINCT FROM (staged.value, staged.quality)
    ),
    written AS (
        INSERT INTO sensors_reading (sensor_id, ts, value, quality)
        SELECT sensor_id, ts, value, quality FROM compared ORDER BY sensor_id, ts
        ON CONFLICT (sensor_id, ts) DO UPDATE SET value = excluded.value, quality = excluded.quality
    )
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM compared
"""


@dataclass(frozen=True, eq=False)
class Rows:
    """Readings as parallel arrays of one length, one row per (sensor, ts), sorted by both."""

    sensor_ids: npt.NDArray[np.int64]
    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ts_us)

    def boundaries(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First and last row of each sensor."""
        starts = np.flatnonzero(np.diff(self.sensor_ids, prepend=-1))
        return starts, np.append(starts[1:], len(self)) - 1


def moment(us: int) -> datetime:
    """An aware datetime of epoch microseconds, exact."""
    seconds, microseconds = divmod(int(us), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def microseconds(at: datetime) -> int:
    """Epoch microseconds of an aware datetime, exact."""
    whole = at.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * 1_000_000 + whole.microsecond


def lock_sensors(sensor_ids: npt.NDArray[np.int64]) -> None:
    """Make requests for the same sensors wait for one another, always in the same order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM sensors_sensor WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [sensor_ids.tolist()],
        )


def store_readings(rows: Rows) -> tuple[int, int]:
    """Insert or update readings; return how many were new and how many changed. The sensors must be locked."""
    bounds = [moment(rows.ts_us.min()), moment(rows.ts_us.max())]
    with connection.cursor() as cursor:
        if len(rows) < COPY_FROM_ROWS:
            columns = [rows.sensor_ids, rows.ts_us, rows.values, rows.quality]
            staged = _STAGED.format(source=_UNNEST)
            cursor.execute(_UPSERT.format(staged=staged), [*(c.tolist() for c in columns), *bounds])
        else:
            _copy_to_staging(cursor, rows)
            cursor.execute(_UPSERT.format(staged=_STAGED.format(source="reading_staging")), bounds)
        inserted, updated = cursor.fetchone()
    return inserted, updated


def _copy_to_staging(cursor, rows: Rows) -> None:
    """Fill the session's own staging table; the table stays for the next request, its rows do not."""
    cursor.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS reading_staging "
        "(sensor_id bigint, ts_us bigint, value float8, quality smallint) ON COMMIT DELETE ROWS"
    )
    cursor.execute("DELETE FROM reading_staging")
    columns = (rows.sensor_ids.tolist(), rows.ts_us.tolist(), rows.values.tolist(), rows.quality.tolist())
    lines = StringIO("".join(f"{s}\t{t}\t{v!r}\t{q}\n" for s, t, v, q in zip(*columns, strict=True)))
    cursor.copy_expert("COPY reading_staging FROM STDIN", lines)


def advance_latest(rows: Rows, *, organization_id: int, received_at: datetime) -> None:
    """Move each sensor's latest reading forward; an older one never replaces a newer."""
    _, last = rows.boundaries()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO sensors_sensorlatest (sensor_id, organization_id, ts, value, quality, received_at)
            SELECT sensor_id, %s, ts, value, quality, %s FROM ({_STAGED.format(source=_UNNEST)}) newest
            ORDER BY sensor_id
            ON CONFLICT (sensor_id) DO UPDATE
            SET ts = excluded.ts, value = excluded.value, quality = excluded.quality,
                received_at = excluded.received_at
            WHERE excluded.ts >= sensors_sensorlatest.ts
            """,
            [
                organization_id,
                received_at,
                *(c[last].tolist() for c in (rows.sensor_ids, rows.ts_us, rows.values, rows.quality)),
            ],
        )


def make_partitions(first_us: int, last_us: int) -> None:
    """Make the months that these readings need, in a transaction of its own: before the ingest's, not inside it."""
    months = np.arange(
        np.datetime64(int(first_us), "us").astype("datetime64[M]"),
        np.datetime64(int(last_us), "us").astype("datetime64[M]") + 1,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s) AS name WHERE to_regclass(name) IS NULL",
            [[_partition(month) for month in months]],
        )
        missing = {name for (name,) in cursor.fetchall()}
        for month in months:
            if _partition(month) in missing:
                with transaction.atomic():
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
                    cursor.execute(
                        f"CREATE TABLE IF NOT EXISTS {_partition(month)} PARTITION OF sensors_reading "
                        f"FOR VALUES FROM ('{month}-01 00:00+00') TO ('{month + 1}-01 00:00+00')"
                    )


def _partition(month: np.datetime64) -> str:
    return f"sensors_reading_{str(month).replace('-', '_')}"


def read_readings(
    sensor_id: int, *, after: datetime | None, until: datetime, most: int | None = None
) -> Rows:
    """One sensor's readings in (after, until], in order of time; the first `most` of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (extract(epoch FROM ts) * 1000000)::bigint, value, quality FROM sensors_reading
            WHERE sensor_id = %s AND ts > coalesce(%s, '-infinity'::timestamptz) AND ts <= %s
            ORDER BY ts LIMIT %s
            """,
            [sensor_id, after, until, most],
        )
        columns = list(zip(*cursor.fetchall(), strict=True)) or [(), (), ()]
    return Rows(
        sensor_ids=np.full(len(columns[0]), sensor_id, dtype=np.int64),
        ts_us=np.array(columns[0], dtype=np.int64),
        values=np.array(columns[1], dtype=np.float64),
        quality=np.array(columns[2], dtype=np.int8),
    )


def read_in_blocks(sensor_id: int, *, after: datetime | None, until: datetime) -> Iterator[Rows]:
    """The same in blocks, so that years of a fast sensor fit into memory."""
    while len(rows := read_readings(sensor_id, after=after, until=until, most=BLOCK_ROWS)):
        yield rows
        if len(rows) < BLOCK_ROWS:
            return
        after = moment(rows.ts_us[-1])


def refresh_rollups(sensor_id: int, *, first: datetime, last: datetime) -> None:
    """Compute the hours that these moments touch anew, so that late readings correct them too."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH hours AS (
                SELECT date_trunc('hour', %(first)s::timestamptz, 'UTC') AS first,
                       date_trunc('hour', %(last)s::timestamptz, 'UTC') + interval '1 hour' AS after
            ),
            without_readings AS (
                DELETE FROM sensors_hourlyrollup stale USING hours
                WHERE stale.sensor_id = %(sensor)s AND stale.hour >= hours.first AND stale.hour < hours.after
                  AND NOT EXISTS (
                    SELECT 1 FROM sensors_reading usable
                    WHERE usable.sensor_id = %(sensor)s AND usable.quality < 2 AND usable.value <> 'NaN'
                      AND usable.ts >= stale.hour AND usable.ts < stale.hour + interval '1 hour'
                  )
            )
            INSERT INTO sensors_hourlyrollup (sensor_id, hour, count, mean, minimum, maximum)
            SELECT sensor_id, date_trunc('hour', ts, 'UTC'), count(*), avg(value), min(value), max(value)
            FROM sensors_reading, hours
            WHERE sensor_id = %(sensor)s AND ts >= hours.first AND ts < hours.after
              AND quality < 2 AND value <> 'NaN'
            GROUP BY 1, 2
            ON CONFLICT (sensor_id, hour) DO UPDATE
            SET count = excluded.count, mean = excluded.mean, minimum = excluded.minimum, maximum = excluded.maximum
            """,
            {"sensor": sensor_id, "first": first, "last": last},
        )
