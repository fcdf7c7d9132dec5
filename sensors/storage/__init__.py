"""How readings get into PostgreSQL and out again, as arrays. Times travel as microseconds since 1970 (UTC)."""

from sensors.storage.kinds import make_partitions
from sensors.storage.reading import count_newest, read_hours, read_in_blocks, read_many, read_readings
from sensors.storage.rollups import Span, add_to_rollups, refresh_rollups
from sensors.storage.rows import APART_US, NO_ROWS, Rows, microseconds, moment
from sensors.storage.writing import FirstReadings, lock_and_find_stored, store_readings

__all__ = [
    "APART_US",
    "NO_ROWS",
    "FirstReadings",
    "Rows",
    "Span",
    "add_to_rollups",
    "count_newest",
    "lock_and_find_stored",
    "make_partitions",
    "microseconds",
    "moment",
    "read_hours",
    "read_in_blocks",
    "read_many",
    "read_readings",
    "refresh_rollups",
    "store_readings",
]
