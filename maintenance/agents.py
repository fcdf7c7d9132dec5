"""The agents of maintenance: they find technicians and times for what is approved, and tell what is overdue."""

from maintenance.models import MaintenanceTask
from maintenance.services import health
from maintenance.services.scheduling import plan_tasks, schedule_task
from smartmaint.agents import agent
from smartmaint.work import Tally, run_pending


@agent(every=2, at_once=1)
def schedule_tasks() -> Tally:
    """Book technicians for approved tasks, all that wait together."""
    return run_pending(MaintenanceTask, work=plan_tasks, settle=schedule_task, batch_size=200)


@agent(every=60, at_once=1)
def report_maintenance() -> Tally:
    """Tell of each machine's health what work is overdue."""
    return health.report_maintenance()
