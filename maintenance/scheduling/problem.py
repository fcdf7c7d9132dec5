"""What a planner is given: jobs with their risk, technicians with their free time."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from maintenance.scheduling.windows import Window

PRIORITIES = ("low", "medium", "high", "critical")
DAY_US = 86_400_000_000

Key = int | str


@dataclass(frozen=True, slots=True)
class Risk:
    """P(failure) as it grows: `points` are (days after `from_us`, P before then), both never falling.

    P is linear between the points, 0 at day 0 unless a point says otherwise, and stays at the last one.
    """

    from_us: int = 0
    points: tuple[tuple[float, float], ...] = ()
    _days: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(not 0 <= probability <= 1 or days < 0 for days, probability in self.points):
            raise ValueError("a risk has days >= 0 and probabilities from 0 to 1")
        if any(later[0] <= earlier[0] or later[1] < earlier[1] for earlier, later in pairwise(self.points)):
            raise ValueError("the days of a risk must rise, and its probabilities never fall")
        object.__setattr__(self, "_days", tuple(days for days, _ in self.points))

    @classmethod
    def by_days(cls, *, from_us: int, probabilities: Iterable[tuple[float, float]]) -> Self:
        """From the pairs (days, P) of a forecast, in any order."""
        return cls(from_us=from_us, points=tuple(sorted(probabilities)))

    def before(self, us: int) -> float:
        """P(failure before the instant `us`)."""
        if not self.points:
            return 0.0
        days = max(0.0, (us - self.from_us) / DAY_US)
        following = bisect_right(self._days, days)
        if following == len(self.points):
            return self.points[-1][1]
        next_days, next_probability = self.points[following]
        last_days, last_probability = self.points[following - 1] if following else (0.0, 0.0)
        return last_probability + (next_probability - last_probability) * (days - last_days) / (
            next_days - last_days
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be placed.

    `consequence` is what the failure would cost, in the money of the settings' `visit_cost`.
    """

    key: Key
    skills: frozenset[str]
    duration_s: int
    site: str
    priority: str = "medium"
    earliest_us: int = 0
    required_by_us: int | None = None
    risk: Risk = Risk()
    consequence: float = 1000.0

    def __post_init__(self) -> None:
        if self.duration_s <= 0:
            raise ValueError(f"job {self.key}: the duration must be positive")
        if self.priority not in PRIORITIES:
            raise ValueError(f"job {self.key}: the priority must be one of {', '.join(PRIORITIES)}")
        if self.consequence < 0:
            raise ValueError(f"job {self.key}: the consequence must not be negative")

    @property
    def duration_us(self) -> int:
        return self.duration_s * 1_000_000


@dataclass(frozen=True, slots=True)
class Booking:
    """Work that a technician already has; the planner does not move it."""

    start_us: int
    end_us: int
    site: str


@dataclass(frozen=True, slots=True)
class TechnicianSlots:
    """A technician's skills and free time.

    `free` is shifts minus leave minus `bookings` (see `free_windows`). The bookings only tell where the
    technician is anyway, and how much there is to do already. Without `sites`: works everywhere.
    `skills_end_us` has the instants at which certificates run out, of the skills that end at all: a job that needs
    one is over by then.
    """

    key: Key
    name: str
    skills: frozenset[str]
    free: tuple[Window, ...]
    sites: frozenset[str] = frozenset()
    bookings: tuple[Booking, ...] = ()
    skills_end_us: Mapping[str, int] = field(default_factory=dict, hash=False)

    def able_until_us(self, job: Job, until_us: int) -> int:
        """The instant by which this technician must have done the job: `until_us`, or when a skill for it ends."""
        ends = (self.skills_end_us[skill] for skill in job.skills if skill in self.skills_end_us)
        return min([until_us, *ends])

    def works_at(self, site: str) -> bool:
        return not self.sites or site in self.sites
