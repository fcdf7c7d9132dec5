"""What a planner answers: bookings to make and jobs it could not place, each with its reason in words."""

from dataclasses import dataclass

from maintenance.scheduling.problem import Job, TechnicianSlots


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job in one technician's free time. `probability` is P(failure before the start)."""

    job: Job
    technician: TechnicianSlots
    start_us: int
    end_us: int
    probability: float
    cost: float
    reason: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A job for which there is no place, and why."""

    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every job that was asked for, once: assignments by start, the others in order of urgency."""

    assignments: tuple[Assignment, ...]
    unplaced: tuple[Unplaced, ...]

    @property
    def cost(self) -> float:
        """The sum over the assignments; what could not be placed has no price."""
        return sum(assignment.cost for assignment in self.assignments)
