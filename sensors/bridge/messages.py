"""What the parts of the bridge hand to each other."""

from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from sensors.ingest.events import ParsedEvents
from sensors.ingest.naming import Template
from sensors.ingest.parsed import ParsedReadings


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came. `mid` is the number to acknowledge it by, 0 for none; `arrived_us` in UTC since 1970;
    `is_event` where its topic is one of those for machine events.
    """

    topic: str
    payload: bytes
    arrived_us: int
    mid: int = 0
    is_redelivered: bool = False
    is_event: bool = False


@dataclass(frozen=True, slots=True)
class Manners:
    """How payloads are to be read: what the key and the bridge's options say."""

    template: Template | None = None
    machine: Template | None = None
    zone: ZoneInfo | None = None
    leaves_out_text: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What a message held: its readings, in parts, or its events. `refused` is the code where it was refused as a
    whole.
    """

    parts: list[ParsedReadings]
    refused: str = ""
    events: ParsedEvents | None = None

    @property
    def received(self) -> int:
        of_events = 0 if self.events is None else self.events.received
        return of_events + sum(parsed.received for parsed in self.parts)


class PayloadKind(Protocol):
    """One kind of payload; it may remember what earlier messages said."""

    name: str

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        """The message's readings, keyed by sensor; raises MalformedBody and TooManyReadings."""
