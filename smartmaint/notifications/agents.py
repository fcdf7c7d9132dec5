"""The agents of notifications: they deliver what was told, and forget it when it is old."""

import structlog

from smartmaint.agents import agent
from smartmaint.notifications.models import Notification
from smartmaint.notifications.services.delivering import Delivery, deliver, record_delivery
from smartmaint.notifications.services.retention import drop_old_notifications as drop_old
from smartmaint.work import Tally, each, run_pending

BUDGET_SECONDS = 20.0
RETENTION_BUDGET_SECONDS = 10.0

log = structlog.get_logger(__name__)


@agent(every=2, at_once=1)
def deliver_notifications() -> Tally:
    """Send messages, one after the other: each is settled before the next, so that a crash doubles one at most."""
    return run_pending(
        Notification,
        work=each(deliver),
        settle=_record,
        batch_size=1,
        budget_seconds=BUDGET_SECONDS,
    )


@agent(every=3600, at_once=1)
def drop_old_notifications() -> Tally:
    """Take away messages that were sent, or given up, long ago."""
    return Tally(settled=drop_old(budget_seconds=RETENTION_BUDGET_SECONDS).total)


def _record(notification: Notification, delivery: Delivery) -> None:
    """Keep how it went, in the log too: without a mail server that is where an operator sees it."""
    record_delivery(notification, delivery)
    log.info(
        "notification_delivered",
        notification=notification.pk,
        organization=notification.organization.slug,
        recipient=notification.recipient.username,
        channel=delivery.channel.value,
        severity=notification.severity,
        subject=notification.subject,
    )
