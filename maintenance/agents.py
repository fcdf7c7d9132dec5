"""The agents of maintenance: technicians and times for what is approved, what is overdue, and pasts lived again."""

from maintenance.models import MaintenanceTask, ReplayRun
from maintenance.replay.stretches import keep_stretch, tell_stretch
from maintenance.services import health
from maintenance.services.scheduling import plan_tasks, schedule_task
from smartmaint.agents import agent
from smartmaint.work import Tally, each, run_pending


@agent(every=2, at_once=1)
def schedule_tasks() -> Tally:
    """Book technicians for approved tasks, all that wait together."""
    return run_pending(MaintenanceTask, work=plan_tasks, settle=schedule_task, batch_size=200)


@agent(every=60, at_once=1)
def report_maintenance() -> Tally:
    """Tell of each machine's health what work is overdue."""
    return health.report_maintenance()


@agent(every=10, at_once=1)
def tell_replays() -> Tally:
    """Tell a stretch of one replay. One at a time: nobody waits for these as for the others' work."""
    return run_pending(
        ReplayRun, work=each(tell_stretch), settle=keep_stretch, batch_size=1, budget_seconds=0
    )
