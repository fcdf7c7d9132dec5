"""Greedy by risk: the job that loses most by waiting chooses first, and takes its cheapest place."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from maintenance.scheduling.costs import PlanningSettings, start_cost, urgency
from maintenance.scheduling.plan import Assignment, Schedule, Unplaced
from maintenance.scheduling.problem import PRIORITIES, Job, TechnicianSlots
from maintenance.scheduling.windows import Window, local_datetime, merged_windows
from maintenance.scheduling.words import (
    assignment_reason,
    expiry_warning,
    missing_people_reason,
    missing_time_reason,
)


def schedule(
    jobs: Iterable[Job],
    technicians: Iterable[TechnicianSlots],
    *,
    now_us: int,
    settings: PlanningSettings | None = None,
) -> Schedule:
    """Place every job whole in one free window of a technician who has all its skills, or say why not.

    Jobs choose in the order of `urgency` (then priority, then key); each takes the place with the least
    `start_cost` plus visit; equal places go to the earlier start, the less loaded technician, the lower key.
    The same input gives the same plan, whatever its order. Keys must be unique and of one type.
    """
    settings = settings or PlanningSettings()
    people = sorted(technicians, key=lambda technician: technician.key)
    diaries = [_Diary.of(technician, settings.zone) for technician in people]
    until_us = now_us + settings.horizon_us
    assignments: list[Assignment] = []
    unplaced: list[Unplaced] = []
    for job in _in_order_of_urgency(jobs, now_us, settings):
        ready_us = max(now_us, job.earliest_us)
        able = [diary for diary in diaries if diary.can_do(job)]
        place = min(_places(job, able, ready_us, until_us, settings), default=None, key=_Place.rank)
        if place is not None:
            assignments.append(_booked(job, place, able, ready_us, settings))
        else:
            reason = _why_unplaced(job, diaries, able, ready_us, until_us, settings)
            unplaced.append(Unplaced(job, reason))
    assignments.sort(key=lambda assignment: (assignment.start_us, assignment.technician.key))
    return Schedule(tuple(assignments), tuple(unplaced))


@dataclass(slots=True)
class _Diary:
    """A technician's free windows while the plan grows, and the days on which each site is visited anyway."""

    technician: TechnicianSlots
    zone: tzinfo
    free: list[Window]
    load_us: int = 0
    visits: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, technician: TechnicianSlots, zone: tzinfo) -> "_Diary":
        diary = cls(technician, zone, merged_windows(technician.free))
        for booking in technician.bookings:
            diary.note_visit(booking.site, booking.start_us, booking.end_us)
        return diary

    def can_do(self, job: Job) -> bool:
        return job.skills <= self.technician.skills and self.technician.works_at(job.site)

    def starts(self, job: Job, ready_us: int, until_us: int, step_us: int) -> Iterator[int]:
        """The first possible start in each free window, in order of time, while the technician may do the job."""
        able_until_us = self.technician.able_until_us(job, until_us)
        for window_start_us, window_end_us in self.free:
            start_us = -(-max(window_start_us, ready_us) // step_us) * step_us
            end_us = start_us + job.duration_us
            if end_us > able_until_us:
                return
            if end_us <= window_end_us:
                yield start_us

    def is_at(self, site: str, start_us: int) -> bool:
        """Whether the technician is at the site anyway on the local day of the instant."""
        return site in self.visits and _day(start_us, self.zone) in self.visits[site]

    def book(self, job: Job, start_us: int) -> None:
        end_us = start_us + job.duration_us
        at = next(n for n, (_, window_end_us) in enumerate(self.free) if end_us <= window_end_us)
        window_start_us, window_end_us = self.free[at]
        rest = ((window_start_us, start_us), (end_us, window_end_us))
        self.free[at : at + 1] = [window for window in rest if window[0] < window[1]]
        self.note_visit(job.site, start_us, end_us)

    def note_visit(self, site: str, start_us: int, end_us: int) -> None:
        self.load_us += end_us - start_us
        self.visits.setdefault(site, set()).add(_day(start_us, self.zone))


@dataclass(frozen=True, slots=True)
class _Place:
    diary: _Diary
    start_us: int
    cost: float
    is_there_anyway: bool

    def rank(self) -> tuple[float, int, int, int | str]:
        return (round(self.cost, 9), self.start_us, self.diary.load_us, self.diary.technician.key)


def _in_order_of_urgency(jobs: Iterable[Job], now_us: int, settings: PlanningSettings) -> list[Job]:
    def rank(job: Job) -> tuple[float, int, int | str]:
        urgent = urgency(job, ready_us=max(now_us, job.earliest_us), settings=settings)
        return (-urgent, -PRIORITIES.index(job.priority), job.key)

    return sorted(jobs, key=rank)


def _places(
    job: Job, able: Sequence[_Diary], ready_us: int, until_us: int, settings: PlanningSettings
) -> Iterator[_Place]:
    """The places worth comparing: without the visit the cost never falls, so each diary is left early."""
    for diary in able:
        cheapest = None
        for start_us in diary.starts(job, ready_us, until_us, settings.start_step_us):
            cost = start_cost(job, start_us, ready_us=ready_us, settings=settings)
            if cheapest is not None and cost >= cheapest:
                break
            is_there_anyway = diary.is_at(job.site, start_us)
            cost += 0.0 if is_there_anyway else settings.visit_cost
            cheapest = cost if cheapest is None else min(cost, cheapest)
            yield _Place(diary, start_us, cost, is_there_anyway)


def _booked(
    job: Job, place: _Place, able: Sequence[_Diary], ready_us: int, settings: PlanningSettings
) -> Assignment:
    start_us, step_us = place.start_us, settings.start_step_us
    before_us = start_us + job.duration_us - 1
    earlier = (next(diary.starts(job, ready_us, before_us, step_us), None) for diary in able)
    probability = job.risk.before(start_us)
    reason = assignment_reason(
        job,
        place.diary.technician,
        start_us,
        probability=probability,
        is_first_free=all(start is None for start in earlier),
        is_there_anyway=place.is_there_anyway,
        zone=settings.zone,
    )
    place.diary.book(job, start_us)
    end_us = start_us + job.duration_us
    return Assignment(job, place.diary.technician, start_us, end_us, probability, place.cost, reason)


def _why_unplaced(
    job: Job,
    diaries: Sequence[_Diary],
    able: Sequence[_Diary],
    ready_us: int,
    until_us: int,
    settings: PlanningSettings,
) -> str:
    if not able:
        return missing_people_reason(job, [diary.technician for diary in diaries])
    ends_us = [diary.technician.able_until_us(job, until_us) for diary in able]
    usable = (
        (max(start, ready_us), min(end, end_us))
        for diary, end_us in zip(able, ends_us, strict=True)
        for start, end in diary.free
    )
    possible = [window for window in usable if window[0] < window[1]]
    longest = max(possible, default=None, key=_length_then_earliness)
    reason = missing_time_reason(job, longest, ready_us=ready_us, until_us=until_us, settings=settings)
    names = [diary.technician.name for diary, end_us in zip(able, ends_us, strict=True) if end_us < until_us]
    return f"{reason}; {expiry_warning(names)}" if names else reason


def _length_then_earliness(window: Window) -> tuple[int, int]:
    return (window[1] - window[0], -window[0])


def _day(us: int, zone: tzinfo) -> int:
    return local_datetime(us, zone).toordinal()
