"""What a start costs: the risk of failing first, waiting, lateness, and the visit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import MappingProxyType

from maintenance.scheduling.problem import DAY_US, Job

_HOUR_US = 3_600_000_000

WAITING_SHARES = MappingProxyType({"low": 0.0002, "medium": 0.0005, "high": 0.002, "critical": 0.008})


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """How far ahead to plan, and what things cost.

    The shares are parts of a job's consequence per hour: `waiting_share_per_h` by priority, from the earliest
    start; `late_share_per_h` for finishing after the time required. `visit_cost` is paid once per technician,
    day and site. Starts are rounded up to whole `start_step_s`. `zone` decides what a day is and how times
    are told.
    """

    horizon_days: float = 14.0
    visit_cost: float = 10.0
    late_share_per_h: float = 1 / 60
    waiting_share_per_h: Mapping[str, float] = field(default_factory=lambda: WAITING_SHARES)
    start_step_s: int = 300
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        if self.start_step_s <= 0 or self.horizon_days <= 0:
            raise ValueError("the planning horizon and the step of starts must be positive")

    @property
    def horizon_us(self) -> int:
        return round(self.horizon_days * DAY_US)

    @property
    def start_step_us(self) -> int:
        return self.start_step_s * 1_000_000


def start_cost(job: Job, start_us: int, *, ready_us: int, settings: PlanningSettings) -> float:
    """consequence x (P(failure before the start) + waiting + lateness): never falls as the start moves out.

    Waiting has a price of its own because a machine that has surely failed already (P = 1) is urgent too.
    """
    share = job.risk.before(start_us)
    share += settings.waiting_share_per_h[job.priority] * (start_us - ready_us) / _HOUR_US
    if job.required_by_us is not None:
        late_us = start_us + job.duration_us - job.required_by_us
        share += settings.late_share_per_h * max(0, late_us) / _HOUR_US
    return job.consequence * share


def urgency(job: Job, *, ready_us: int, settings: PlanningSettings) -> float:
    """What putting the job off by the whole horizon would cost, per hour of its work.

    The ratio of cost to length is Smith's rule (1956), best for one technician and linear costs.
    """
    put_off_us = ready_us + settings.horizon_us
    gain = start_cost(job, put_off_us, ready_us=ready_us, settings=settings)
    gain -= start_cost(job, ready_us, ready_us=ready_us, settings=settings)
    return gain * 3600 / job.duration_s
