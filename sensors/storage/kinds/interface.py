"""What every kind of storage can do for the table of readings."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

TABLE = "sensors_reading"
LOCK_TIMEOUT = "200ms"
"""How long a drop may wait for a lock: everybody who comes after it waits behind it, ingest too."""


@dataclass(frozen=True)
class Facts:
    """What an operator wants to know of where the readings stand; sizes in bytes, with indexes."""

    name: str
    parts: int
    size: int
    oldest_at: datetime | None
    """From where on there is room: the beginning of the oldest part."""
    newest_at: datetime | None
    """Until where: the end of the newest one."""
    can_compress: bool = False
    compressed_parts: int = 0
    saved: int = 0
    """By how much compression made its parts smaller."""


class Kind(Protocol):
    """One way in which PostgreSQL keeps readings in parts by time. COPY and INSERT are the same for all."""

    def make_room(self, first_us: int, last_us: int, *, anew: bool = False) -> None:
        """Make the parts that readings between two moments (microseconds since 1970, both included) need.

        To be called before the transaction that writes them. What is known to stand is not looked for again; with
        `anew` it is, for a writer whose rows found no room because somebody dropped it since.
        """

    def drop_before(self, before: datetime) -> int:
        """Drop the parts that end by then, and return how many; what is in use stays until the next time."""

    def compress_after(self, age: timedelta) -> bool:
        """See to it that parts older than `age`, in whole days, get compressed; False where that cannot be."""

    def facts(self) -> Facts:
        """Look at what there is now."""
