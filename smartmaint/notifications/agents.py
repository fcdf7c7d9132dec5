"""The agent of notifications: it delivers what was told."""

from smartmaint.agents import agent
from smartmaint.notifications.models import Notification
from smartmaint.notifications.services.delivering import deliver, record_delivery
from smartmaint.work import Tally, each, run_pending

BUDGET_SECONDS = 20.0


@agent(every=2, at_once=1)
def deliver_notifications() -> Tally:
    """Send messages, one after the other: each is settled before the next, so that a crash doubles one at most."""
    return run_pending(
        Notification,
        work=each(deliver),
        settle=record_delivery,
        batch_size=1,
        budget_seconds=BUDGET_SECONDS,
    )
