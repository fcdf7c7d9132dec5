"""Domain time: the one place that says what time it is for readings, predictions and work.

A replay of a plant's past and tests set it; everything else sees the wall clock. The work engine's own due times are
not domain time and use the wall clock always.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_frozen_at: ContextVar[datetime | None] = ContextVar("frozen_at", default=None)


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return _frozen_at.get() or datetime.now(UTC)


@contextmanager
def frozen(moment: datetime) -> Iterator[None]:
    """Let `now()` return `moment` inside the block; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("domain time is aware: give the moment a time zone")
    token = _frozen_at.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _frozen_at.reset(token)
