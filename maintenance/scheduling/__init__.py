"""Decides who does which job when: plain numbers in, a plan with its reasons out.

Times are integers, microseconds since 1970-01-01 UTC; windows are half-open pairs ``(start_us, end_us)``.
"""

from maintenance.scheduling.costs import PlanningSettings
from maintenance.scheduling.greedy import schedule
from maintenance.scheduling.plan import Assignment, Schedule, Unplaced
from maintenance.scheduling.problem import PRIORITIES, Booking, Job, Risk, TechnicianSlots
from maintenance.scheduling.windows import (
    WeeklyShift,
    Window,
    free_windows,
    instant_us,
    merged_windows,
    shift_windows,
)

__all__ = [
    "PRIORITIES",
    "Assignment",
    "Booking",
    "Job",
    "PlanningSettings",
    "Risk",
    "Schedule",
    "TechnicianSlots",
    "Unplaced",
    "WeeklyShift",
    "Window",
    "free_windows",
    "instant_us",
    "merged_windows",
    "schedule",
    "shift_windows",
]
