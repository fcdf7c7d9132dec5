"""Kinds of storage for readings: one module each behind one interface, chosen by what the server has."""

from functools import cache

from django.db import connection

from sensors.storage.kinds.interface import TABLE, Facts, Kind
from sensors.storage.kinds.native import NativePartitions
from sensors.storage.kinds.timescale import Hypertable

__all__ = ["TABLE", "Facts", "Hypertable", "Kind", "NativePartitions", "kind", "make_partitions"]


@cache
def kind() -> Kind:
    """The kind that the table of readings is of; looked up once in each process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
        (is_partitioned,) = cursor.fetchone()
    return NativePartitions() if is_partitioned else Hypertable()


def make_partitions(first_us: int, last_us: int, *, anew: bool = False) -> None:
    """Make room for readings from `first_us` to `last_us`, before the transaction that writes them: see `Kind`."""
    kind().make_room(first_us, last_us, anew=anew)
