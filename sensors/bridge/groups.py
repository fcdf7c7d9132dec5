"""Messages that are stored together."""

import time
from collections import Counter
from dataclasses import dataclass, field

from sensors.bridge.messages import Content, Message
from sensors.ingest.parsed import MAX_READINGS


@dataclass(frozen=True)
class Gathering:
    """When a group is stored: a first message so old, so many messages, bytes or readings (an event is one too), or so
    long a silence.
    """

    seconds: float = 0.2
    messages: int = 500
    payload_bytes: int = 8 * 1024 * 1024
    readings: int = MAX_READINGS
    quiet_seconds: float = 0.01


@dataclass
class Group:
    """Messages with what each held, in the order they came."""

    messages: list[Message] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)
    started_at: float = 0.0
    payload_bytes: int = 0
    received: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Messages that were refused as a whole, by code."""

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, message: Message, content: Content) -> None:
        if not self.messages:
            self.started_at = time.monotonic()
        self.messages.append(message)
        self.contents.append(content)
        self.payload_bytes += len(message.payload)
        self.received += content.received
        if content.refused:
            self.refused[content.refused] += 1

    def is_full(self, gathering: Gathering) -> bool:
        return bool(self.messages) and (
            len(self.messages) >= gathering.messages
            or self.payload_bytes >= gathering.payload_bytes
            or self.received >= gathering.readings
            or time.monotonic() - self.started_at >= gathering.seconds
        )
