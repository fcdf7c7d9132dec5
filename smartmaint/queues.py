"""Queues: the columns by which rows of a table wait for an agent.

A model that derives from `PendingWork` is a queue. A row is pending while `due_at` is set. What fails is put off,
longer each time; after `MAX_ATTEMPTS` it is parked: a person sees why, and can have it tried again. The agents' side of
it is `work`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

MAX_ATTEMPTS = 8
MAX_BACKOFF = timedelta(hours=1)
APART = timedelta(days=365 * 100)
_ahead: ContextVar[timedelta] = ContextVar("ahead", default=timedelta())


def queue_now() -> datetime:
    """The wall clock, by which rows are due; inside `apart` it stands a hundred years ahead."""
    return datetime.now(UTC) + _ahead.get()


@contextmanager
def apart() -> Iterator[None]:
    """Work inside the block on rows that no agent outside takes: for them these are due in a hundred years.

    For a replay of the past beside a service at work, whose agents would do its rows by the clock of today.
    """
    token = _ahead.set(APART)
    try:
        yield
    finally:
        _ahead.reset(token)


def queue_indexes() -> list[models.Index]:
    """Partial indexes that keep a queue's look-ups as small as what is pending, and what was given up."""
    return [
        models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="%(class)s_due"),
        models.Index(fields=["parked_at"], condition=Q(parked_at__isnull=False), name="%(class)s_parked"),
    ]


def one_place() -> models.CheckConstraint:
    """A row waits, or was given up, never both."""
    return models.CheckConstraint(
        condition=Q(due_at__isnull=True) | Q(parked_at__isnull=True), name="%(class)s_waits_or_is_parked"
    )


class PendingWorkQuerySet(models.QuerySet):
    def due(self) -> "PendingWorkQuerySet":
        return self.filter(due_at__lte=queue_now())

    def pending(self) -> "PendingWorkQuerySet":
        return self.filter(due_at__isnull=False)

    def stuck(self) -> "PendingWorkQuerySet":
        """Rows that were given up: parked until a person has them tried again."""
        return self.filter(parked_at__isnull=False)

    def try_again(self) -> int:
        return self.stuck().update(due_at=queue_now(), attempts=0, parked_at=None, last_error="")


class PendingWork(models.Model):
    """The queue's columns. `due_at` is wall-clock time; null means that there is nothing to do.

    `leaves_with_its_result`: the result of the work is written together with the queue's columns, in one statement. So
    the engine need not write them first.
    """

    leaves_with_its_result: ClassVar[bool] = False

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    parked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = PendingWorkQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = queue_indexes()
        constraints = [one_place()]

    def mark_due(self) -> None:
        """Put the row in its queue (the caller saves it)."""
        self.due_at, self.attempts, self.parked_at, self.last_error = queue_now(), 0, None, ""

    def put_back(self, reason: str) -> None:
        """Leave the row in its queue after a failure of this attempt, or park it after the last one."""
        if self.attempts >= MAX_ATTEMPTS:
            self.park(reason)
        else:
            self.due_at, self.last_error = queue_now() + backoff(self.attempts), reason[:2000]

    def park(self, reason: str) -> None:
        self.due_at, self.parked_at, self.last_error = None, queue_now(), reason[:2000]

    def save_queue_columns(self) -> None:
        """Write the queue's columns alone: not a change of the record, so it leaves no trace in its history."""
        type(self)._default_manager.filter(pk=self.pk).update(
            due_at=self.due_at, attempts=self.attempts, parked_at=self.parked_at, last_error=self.last_error
        )

    def put_off(self, delay: timedelta) -> None:
        """Leave the row in its queue, to be looked at again after `delay` (the caller saves it)."""
        self.mark_due()
        self.due_at = queue_now() + delay


def backoff(attempts: int) -> timedelta:
    """Time until a claimed row is due again when nobody settles it: doubling from the setting, at most an hour."""
    return min(timedelta(seconds=settings.WORK_BACKOFF_SECONDS) * 2 ** (attempts - 1), MAX_BACKOFF)
