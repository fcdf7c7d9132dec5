"""What a story is made of."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self

from django.db.models import Q, QuerySet

from sensors.storage import microseconds, moment


class Kind(IntEnum):
    """Where an entry comes from. Of two at the same moment the one with the smaller number came first."""

    EVENT = 0
    READINGS = 1
    ANOMALY = 2
    JUDGEMENT = 3
    ALARM = 4
    PREDICTION = 5
    DECISION = 6
    TASK = 7
    BOOKING = 8
    FAILURE = 9
    LOG = 10
    BASELINE = 11
    SCORE = 12


@dataclass(frozen=True, order=True)
class Place:
    """Where an entry stands in the story: one order for all kinds, also for those of one moment."""

    at_us: int
    kind: Kind
    key: int

    @classmethod
    def of(cls, at: datetime, kind: Kind, key: int) -> Self:
        return cls(microseconds(at), kind, key)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `str()` wrote; None for anything else, which then means the newest entry."""
        try:
            at_us, kind, key = map(int, text.split("-"))
            place = cls(at_us, Kind(kind), key)
            place.at.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return place if 0 <= key < 2**63 else None

    def __str__(self) -> str:
        return f"{self.at_us}-{int(self.kind)}-{self.key}"

    @property
    def at(self) -> datetime:
        return moment(self.at_us)

    def onwards(self, rows: QuerySet, kind: Kind, time_field: str, key_field: str = "pk") -> QuerySet:
        """Those rows of a kind that stand at this place or are older."""
        older, same = Q(**{f"{time_field}__lt": self.at}), Q(**{time_field: self.at})
        if kind < self.kind:
            return rows.filter(older | same)
        if kind > self.kind:
            return rows.filter(older)
        return rows.filter(older | (same & Q(**{f"{key_field}__lte": self.key})))


@dataclass(frozen=True)
class Cause:
    """What an entry came from, and where that stands in the story."""

    words: str
    place: Place


@dataclass(frozen=True)
class Entry:
    """One thing that happened."""

    place: Place
    title: str
    words: str = ""
    details: tuple[str, ...] = field(default=())
    level: str = "low"
    machine: str = ""
    because: Cause | None = None
    task_id: int | None = None
    alarm_id: int | None = None

    @property
    def at(self) -> datetime:
        return self.place.at


@dataclass(frozen=True)
class StoryPage:
    """A stretch of the story, the newest entry first, and where it goes on."""

    entries: list[Entry]
    older: Place | None
    is_newest: bool

    def holds(self, place: Place) -> bool:
        return any(entry.place == place for entry in self.entries)
