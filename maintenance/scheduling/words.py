"""Why a job was placed where it was, or not at all, in words for people."""

from collections.abc import Sequence
from datetime import tzinfo

from maintenance.scheduling.costs import PlanningSettings
from maintenance.scheduling.problem import DAY_US, Job, TechnicianSlots
from maintenance.scheduling.windows import Window, local_datetime


def told_time(us: int, zone: tzinfo) -> str:
    """An instant as people say it, such as ``Mon 23 Nov 08:00``."""
    local = local_datetime(us, zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def told_duration(seconds: float) -> str:
    """A length of time, such as ``45 min`` or ``2.5 h``."""
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"


def told_probability(probability: float) -> str:
    """A probability in per cent that never rounds to certain or impossible when it is neither."""
    if 0 < probability < 0.01:
        return "under 1 %"
    if 0.99 < probability < 1:
        return "over 99 %"
    return f"{probability * 100:.0f} %"


def assignment_reason(
    job: Job,
    technician: TechnicianSlots,
    start_us: int,
    *,
    probability: float,
    is_first_free: bool,
    is_there_anyway: bool,
    zone: tzinfo,
) -> str:
    """Why this technician at this time."""
    skills = ", ".join(sorted(job.skills)) or "no special skill needed"
    words = [
        f"{technician.name}: has {skills}" if job.skills else f"{technician.name}: {skills}",
        f"{'first free' if is_first_free else 'free'} {told_time(start_us, zone)}",
    ]
    if is_there_anyway:
        words.append(f"at {job.site} that day anyway")
    if job.risk.points:
        words.append(f"P(failure) {told_probability(probability)} before the start")
    if job.required_by_us is not None and start_us + job.duration_us > job.required_by_us:
        late_s = (start_us + job.duration_us - job.required_by_us) / 1_000_000
        words.append(f"ends {told_duration(late_s)} later than required")
    return "; ".join(words)


def missing_people_reason(job: Job, technicians: Sequence[TechnicianSlots]) -> str:
    """Why no technician at all can do the job: skills first, then the site."""
    if not technicians:
        return "there are no technicians"
    known = frozenset().union(*(technician.skills for technician in technicians))
    if missing := sorted(job.skills - known):
        return f"nobody has {'the skill' if len(missing) == 1 else 'the skills'} {', '.join(missing)}"
    if not any(job.skills <= technician.skills for technician in technicians):
        return f"nobody has all of {', '.join(sorted(job.skills))}"
    return f"nobody with {', '.join(sorted(job.skills)) or 'free hands'} works at {job.site}"


def missing_time_reason(
    job: Job, longest: Window | None, *, ready_us: int, until_us: int, settings: PlanningSettings
) -> str:
    """Why those who could do the job have no time; `longest` is their longest free window till `until_us`."""
    if ready_us >= until_us:
        days = (ready_us - until_us) / DAY_US + settings.horizon_days
        return f"may not start for {days:.0f} days: the plan covers {settings.horizon_days:g} days"
    reason = f"no free shift of {told_duration(job.duration_s)} within {settings.horizon_days:g} days"
    if longest is None:
        return f"{reason}: nobody with the skills has free time"
    length = told_duration((longest[1] - longest[0]) / 1_000_000)
    return f"{reason}: the longest free time is {length} on {told_time(longest[0], settings.zone)}"


def expiry_warning(names: Sequence[str]) -> str:
    """Whose certificates end before the plan does: renewing one may be the way out."""
    return f"a certificate for it runs out within the plan: {', '.join(sorted(names))}"
