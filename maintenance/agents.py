"""The agent of maintenance: it finds a technician and a time for what is approved."""

from maintenance.models import MaintenanceTask
from maintenance.services.scheduling import plan_tasks, schedule_task
from smartmaint.agents import agent
from smartmaint.work import Tally, run_pending


@agent(every=2, at_once=1)
def schedule_tasks() -> Tally:
    """Book technicians for approved tasks, all that wait together."""
    return run_pending(MaintenanceTask, work=plan_tasks, settle=schedule_task, batch_size=200)
