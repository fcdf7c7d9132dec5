"""TimescaleDB: a hypertable, which makes its chunks by itself and, under its own licence, compresses them."""

from datetime import datetime, timedelta

import structlog
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg2.errors import LockNotAvailable

from sensors.storage.kinds.interface import LOCK_TIMEOUT, TABLE, Facts

log = structlog.get_logger(__name__)

_CHUNKS = f"""
    SELECT count(*), min(range_start), max(range_end), count(*) FILTER (WHERE is_compressed),
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), hypertable_size('{TABLE}'),
           current_setting('timescaledb.license') = 'timescale'
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = current_schema() AND hypertable_name = '{TABLE}'
"""
_SAVED = f"""
    SELECT coalesce(sum(before_compression_total_bytes - after_compression_total_bytes), 0)
    FROM chunk_compression_stats('{TABLE}')
"""
_ENDS = f"""
    SELECT DISTINCT range_end FROM timescaledb_information.chunks
    WHERE hypertable_schema = current_schema() AND hypertable_name = '{TABLE}' AND range_end <= %s ORDER BY 1
"""
_POLICY = f"""
    SELECT (config->>'compress_after')::interval FROM timescaledb_information.jobs
    WHERE hypertable_schema = current_schema() AND hypertable_name = '{TABLE}' AND proc_name = 'policy_compression'
"""
_ENABLED = f"""
    SELECT compression_enabled FROM timescaledb_information.hypertables
    WHERE hypertable_schema = current_schema() AND hypertable_name = '{TABLE}'
"""


class Hypertable:
    """A hypertable. What is licensed by Timescale and not by Apache is used where the server says that it may be."""

    def make_room(self, first_us: int, last_us: int, *, anew: bool = False) -> None:
        """Nothing to do: the insert makes the chunks that it needs."""

    def drop_before(self, before: datetime) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_ENDS, [before])
            ends = [end for (end,) in cursor.fetchall()]
        dropped = 0
        # One at a time: each is locked for a moment only.
        for end in ends:
            try:
                dropped += _drop(end)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                log.warning("chunk_in_use", until=end.isoformat())
                break
        return dropped

    def compress_after(self, age: timedelta) -> bool:
        """Leave it to TimescaleDB's own job, which no time limit of ours cuts short."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('timescaledb.license')")
            if cursor.fetchone() != ("timescale",):
                return False
            cursor.execute(_POLICY)
            if cursor.fetchone() == (age,):
                return True
            with transaction.atomic():
                _set_policy(cursor, age)
        return True

    def facts(self) -> Facts:
        with connection.cursor() as cursor:
            cursor.execute(_CHUNKS)
            parts, oldest_at, newest_at, compressed, version, size, can_compress = cursor.fetchone()
            saved = 0
            if compressed:
                cursor.execute(_SAVED)
                (saved,) = cursor.fetchone()
        return Facts(
            name=f"TimescaleDB {version}",
            parts=parts,
            size=int(size or 0),
            oldest_at=oldest_at,
            newest_at=newest_at,
            can_compress=can_compress,
            compressed_parts=compressed,
            saved=int(saved),
        )


def _drop(end: datetime) -> int:
    """Drop the chunks that end by then."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute(f"SELECT count(*) FROM drop_chunks('{TABLE}', older_than => %s::timestamptz)", [end])
        (dropped,) = cursor.fetchone()
    return dropped


def _set_policy(cursor: CursorWrapper, age: timedelta) -> None:
    cursor.execute(_ENABLED)
    if cursor.fetchone() != (True,):
        cursor.execute(
            f"ALTER TABLE {TABLE} SET (timescaledb.compress, "
            "timescaledb.compress_segmentby = 'sensor_id', timescaledb.compress_orderby = 'ts')"
        )
    cursor.execute(f"SELECT remove_compression_policy('{TABLE}', if_exists => true)")
    cursor.execute(
        f"SELECT add_compression_policy('{TABLE}', compress_after => make_interval(days => %s))", [age.days]
    )
    # One late reading unpacks the thousand around it; by default a hundred of them in one request are refused.
    cursor.execute("SELECT format('ALTER ROLE CURRENT_USER IN DATABASE %I', current_database())")
    for scope in ("", cursor.fetchone()[0]):
        cursor.execute(f"{scope} SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
