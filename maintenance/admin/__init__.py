"""Managers' pages of maintenance: tasks, decisions, findings, and the people who do the work."""

from maintenance.admin.bookings import BookingAdmin
from maintenance.admin.logs import MaintenanceLogAdmin
from maintenance.admin.policy import MaintenancePolicyAdmin, ProposalAdmin, show_decisions_on_predictions
from maintenance.admin.replays import ReplayRunAdmin
from maintenance.admin.tasks import MaintenanceTaskAdmin
from maintenance.admin.workforce import SkillAdmin, StandardJobAdmin, TechnicianAdmin

__all__ = [
    "BookingAdmin",
    "MaintenanceLogAdmin",
    "MaintenancePolicyAdmin",
    "MaintenanceTaskAdmin",
    "ProposalAdmin",
    "ReplayRunAdmin",
    "SkillAdmin",
    "StandardJobAdmin",
    "TechnicianAdmin",
]

show_decisions_on_predictions()
