"""From one kind of storage to another, with all readings: for the migration and for `manage.py convert_storage`.

Everything happens in the caller's transaction. Meanwhile nobody reads or writes readings; afterwards the product's
processes are started anew, because each has looked once for the kind that it works with.
"""

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from sensors.storage.kinds import TABLE, kind

CHUNK = "7 days"

_OLD = f"{TABLE}_before"
_COLUMNS = """
    sensor_id bigint NOT NULL,
    ts timestamptz NOT NULL,
    value double precision NOT NULL,
    quality smallint NOT NULL,
    PRIMARY KEY (sensor_id, ts)
"""
# The loader defines the setting; CREATE EXTENSION without it ends the connection.
_PRELOADED = "SELECT current_setting('timescaledb.disable_load', true) IS NOT NULL"
_AVAILABLE = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb')"


def has_timescale(connection: BaseDatabaseWrapper) -> bool:
    """Whether TimescaleDB's files are on the server, whatever else may stand in its way."""
    with connection.cursor() as cursor:
        cursor.execute(_AVAILABLE)
        return cursor.fetchone() == (True,)


def create_timescale(connection: BaseDatabaseWrapper) -> str:
    """Create the extension in this database; return why that cannot be, in words, and "" when it is there."""
    with connection.cursor() as cursor:
        if not has_timescale(connection):
            return "TimescaleDB is not installed on this server"
        cursor.execute(_PRELOADED)
        if cursor.fetchone() != (True,):
            return "TimescaleDB is installed, but not in the server's shared_preload_libraries"
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except DatabaseError as error:
            return f"the extension timescaledb cannot be created: {str(error).splitlines()[0]}"
    return ""


def to_hypertable(connection: BaseDatabaseWrapper) -> None:
    """Make the partitioned table a hypertable of the same columns and key. The extension must be there."""
    with connection.cursor() as cursor:
        _put_aside(cursor)
        cursor.execute(f"CREATE TABLE {TABLE} ({_COLUMNS})")
        cursor.execute(
            f"SELECT create_hypertable('{TABLE}', 'ts', chunk_time_interval => interval '{CHUNK}', "
            "create_default_indexes => false)"
        )
        _take_over(cursor)


def to_partitions(connection: BaseDatabaseWrapper) -> None:
    """Make the hypertable a partitioned table of the same columns and key, with the months that its readings need."""
    with connection.cursor() as cursor:
        _put_aside(cursor)
        cursor.execute(f"CREATE TABLE {TABLE} ({_COLUMNS}) PARTITION BY RANGE (ts)")
        cursor.execute(
            f"""
            SELECT to_char(month, '_YYYY_MM'), month, month + interval '1 month'
            FROM (SELECT date_trunc('month', min(ts) AT TIME ZONE 'UTC') AS first, max(ts) AT TIME ZONE 'UTC' AS last
                  FROM {_OLD}) span, generate_series(first, last, interval '1 month') AS month
            """
        )
        for suffix, begin, end in cursor.fetchall():
            cursor.execute(
                f"CREATE TABLE {TABLE}{suffix} PARTITION OF {TABLE} "
                f"FOR VALUES FROM ('{begin}+00') TO ('{end}+00')"
            )
        _take_over(cursor)


def _put_aside(cursor: CursorWrapper) -> None:
    """Give the table and its key other names, so that the new ones can have theirs."""
    cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    cursor.execute(f"ALTER TABLE {TABLE} RENAME CONSTRAINT {TABLE}_pkey TO {_OLD}_pkey")
    cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {_OLD}")


def _take_over(cursor: CursorWrapper) -> None:
    cursor.execute(f"INSERT INTO {TABLE} SELECT sensor_id, ts, value, quality FROM {_OLD}")
    cursor.execute(f"DROP TABLE {_OLD}")
    cursor.execute(f"ANALYZE {TABLE}")
    kind.cache_clear()
