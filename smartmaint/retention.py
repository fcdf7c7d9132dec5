"""Retention: rows that nobody keeps any longer go in bounded steps, none of which holds its locks for long."""

import time
from dataclasses import dataclass, field

from django.db import models, transaction

STEP_ROWS = 10_000
"""What one statement deletes at most: it holds its locks for some tens of milliseconds."""


@dataclass
class Dropped:
    """What a run of retention took away: whole parts of the readings (months or chunks), and rows."""

    parts: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    is_finished: bool = True
    """False when the time was up before everything old was gone."""

    @property
    def total(self) -> int:
        return self.parts + sum(self.rows.values())

    def count(self, table: str, rows: int) -> None:
        if rows:
            self.rows[table] = self.rows.get(table, 0) + rows


def drop_records(records: models.QuerySet, dropped: Dropped, *, deadline: float) -> None:
    """Delete records a step at a time until none is left or it is `deadline`, by `time.monotonic`.

    Locking looks at the condition once more, at the row as it is by then: one that came again meanwhile stays.
    """
    while True:
        if time.monotonic() >= deadline:
            dropped.is_finished = False
            return
        with transaction.atomic():
            locked = records.select_for_update(skip_locked=True, of=("self",))
            some = list(locked.values_list("pk", flat=True)[:STEP_ROWS])
            records.model._default_manager.filter(pk__in=some).delete()
        dropped.count(records.model._meta.db_table, len(some))
        if len(some) < STEP_ROWS:
            return
