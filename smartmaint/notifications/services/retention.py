"""How long messages are kept."""

import time
from datetime import timedelta

from django.db.models import Q

from smartmaint import clock
from smartmaint.notifications.models import Notification
from smartmaint.retention import Dropped, drop_records

KEPT = timedelta(days=90)


def drop_old_notifications(*, budget_seconds: float) -> Dropped:
    """Take away messages that were sent, or given up, ninety days ago; those that wait stay, however old.

    No event is told again for it: keys name rows that are written once, such as a line of an alarm's journal.
    """
    before, dropped = clock.now() - KEPT, Dropped()
    is_done = Q(delivered_at__lt=before) | Q(parked_at__lt=before)
    old = Notification.objects.filter(is_done, due_at__isnull=True).order_by("id")
    drop_records(old, dropped, deadline=time.monotonic() + budget_seconds)
    return dropped
