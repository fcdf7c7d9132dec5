"""Claims: taking due rows of a queue for one attempt, and knowing them again when the work is done.

One committed UPDATE counts the attempt and moves `due_at` behind a back-off, so that a row which kills its worker has
used up an attempt, and comes back by itself when nobody settles it. A queue whose work may take longer has a lease, or
a second worker would do it again meanwhile: a claim is not over before the lease is.

Rows whose last attempt ended without a word are claimed few at a time, and soon alone (`claimed_together`): of the many
that were claimed with one that kills its worker, that one alone uses up its attempts. Until an attempt is settled it
has ended without a word; what an earlier one told stays to be read, behind `NO_WORD`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from django.db import transaction
from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.functions import Concat

from smartmaint.queues import MAX_ATTEMPTS, PendingWork, backoff, queue_now

NO_LEASE = timedelta()
NO_WORD = "No word of the last attempt; before it: "
_IS_WITHOUT_A_WORD = Q(last_error="") | Q(last_error__startswith=NO_WORD)
_ENDED_WITHOUT_A_WORD = Q(attempts__gt=0) & _IS_WITHOUT_A_WORD

Row = TypeVar("Row", bound=PendingWork)


def claim(
    model: type[Row],
    *,
    limit: int,
    order_by: Sequence[str],
    only: Q | None = None,
    lease: timedelta = NO_LEASE,
) -> list[Row]:
    """Take up to `limit` due rows for one attempt, committed; rows that another worker is claiming are skipped.

    Fewer where it is the turn of one whose worker did not come back: see `claimed_together`.
    """
    queue = model._default_manager.filter(due_at__lte=queue_now())
    if only is not None:
        queue = queue.filter(only)
    with transaction.atomic(durable=True):
        locked = queue.order_by(*order_by).select_for_update(skip_locked=True, no_key=True, of=("self",))
        # Parked first, or a batch of nothing but given-up rows would look like an empty queue.
        for row in locked.filter(attempts__gte=MAX_ATTEMPTS)[:limit]:
            row.park(row.last_error or "the last attempt ended without a word: its worker was killed")
            row.save_queue_columns()
        waiting = locked.filter(attempts__lt=MAX_ATTEMPTS)
        next_one = (
            waiting.annotate(is_silent=_ENDED_WITHOUT_A_WORD).values_list("attempts", "is_silent").first()
        )
        if next_one is None:
            return []
        tried, is_silent = next_one
        if is_silent:
            silent = waiting.filter(_ENDED_WITHOUT_A_WORD, attempts=tried)
            waiting = silent[: claimed_together(limit, tried)]
        else:
            waiting = waiting.exclude(_ENDED_WITHOUT_A_WORD)[:limit]
        claimed = cast(list[Row], list(waiting))
        _count_attempt(model, claimed, lease)
    return claimed


def claimed_together(limit: int, attempts: int) -> int:
    """How many rows are claimed at once whose worker did not come back, after so many attempts.

    An eighth of `limit`, a 64th, ..., one. So of 500 rows with one that kills its worker the innocent ones are done
    after four attempts at most, and the one is alone by then. A failure that was told needs none of this: rows that
    fail together are done again one by one.
    """
    return max(1, limit // 8**attempts)


def _count_attempt(model: type[Row], claimed: Sequence[Row], lease: timedelta) -> None:
    now, of_attempts = queue_now(), defaultdict(list)
    for row in claimed:
        of_attempts[row.attempts + 1].append(row)
    without_a_word = Case(
        When(_IS_WITHOUT_A_WORD, then=F("last_error")),
        default=Concat(Value(NO_WORD), F("last_error")),
        output_field=TextField(),
    )
    for attempts, rows in of_attempts.items():
        due_at = now + max(backoff(attempts), lease)
        for row in rows:
            row.attempts, row.due_at = attempts, due_at
            if row.last_error and not row.last_error.startswith(NO_WORD):
                row.last_error = NO_WORD + row.last_error
        model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
            attempts=attempts, due_at=due_at, last_error=without_a_word
        )


def lock_own_claims(rows: Sequence[Row]) -> dict[Any, Row]:
    """Lock rows again, by primary key; without those settled, marked anew or claimed by somebody else since.

    Marking a row anew starts its attempts from nothing, so these alone do not tell one claim from another; the due time
    that a claim sets does.
    """
    claims = {row.pk: (row.due_at, row.attempts) for row in rows}
    locked = type(rows[0])._default_manager.select_for_update(no_key=True, of=("self",))
    return {
        row.pk: row
        for row in cast(Iterable[Row], locked.filter(pk__in=claims).order_by("pk"))
        if claims[row.pk] == (row.due_at, row.attempts)
    }
