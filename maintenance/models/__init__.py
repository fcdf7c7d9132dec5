from maintenance.models.logs import MaintenanceLog
from maintenance.models.policy import Decision, MaintenancePolicy, Proposal
from maintenance.models.replays import ReplayFile, ReplayRun
from maintenance.models.tasks import (
    Booking,
    MaintenanceTask,
    Priority,
    TaskStatus,
    TaskType,
)
from maintenance.models.workforce import (
    Absence,
    Certificate,
    Shift,
    Skill,
    StandardJob,
    StandardJobSkill,
    Technician,
)

__all__ = [
    "Absence",
    "Booking",
    "Certificate",
    "Decision",
    "MaintenanceLog",
    "MaintenancePolicy",
    "MaintenanceTask",
    "Priority",
    "Proposal",
    "ReplayFile",
    "ReplayRun",
    "Shift",
    "Skill",
    "StandardJob",
    "StandardJobSkill",
    "TaskStatus",
    "TaskType",
    "Technician",
]
