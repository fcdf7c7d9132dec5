"""Colours of what tasks say of themselves."""

from maintenance.models import Priority, TaskStatus

STATUS_BADGES = {
    TaskStatus.PROPOSED: "warning",
    TaskStatus.PENDING: "info",
    TaskStatus.IN_PROGRESS: "primary",
    TaskStatus.ON_HOLD: "warning",
    TaskStatus.COMPLETED: "success",
}
PRIORITY_BADGES = {Priority.CRITICAL: "danger", Priority.HIGH: "warning", Priority.MEDIUM: "info"}
