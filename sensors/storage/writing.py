"""How readings get into PostgreSQL.

A sensor's row in `SensorLatest` is its lock: every request first claims those of its sensors, always in the same order,
and moves them forward. What is newer than a sensor's latest reading cannot be stored yet, so it is copied straight into
the table; only the rest is compared with what is there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.db.backends.utils import CursorWrapper

from sensors.storage import binary
from sensors.storage.arrays import number_array
from sensors.storage.rows import Rows, moment
from smartmaint.prepared import PreparedStatement

# Below this the array literals of one statement beat the round trips of COPY.
COPY_FROM_ROWS = 64
FIRST_READINGS_LOCK = 1_203_002

_COLUMNS = "(sensor_id, ts, value, quality)"
_ROWS = """
    SELECT sensor_id, 'epoch'::timestamptz + ts_us * interval '1 microsecond' AS ts, value, quality
    FROM unnest({0}, {1}, {2}, {3}) AS row(sensor_id, ts_us, value, quality)
"""
_ROW_TYPES = ["bigint[]", "bigint[]", "float8[]", "smallint[]"]

# Locks the sensors of `newest`, moves their latest readings forward, and tells what those were until then. Locked rows
# are read as they are now, not as they were when the statement began.
_CLAIMED = """
    known AS (
        SELECT sensor_id, ts, value, quality, is_historical FROM sensors_sensorlatest
        WHERE sensor_id = ANY({0}) ORDER BY sensor_id FOR NO KEY UPDATE
    ),
    moved AS (
        UPDATE sensors_sensorlatest latest
        SET ts = newest.ts, value = newest.value, quality = newest.quality, received_at = {4},
            is_historical = {5} AND (newest.ts > known.ts OR known.is_historical)
        FROM newest JOIN known USING (sensor_id)
        WHERE latest.sensor_id = newest.sensor_id AND (
            newest.ts > known.ts
            OR newest.ts = known.ts AND (newest.value, newest.quality) IS DISTINCT FROM (known.value, known.quality)
        )
    )
"""
_LATEST_UNTIL_NOW = """
    SELECT sensor_id, CASE WHEN isfinite(ts) THEN (extract(epoch FROM ts) * 1000000)::bigint END FROM known
"""
_CLAIM_TYPES = [*_ROW_TYPES, "timestamptz", "boolean"]
_CLAIM = PreparedStatement(
    "claim_sensors", f"WITH newest AS ({_ROWS}), {_CLAIMED} {_LATEST_UNTIL_NOW}", types=_CLAIM_TYPES
)
# The same, and what is newer is stored at once: of a few readings, each statement costs more than its rows.
_CLAIM_AND_APPEND = PreparedStatement(
    "claim_sensors_and_append",
    f"""
    WITH given AS ({_ROWS}),
    newest AS (SELECT DISTINCT ON (sensor_id) * FROM given ORDER BY sensor_id, ts DESC),
    {_CLAIMED},
    appended AS (
        INSERT INTO sensors_reading {_COLUMNS}
        SELECT given.* FROM given JOIN known USING (sensor_id) WHERE given.ts > known.ts
    )
    {_LATEST_UNTIL_NOW}
    """,
    types=_CLAIM_TYPES,
)
_PLACEHOLDERS = """
    INSERT INTO sensors_sensorlatest (sensor_id, organization_id, ts, value, quality, received_at, is_historical)
    SELECT sensor_id, %s, '-infinity', 0, 0, %s, true FROM unnest(%s::bigint[]) AS sensor_id ORDER BY sensor_id
    ON CONFLICT (sensor_id) DO NOTHING
"""
_UPSERT = """
    WITH staged AS ({staged}),
    compared AS (
        SELECT staged.*, known.sensor_id IS NULL AS is_new
        FROM staged LEFT JOIN sensors_reading known
          ON known.sensor_id = staged.sensor_id AND known.ts = staged.ts
         AND known.ts BETWEEN {first} AND {last}
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
_UPSERT_ROWS = PreparedStatement(
    "upsert_readings",
    _UPSERT.format(staged=_ROWS, first="{4}", last="{5}"),
    types=[*_ROW_TYPES, "timestamptz", "timestamptz"],
)
_LOCK = """
    SELECT sensor_id FROM sensors_sensorlatest WHERE sensor_id = ANY(%s::bigint[]) ORDER BY sensor_id FOR NO KEY UPDATE
"""
_STORED = """
    SELECT wanted.row - 1, (known.value, known.quality) IS NOT DISTINCT FROM (wanted.value, wanted.quality)
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::smallint[])
        WITH ORDINALITY AS wanted(sensor_id, ts_us, value, quality, row)
    JOIN sensors_reading known
      ON known.sensor_id = wanted.sensor_id
     AND known.ts = 'epoch'::timestamptz + wanted.ts_us * interval '1 microsecond' AND known.ts BETWEEN %s AND %s
"""
_UPSERT_STAGED = _UPSERT.format(staged="SELECT * FROM reading_staging", first="%s", last="%s")


class Stored(NamedTuple):
    """How many readings of a request are new and how many changed, and rows among which all of these are.

    Where nothing but what is newer than a sensor's latest reading was news, the rows are that alone: a sender that
    repeats what it sent before has detection look at none of it again.
    """

    inserted: int
    updated: int
    news: Rows


class FirstReadings(Exception):
    """Some sensors have no reading yet; the request is done again with these named, in a transaction of its own."""

    def __init__(self, sensor_ids: list[int]) -> None:
        super().__init__(f"{len(sensor_ids)} sensors have no reading yet")
        self.sensor_ids = sensor_ids


def store_readings(
    rows: Rows,
    *,
    organization_id: int,
    received_at: datetime,
    is_historical: bool,
    first_of: Sequence[int] = (),
    is_latest_known: bool = True,
) -> Stored:
    """Insert or update readings, and move their sensors' latest ones forward.

    Raises FirstReadings for sensors without a reading that `first_of` does not name, and IntegrityError where there are
    readings newer than a sensor's latest one; without `is_latest_known` every row is compared with what is stored.
    """
    if first_of:
        _prepare_first(first_of, organization_id=organization_id, received_at=received_at)
    is_few = is_latest_known and len(rows) < COPY_FROM_ROWS
    latest_us = _claim(rows, received_at=received_at, is_historical=is_historical, and_append=is_few)
    is_newer = (rows.ts_us > latest_us) & is_latest_known
    if is_newer.any() and not is_few:
        with connection.cursor() as cursor:
            _copy(cursor, "sensors_reading", rows[is_newer])
    newer = int(np.count_nonzero(is_newer))
    inserted, updated = (0, 0) if newer == len(rows) else _upsert(rows[~is_newer])
    return Stored(newer + inserted, updated, rows if inserted or updated else rows[is_newer])


def lock_and_find_stored(
    rows: Rows, *, organization_id: int, received_at: datetime, first_of: Sequence[int] = ()
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each row whether its sensor has a reading of that moment, and whether that is another one than the row's;
    both stay so until the transaction ends.

    `first_of` as in `store_readings`, which is to come next. Raises FirstReadings as that does: a sensor without a
    reading has no row to lock, and what is posted for it meanwhile would be overwritten.
    """
    if first_of:
        _prepare_first(first_of, organization_id=organization_id, received_at=received_at)
    is_stored, is_another = np.zeros((2, len(rows)), dtype=np.bool_)
    with connection.cursor() as cursor:
        sensor_ids = np.unique(rows.sensor_ids).tolist()
        cursor.execute(_LOCK, [number_array(sensor_ids)])
        locked = {sensor_id for (sensor_id,) in cursor.fetchall()}
        if missing := [one for one in sensor_ids if one not in locked]:
            raise FirstReadings(missing)
        # Only now: a statement sees what was committed before it began.
        cursor.execute(_STORED, [*_literals(rows), moment(rows.ts_us.min()), moment(rows.ts_us.max())])
        for row, is_same in cursor.fetchall():
            is_stored[row], is_another[row] = True, not is_same
    return is_stored, is_another


def _prepare_first(sensor_ids: Sequence[int], *, organization_id: int, received_at: datetime) -> None:
    """Give sensors a row to lock. Such requests wait for one another first, or two could deadlock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [FIRST_READINGS_LOCK, organization_id])
        cursor.execute(_PLACEHOLDERS, [organization_id, received_at, number_array(sensor_ids)])


def _claim(
    rows: Rows, *, received_at: datetime, is_historical: bool, and_append: bool
) -> npt.NDArray[np.int64]:
    """Lock the sensors of `rows` against other requests; return for each row its sensor's latest moment until now.

    With `and_append` the rows that are newer than that are stored too.
    """
    first, last = rows.boundaries()
    sensor_ids = rows.sensor_ids[first].tolist()
    with connection.cursor() as cursor:
        if and_append:
            _CLAIM_AND_APPEND.execute(cursor, *_literals(rows), received_at, is_historical)
        else:
            _CLAIM.execute(cursor, *_literals(rows[last]), received_at, is_historical)
        known = dict(cursor.fetchall())
    if missing := [one for one in sensor_ids if one not in known]:
        raise FirstReadings(missing)
    nothing_yet = np.iinfo(np.int64).min
    latest = [nothing_yet if known[one] is None else known[one] for one in sensor_ids]
    return np.repeat(np.array(latest, dtype=np.int64), last - first + 1)


def _upsert(rows: Rows) -> tuple[int, int]:
    bounds = [moment(rows.ts_us.min()), moment(rows.ts_us.max())]
    with connection.cursor() as cursor:
        if len(rows) < COPY_FROM_ROWS:
            _UPSERT_ROWS.execute(cursor, *_literals(rows), *bounds)
        else:
            _copy_to_staging(cursor, rows)
            cursor.execute(_UPSERT_STAGED, bounds)
        inserted, updated = cursor.fetchone()
    return inserted, updated


def _copy_to_staging(cursor: CursorWrapper, rows: Rows) -> None:
    """Fill the session's own staging table; the table stays for the next request, its rows do not."""
    cursor.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS reading_staging "
        "(sensor_id bigint, ts timestamptz, value float8, quality smallint) ON COMMIT DELETE ROWS"
    )
    cursor.execute("DELETE FROM reading_staging")
    _copy(cursor, "reading_staging", rows)


def _copy(cursor: CursorWrapper, table: str, rows: Rows) -> None:
    """COPY into a table; raises Django's database errors, which the driver's method by itself does not."""
    with connection.wrap_database_errors:
        cursor.copy_expert(f"COPY {table} {_COLUMNS} FROM STDIN (FORMAT binary)", binary.encode(rows))


def _literals(rows: Rows) -> list[str]:
    return [
        number_array(column.tolist()) for column in (rows.sensor_ids, rows.ts_us, rows.values, rows.quality)
    ]
