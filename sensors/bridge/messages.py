"""What the parts of the bridge hand to each other."""

from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from sensors.ingest.naming import Template
from sensors.ingest.parsed import ParsedReadings


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came. `mid` is the number to acknowledge it by, 0 for none; `arrived_us` in UTC since 1970."""

    topic: str
    payload: bytes
    arrived_us: int
    mid: int = 0
    is_redelivered: bool = False


@dataclass(frozen=True, slots=True)
class Manners:
    """How payloads are to be read: what the key and the bridge's options say."""

    template: Template | None = None
    zone: ZoneInfo | None = None
    leaves_out_text: bool = False


class PayloadKind(Protocol):
    """One kind of payload; it may remember what earlier messages said."""

    name: str

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        """The message's readings, keyed by sensor; raises MalformedBody and TooManyReadings."""
