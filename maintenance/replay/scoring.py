"""What a replay came to, in numbers: failures caught by lead time, false tasks, precision. Pure.

A failure (one machine, one moment) is caught with a lead of X hours when a task for its machine was created between
`HORIZON_H` and X hours before it. A task is false when no failure of its machine follows within the horizon. The first
week is left out, in which nothing is known yet: tasks in it, and failures until two days after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HOUR_US = 3_600_000_000
HORIZON_H = 72
WARM_UP_H = 168
GRACE_H = 48
LEADS_H = (1, 6, 12, 24)
MONTH_H = 730

Moment = tuple[str, int]
"""A machine and microseconds since 1970."""


@dataclass(frozen=True)
class Score:
    """Counts of one replay; `caught` by hours of lead."""

    failures: int
    caught: dict[int, int]
    tasks: int
    false_tasks: int
    machine_months: float
    days: float
    alarms: int
    anomalies: int

    @property
    def precision(self) -> float | None:
        return 1 - self.false_tasks / self.tasks if self.tasks else None

    @property
    def false_per_machine_month(self) -> float | None:
        return self.false_tasks / self.machine_months if self.machine_months > 0 else None

    @property
    def alarms_per_day(self) -> float | None:
        return self.alarms / self.days if self.days > 0 else None

    @property
    def anomalies_per_day(self) -> float | None:
        return self.anomalies / self.days if self.days > 0 else None

    def recall(self, lead_h: int) -> float | None:
        """The share of failures caught so many hours ahead; None without failures."""
        return self.caught[lead_h] / self.failures if self.failures else None


def score(
    *,
    tasks: Sequence[Moment],
    failures: Sequence[Moment],
    alarms: Sequence[Moment],
    anomalies: Sequence[Moment],
    begins_us: int,
    ends_us: int,
    machines: int,
) -> Score:
    """Score tasks against the failures that really happened, and count alarms and credible anomalies.

    All of them are told by machine and moment.
    """
    ready_us = begins_us + WARM_UP_H * HOUR_US
    counted = sorted({one for one in tasks if ready_us <= one[1] <= ends_us})
    failed = sorted(set(failures))
    scored = [one for one in failed if ready_us + GRACE_H * HOUR_US <= one[1] <= ends_us]
    caught = {lead: sum(is_caught(one, counted, lead_h=lead) for one in scored) for lead in LEADS_H}
    hours = max(0.0, (ends_us - ready_us) / HOUR_US)
    return Score(
        failures=len(scored),
        caught=caught,
        tasks=len(counted),
        false_tasks=sum(is_false(one, failed) for one in counted),
        machine_months=machines * hours / MONTH_H,
        days=hours / 24,
        alarms=sum(ready_us <= at_us <= ends_us for _, at_us in alarms),
        anomalies=sum(ready_us <= at_us <= ends_us for _, at_us in anomalies),
    )


def is_caught(failure: Moment, tasks: Sequence[Moment], *, lead_h: int) -> bool:
    """Whether one of the tasks came early enough for a failure, and not too early."""
    machine, at_us = failure
    return any(
        of == machine and at_us - HORIZON_H * HOUR_US <= task_us <= at_us - lead_h * HOUR_US
        for of, task_us in tasks
    )


def is_false(task: Moment, failures: Sequence[Moment]) -> bool:
    """Whether no failure of its machine follows a task within the horizon."""
    machine, at_us = task
    return not any(of == machine and at_us < us <= at_us + HORIZON_H * HOUR_US for of, us in failures)
