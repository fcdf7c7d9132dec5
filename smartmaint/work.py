"""The work engine: rows are the queue.

An agent calls `run_pending`, which takes three steps with each row of a queue (`queues`):

claim
    takes due rows for one attempt, committed (`claims`);
work
    computes, without a transaction or a lock, on many rows at once; a batch that fails is done again row by row, so
    that one bad row stops no other;
settle
    one transaction per row: it locks the row, checks that no one else has claimed it meanwhile, clears `due_at`, writes
    the result and sends the signals.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.db import transaction
from django.db.models import Q

from smartmaint.claims import NO_LEASE, claim, lock_own_claims
from smartmaint.queues import PendingWork

log = structlog.get_logger(__name__)

Row = TypeVar("Row", bound=PendingWork)
Work = Callable[[Sequence[Row]], Sequence[Any]]
Settle = Callable[[Row, Any], None]
SettleAll = Callable[[Sequence[Row], Sequence[Any]], int | None]


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
    lease: timedelta = NO_LEASE,
) -> Tally:
    """Claim, work on and settle rows until none is due or the budget is spent.

    `work` takes the claimed rows and returns one result each, in the same order. `settle` writes one result; it runs
    inside the row's transaction. `settle_all`, in its place, writes the results of all claimed rows in one transaction,
    and when that fails, row by row; it may put some back into the queue, and returns how many. `only` narrows the queue
    (say, to one organisation). `lease` is how long a claim holds at least: as long as work on a batch may take, where
    that is more than a back-off.
    """
    if settle_all is None:
        assert settle is not None, "One of settle and settle_all writes the results."
        settle_all = _settle_each(settle)
        most_together = 1
    else:
        most_together = batch_size
    tally = Tally()
    deadline = time.monotonic() + budget_seconds
    while rows := claim(model, limit=batch_size, order_by=order_by, only=only, lease=lease):
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
        settled, put_back = _settle_together(good, settle_all)
    except Exception as error:
        if len(good) > 1:
            for one in good:
                _settle([one], settle_all, tally)
        else:
            tally.failed += 1
            _record_failure(good[0][0], error)
    else:
        tally.settled += settled
        tally.failed += put_back
        tally.overtaken += len(good) - settled - put_back


def _settle_together(done: Done, settle_all: SettleAll) -> tuple[int, int]:
    """Returns how many were settled, and how many put back; the rest was overtaken."""
    put_back = 0
    with transaction.atomic(durable=True):
        locked = lock_own_claims([row for row, _ in done])
        own = [(locked[row.pk], result) for row, result in done if row.pk in locked]
        if own:
            rows, results = zip(*own, strict=True)
            for row in rows:
                row.due_at, row.last_error = None, ""
            if not rows[0].leaves_with_its_result:
                type(rows[0])._default_manager.filter(pk__in=locked).update(due_at=None, last_error="")
            put_back = settle_all(rows, results) or 0
    return len(own) - put_back, put_back


def _record_failure(row: Row, error: Exception) -> None:
    log.error("work_failed", queue=row._meta.label, row=row.pk, attempts=row.attempts, exc_info=error)
    with transaction.atomic(durable=True):
        for locked in lock_own_claims([row]).values():
            locked.put_back(f"{type(error).__name__}: {error}")
            locked.save_queue_columns()
