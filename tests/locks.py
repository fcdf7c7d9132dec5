"""Locks that another process holds, for tests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from django.db import connection

from smartmaint.locks import session_lock


@contextmanager
def held_elsewhere(name: str) -> Iterator[None]:
    """The lock of that name is held by another database connection."""
    is_held, may_go = Event(), Event()

    def hold() -> None:
        try:
            with session_lock(name) as is_ours:
                assert is_ours
                is_held.set()
                may_go.wait(60)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(hold)
        assert is_held.wait(10), holding.exception()
        try:
            yield
        finally:
            may_go.set()
