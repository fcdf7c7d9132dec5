"""Closing: what was foretold of a time that has passed is to be scored, unless people are to tell of it.

What nothing counts of it goes first (`dropping`): it needs no score.
"""

import math
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from predictions.forecasting.result import HORIZON_DAYS
from predictions.models import ClosedHorizons
from predictions.services.dropping import drop_spare_predictions
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.queues import queue_now

HORIZON = timedelta(days=HORIZON_DAYS)
# What one statement closes at most: of ten thousand sensors an hour's predictions are ten thousand rows.
STEP = timedelta(hours=1)

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)

# By the index of limits and moments, so that a step reads what it closes and none of the ledger beside it.
_NEXT = """
    SELECT min(made_at) FROM (
        SELECT first.made_at FROM sensors_limit limits
        CROSS JOIN LATERAL (
            SELECT made_at FROM predictions_prediction
            WHERE limit_id = limits.id AND made_at > %(after)s AND made_at <= %(until)s ORDER BY made_at LIMIT 1
        ) first
        WHERE limits.organization_id = %(organization)s
        UNION ALL
        SELECT made_at FROM predictions_prediction
        WHERE limit_id IS NULL AND organization_id = %(organization)s
          AND made_at > %(after)s AND made_at <= %(until)s
    ) first_of_each
"""
_OF_LIMIT = """
    SELECT id, cutoff_at + horizon_days * interval '1 day' AS ended_at FROM predictions_prediction
    WHERE made_at > %(after)s AND made_at <= %(until)s AND status = 'made'
"""
_CLOSE = f"""
    INSERT INTO predictions_predictionoutcome (
        organization_id, prediction_id, verdict, happened_at, outcome, is_date_censored, reason,
        due_at, attempts, last_error
    )
    SELECT %(organization)s, id, '', ended_at, '', false, '', %(due_at)s, 0, ''
    FROM (
        SELECT passed.* FROM sensors_limit limits
        CROSS JOIN LATERAL ({_OF_LIMIT} AND limit_id = limits.id) passed
        WHERE limits.organization_id = %(organization)s
        UNION ALL
        {_OF_LIMIT} AND limit_id IS NULL AND organization_id = %(organization)s
    ) passed
    ORDER BY id ON CONFLICT (prediction_id) DO NOTHING
"""


def close_past_horizons(organization: Organization | None = None, *, budget_seconds: float = math.inf) -> int:
    """Mark predictions to be scored whose horizon passed, and for which nobody's verdict is expected.

    Those of all active organisations, or of one. An hour's predictions of each in turn, as long as there is time; what
    is left goes on from there the next time. Returns how many were marked.
    """
    deadline = time.monotonic() + budget_seconds
    whose: Iterable[Organization] = (
        Organization.objects.filter(is_active=True) if organization is None else [organization]
    )
    waiting, marked, until = deque(whose), 0, clock.now() - HORIZON
    while waiting and time.monotonic() < deadline:
        one = waiting.popleft()
        closed_until, closed = _close_step(one, until)
        marked += closed
        if closed_until < until:
            waiting.append(one)
    return marked


@transaction.atomic
def _close_step(organization: Organization, until: datetime) -> tuple[datetime, int]:
    """Close the next hour in which anything was made; returns until when all is closed, and how many were marked."""
    place, _ = ClosedHorizons.objects.select_for_update(no_key=True).get_or_create(
        organization=organization, defaults={"made_until": BEFORE_ALL}
    )
    if place.made_until >= until:
        return until, 0
    after = place.made_until
    step: dict[str, Any] = {"organization": organization.pk, "after": after, "until": until}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, step)
        (next_at,) = cursor.fetchone()
        closed = 0
        place.made_until = until
        if next_at is not None:
            place.made_until = min(next_at + STEP - timedelta(microseconds=1), until)
            drop_spare_predictions(organization, after=after, until=place.made_until)
            cursor.execute(_CLOSE, {**step, "until": place.made_until, "due_at": queue_now()})
            closed = cursor.rowcount
    place.save(update_fields=["made_until"])
    return place.made_until, closed
