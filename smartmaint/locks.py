"""Session-level advisory locks of PostgreSQL: one holder among all workers, released also when the holder dies."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection


@contextmanager
def session_lock(name: str, number: int = 0) -> Iterator[bool]:
    """Try to take the lock of that name and number; yields whether it was free. It does not wait.

    Raises ImproperlyConfigured behind a pooler that hands out connections by transaction: the lock would stay with a
    connection that is somebody else's by then.
    """
    if not settings.PREPARED_STATEMENTS:
        raise ImproperlyConfigured(
            "Agents and commands need a database connection of their own, not a pooler's by transaction: give them "
            "its address in DATABASE_URL, and PREPARED_STATEMENTS=1."
        )
    key = [zlib.crc32(name.encode()) - 2**31, number % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        # A connection that broke meanwhile has lost the lock by itself; unlocking must not hide the reason.
        if is_ours and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


@contextmanager
def one_of_locks(name: str, places: int) -> Iterator[bool]:
    """Try to be one of at most so many holders; yields whether a place was free. It does not wait."""
    with ExitStack() as held:
        yield any(held.enter_context(session_lock(name, place)) for place in range(places))
