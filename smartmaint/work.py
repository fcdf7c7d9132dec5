"""The work engine: rows are the queue.

A model that derives from `PendingWork` is a queue. A row is pending while `due_at` is set. An agent calls
`run_pending`, which takes three steps with each row:

claim
    one committed UPDATE counts the attempt and moves `due_at` behind a back-off, so that a row which kills its worker
    has used up an attempt, and comes back by itself when nobody settles it;
work
    computes, without a transaction or a lock, on many rows at once; a batch that fails is done again row by row, so
    that one bad row stops no other;
settle
    one transaction per row: it locks the row, checks that no one else has claimed it meanwhile, clears `due_at`, writes
    the result and sends the signals.

Rows whose last attempt ended without a word are claimed few at a time, and soon alone (`claimed_together`): of the many
that were claimed with one that kills its worker, that one alone uses up its attempts.

After `MAX_ATTEMPTS` a row is parked: a person sees why, and can have it tried again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import structlog
from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

MAX_ATTEMPTS = 8
MAX_BACKOFF = timedelta(hours=1)
_ENDED_WITHOUT_A_WORD = Q(attempts__gt=0, last_error="")

log = structlog.get_logger(__name__)


def queue_indexes() -> list[models.Index]:
    """Partial indexes that keep a queue's look-ups as small as what is pending, and what was given up."""
    return [
        models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="%(class)s_due"),
        models.Index(fields=["parked_at"], condition=Q(parked_at__isnull=False), name="%(class)s_parked"),
    ]


class PendingWorkQuerySet(models.QuerySet):
    def due(self) -> "PendingWorkQuerySet":
        return self.filter(due_at__lte=datetime.now(UTC))

    def pending(self) -> "PendingWorkQuerySet":
        return self.filter(due_at__isnull=False)

    def stuck(self) -> "PendingWorkQuerySet":
        """Rows that were given up: parked until a person has them tried again."""
        return self.filter(parked_at__isnull=False)

    def try_again(self) -> int:
        return self.stuck().update(due_at=datetime.now(UTC), attempts=0, parked_at=None, last_error="")


class PendingWork(models.Model):
    """The queue's columns. `due_at` is wall-clock time; null means that there is nothing to do."""

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    parked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = PendingWorkQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = queue_indexes()

    def mark_due(self) -> None:
        """Put the row in its queue (the caller saves it)."""
        self.due_at, self.attempts, self.parked_at, self.last_error = datetime.now(UTC), 0, None, ""

    def put_back(self, reason: str) -> None:
        """Leave the row in its queue after a failure of this attempt, or park it after the last one."""
        if self.attempts >= MAX_ATTEMPTS:
            self.park(reason)
        else:
            self.due_at, self.last_error = datetime.now(UTC) + backoff(self.attempts), reason[:2000]

    def park(self, reason: str) -> None:
        self.due_at, self.parked_at, self.last_error = None, datetime.now(UTC), reason[:2000]

    def save_queue_columns(self) -> None:
        """Write the queue's columns alone: not a change of the record, so it leaves no trace in its history."""
        type(self)._default_manager.filter(pk=self.pk).update(
            due_at=self.due_at, attempts=self.attempts, parked_at=self.parked_at, last_error=self.last_error
        )

    def put_off(self, delay: timedelta) -> None:
        """Leave the row in its queue, to be looked at again after `delay` (the caller saves it)."""
        self.mark_due()
        self.due_at = datetime.now(UTC) + delay


Row = TypeVar("Row", bound=PendingWork)
Work = Callable[[Sequence[Row]], Sequence[Any]]
Settle = Callable[[Row, Any], None]
SettleAll = Callable[[Sequence[Row], Sequence[Any]], None]


@dataclass
class Tally:
    """What one run of an agent did, for the log and for tests."""

    settled: int = 0
    failed: int = 0
    overtaken: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.settled + other.settled, self.failed + other.failed, self.overtaken + other.overtaken
        )


def run_pending(
    model: type[Row],
    *,
    work: Work,
    settle: Settle | None = None,
    settle_all: SettleAll | None = None,
    order_by: Sequence[str] = ("due_at", "id"),
    batch_size: int = 50,
    budget_seconds: float = 5.0,
    only: Q | None = None,
) -> Tally:
    """Claim, work on and settle rows until none is due or the budget is spent.

    `work` takes the claimed rows and returns one result each, in the same order. `settle` writes one result; it runs
    inside the row's transaction. `settle_all`, in its place, writes the results of all claimed rows in one transaction,
    and when that fails, row by row. `only` narrows the queue (say, to one organisation).
    """
    if settle_all is None:
        assert settle is not None, "One of settle and settle_all writes the results."
        settle_all = _settle_each(settle)
        most_together = 1
    else:
        most_together = batch_size
    tally = Tally()
    deadline = time.monotonic() + budget_seconds
    while rows := claim(model, limit=batch_size, order_by=order_by, only=only):
        for done in _work_on(rows, work, most_together):
            _settle(done, settle_all, tally)
        if time.monotonic() >= deadline:
            break
    return tally


def _settle_each(settle: Settle) -> SettleAll:
    def settle_all(rows: Sequence[Row], results: Sequence[Any]) -> None:
        for row, result in zip(rows, results, strict=True):
            settle(row, result)

    return settle_all


def each(work_on_one: Callable[[Row], Any]) -> Work:
    """Turn work on one row into work on many; a row's exception is its own result."""

    def work(rows: Sequence[Row]) -> list[Any]:
        return [_attempt(work_on_one, row) for row in rows]

    return work


def claim(model: type[Row], *, limit: int, order_by: Sequence[str], only: Q | None = None) -> list[Row]:
    """Take up to `limit` due rows for one attempt, committed; rows that another worker is claiming are skipped.

    Fewer where it is the turn of one whose worker did not come back: see `claimed_together`.
    """
    queue = model._default_manager.filter(due_at__lte=datetime.now(UTC))
    if only is not None:
        queue = queue.filter(only)
    with transaction.atomic(durable=True):
        locked = queue.order_by(*order_by).select_for_update(skip_locked=True, no_key=True, of=("self",))
        # Parked first, or a batch of nothing but given-up rows would look like an empty queue.
        for row in locked.filter(attempts__gte=MAX_ATTEMPTS)[:limit]:
            row.park(row.last_error or "the last attempt ended without a word: its worker was killed")
            row.save_queue_columns()
        waiting = locked.filter(attempts__lt=MAX_ATTEMPTS)
        next_one = waiting.values_list("attempts", "last_error").first()
        if next_one is None:
            return []
        tried, last_error = next_one
        if tried and not last_error:
            waiting = waiting.filter(attempts=tried, last_error="")[: claimed_together(limit, tried)]
        else:
            waiting = waiting.exclude(_ENDED_WITHOUT_A_WORD)[:limit]
        claimed = cast(list[Row], list(waiting))
        _count_attempt(model, claimed)
    return claimed


def claimed_together(limit: int, attempts: int) -> int:
    """How many rows are claimed at once whose worker did not come back, after so many attempts.

    An eighth of `limit`, a 64th, ..., one. So of 500 rows with one that kills its worker the innocent ones are done
    after four attempts at most, and the one is alone by then. A failure that was told needs none of this: rows that
    fail together are done again one by one.
    """
    return max(1, limit // 8**attempts)


def _count_attempt(model: type[Row], claimed: Sequence[Row]) -> None:
    """Until it is settled, an attempt has ended without a word."""
    now, of_attempts = datetime.now(UTC), defaultdict(list)
    for row in claimed:
        of_attempts[row.attempts + 1].append(row)
    for attempts, rows in of_attempts.items():
        due_at = now + backoff(attempts)
        for row in rows:
            row.attempts, row.due_at, row.last_error = attempts, due_at, ""
        model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
            attempts=attempts, due_at=due_at, last_error=""
        )


def backoff(attempts: int) -> timedelta:
    """Time until a claimed row is due again when nobody settles it: doubling from the setting, at most an hour."""
    return min(timedelta(seconds=settings.WORK_BACKOFF_SECONDS) * 2 ** (attempts - 1), MAX_BACKOFF)


Done = list[tuple[Row, Any]]


def _work_on(rows: Sequence[Row], work: Work, most_together: int) -> Iterator[Done]:
    """Rows with their results, up to `most_together` at once.

    After a batch that failed, a row is settled before the next one is worked on.
    """
    try:
        results = work(rows)
    except Exception as error:
        if len(rows) == 1:
            yield [(rows[0], error)]
            return
        for row in rows:
            yield [(row, _attempt(lambda one: work([one])[0], row))]
    else:
        done = list(zip(rows, results, strict=True))
        for begin in range(0, len(done), most_together):
            yield done[begin : begin + most_together]


def _attempt(work_on_one: Callable[[Row], Any], row: Row) -> Any:
    try:
        return work_on_one(row)
    except Exception as error:
        return error


def _settle(done: Done, settle_all: SettleAll, tally: Tally) -> None:
    """Settle what was done in one transaction; where that fails, each row in its own."""
    good = [(row, result) for row, result in done if not isinstance(result, Exception)]
    for row, result in done:
        if isinstance(result, Exception):
            tally.failed += 1
            _record_failure(row, result)
    if not good:
        return
    try:
        settled = _settle_together(good, settle_all)
    except Exception as error:
        if len(good) > 1:
            for one in good:
                _settle([one], settle_all, tally)
        else:
            tally.failed += 1
            _record_failure(good[0][0], error)
    else:
        tally.settled += settled
        tally.overtaken += len(good) - settled


def _settle_together(done: Done, settle_all: SettleAll) -> int:
    """Returns how many were settled; the rest was overtaken."""
    with transaction.atomic(durable=True):
        locked = _lock_own_claims([row for row, _ in done])
        own = [(locked[row.pk], result) for row, result in done if row.pk in locked]
        if own:
            rows, results = zip(*own, strict=True)
            for row in rows:
                row.due_at, row.last_error = None, ""
            type(rows[0])._default_manager.filter(pk__in=locked).update(due_at=None, last_error="")
            settle_all(rows, results)
    return len(own)


def _lock_own_claims(rows: Sequence[Row]) -> dict[Any, Row]:
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


def _record_failure(row: Row, error: Exception) -> None:
    log.error("work_failed", queue=row._meta.label, row=row.pk, attempts=row.attempts, exc_info=error)
    with transaction.atomic(durable=True):
        for locked in _lock_own_claims([row]).values():
            locked.put_back(f"{type(error).__name__}: {error}")
            locked.save_queue_columns()
