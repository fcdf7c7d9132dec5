"""Plain PostgreSQL: one partition for each month of UTC."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog
from django.db import OperationalError, connection, transaction
from psycopg2.errors import LockNotAvailable

from sensors.storage.kinds.interface import LOCK_TIMEOUT, TABLE, Facts

PARTITION_LOCK = 1_203_001

log = structlog.get_logger(__name__)

_MONTHS = (
    f"SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = '{TABLE}'::regclass"
)
_SIZE = f"SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{TABLE}'::regclass"
_NAME = re.compile(rf"{TABLE}_(\d{{4}})_(\d{{2}})")


class NativePartitions:
    """Monthly partitions; each process remembers which ones it has seen, so that ingest asks for none twice."""

    def __init__(self) -> None:
        self._seen: frozenset[np.datetime64] = frozenset()

    def make_room(self, first_us: int, last_us: int, *, anew: bool = False) -> None:
        needed = set(_months(first_us, last_us))
        if needed <= self._seen and not anew:
            return
        for month in sorted(needed - _standing()):
            _make(month)
        # What an open transaction has made may yet be undone.
        if not connection.in_atomic_block:
            self._seen = frozenset(_standing())

    def drop_before(self, before: datetime) -> int:
        dropped = 0
        for month in sorted(_standing()):
            if _begin(month + 1) > before:
                break
            try:
                _drop(month)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                log.warning("month_in_use", month=str(month))
                break
            dropped += 1
        self._seen = frozenset()
        return dropped

    def compress_after(self, age: timedelta) -> bool:
        return False

    def facts(self) -> Facts:
        months = _standing()
        with connection.cursor() as cursor:
            cursor.execute(_SIZE)
            (size,) = cursor.fetchone()
        return Facts(
            name="monthly partitions",
            parts=len(months),
            size=int(size or 0),
            oldest_at=_begin(min(months)) if months else None,
            newest_at=_begin(max(months) + 1) if months else None,
        )


def _months(first_us: int, last_us: int) -> np.ndarray:
    first, last = (np.datetime64(int(us), "us").astype("datetime64[M]") for us in (first_us, last_us))
    return np.arange(first, last + 1)


def _standing() -> set[np.datetime64]:
    """The months that are there now."""
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS)
        names = [_NAME.fullmatch(name) for (name,) in cursor.fetchall()]
    return {np.datetime64(f"{name[1]}-{name[2]}", "M") for name in names if name}


def _make(month: np.datetime64) -> None:
    """Attach an empty table: unlike CREATE TABLE ... PARTITION OF, this lets others read and write meanwhile."""
    name = _table(month)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        if month in _standing():
            return
        cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{month}-01 00:00+00') TO ('{month + 1}-01 00:00+00')"
        )


def _drop(month: np.datetime64) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        cursor.execute(f"DROP TABLE {_table(month)}")


def _table(month: np.datetime64) -> str:
    return f"{TABLE}_{str(month).replace('-', '_')}"


def _begin(month: np.datetime64) -> datetime:
    return month.astype("datetime64[us]").item().replace(tzinfo=UTC)
