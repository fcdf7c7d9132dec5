"""What maintenance tells the other apps. Sent inside the transaction that made it true."""

from django.dispatch import Signal

task_scheduled = Signal()
"""A technician is booked (also called MaintenanceScheduled): booking (Booking)."""

task_completed = Signal()
"""A job is done and its finding is logged (also called MaintenanceCompleted): log (MaintenanceLog)."""
