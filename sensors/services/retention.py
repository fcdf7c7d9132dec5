"""How long what is measured is kept: parts are dropped whole where they can be, rows go in bounded steps."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, models, transaction
from django.db.models import Exists, OuterRef, Q

from sensors.ingest.checks import DAY_US, DEFAULT_WINDOW_PAST_US
from sensors.models import (
    AlarmEntry,
    AlarmState,
    Anomaly,
    IngestPolicy,
    ReadingBatch,
    RefusedRequests,
    RejectedReading,
)
from sensors.services.births import BIRTHS_KEPT, births_of_silent_nodes
from sensors.storage.kinds import kind
from smartmaint import clock
from smartmaint.retention import STEP_ROWS, Dropped, drop_records

COMPRESSED_AFTER = timedelta(days=14)
HOURLY_ROLLUPS_KEPT = timedelta(days=5 * 365)
"""Hours outlive the readings that they are made of; days are kept for ever."""
BATCHES_KEPT = timedelta(days=14)
REJECTED_KEPT = timedelta(days=90)
REFUSED_REQUESTS_KEPT = timedelta(days=90)

_OWNERS_WITH_OLD = """
    SELECT id FROM {owners} owner
    CROSS JOIN LATERAL (SELECT 1 FROM {table} WHERE {of} = owner.id AND {at} < %s LIMIT 1) old
    WHERE organization_id = %s ORDER BY id
"""
_STEP = """
    SELECT count(*), max({at}) FROM (
        SELECT {at} FROM {table} WHERE {of} = %s AND {at} < %s ORDER BY {at} FETCH FIRST %s ROWS WITH TIES
    ) step
"""
_DELETE_STEP = "DELETE FROM {table} WHERE {of} = %s AND {at} <= %s"


@dataclass(frozen=True)
class _Table:
    """A table whose rows are found by what they are of and their moment."""

    name: str
    at: str
    of: str = "sensor_id"
    owners: str = "sensors_sensor"

    def fill(self, sql: str) -> str:
        return sql.format(table=self.name, at=self.at, of=self.of, owners=self.owners)


READINGS = _Table("sensors_reading", "ts")
FIVE_MINUTES = _Table("sensors_fiveminuterollup", "started_at")
HOURS = _Table("sensors_hourlyrollup", "started_at")
EVENTS = _Table("sensors_machineevent", "at", of="equipment_id", owners="equipment_equipment")


@dataclass(frozen=True)
class _Old:
    """One sensor's, or one machine's, rows of a table before a moment."""

    table: _Table
    owner_id: int
    before: datetime


def window_past_us(retention_days: int) -> int:
    """How old a reading may be when it comes, in microseconds, for an organisation that keeps them so many days.

    A day less than they are kept: what is accepted stands for a day at least, and detection has that day to count it
    into the rollups before the readings beside it go.
    """
    return min(DEFAULT_WINDOW_PAST_US, (retention_days - 1) * DAY_US)


def drop_old_readings(*, budget_seconds: float) -> Dropped:
    """Take away what is older than its organisation keeps it; what is left when the time is up goes next time.

    What people look at stays: newest readings, anomalies, alarms, predictions and the days' rollups.
    """
    deadline = time.monotonic() + budget_seconds
    dropped, retentions = Dropped(), _retentions()
    if retentions:
        kind().compress_after(COMPRESSED_AFTER)
        dropped.parts = kind().drop_before(_day_before(max(retentions.values())))
    # First what there is least of: readings may take all the time there is, again and again.
    now = clock.now()
    drop_records(_done_rejected(before=now - REJECTED_KEPT), dropped, deadline=deadline)
    drop_records(
        RefusedRequests.objects.filter(hour__lt=now - REFUSED_REQUESTS_KEPT), dropped, deadline=deadline
    )
    drop_records(births_of_silent_nodes(before=now - BIRTHS_KEPT), dropped, deadline=deadline)
    for organization_id, kept in retentions.items():
        drop_records(_journals(organization_id, before=_day_before(kept)), dropped, deadline=deadline)
    drop_records(_settled_batches(before=now - BATCHES_KEPT), dropped, deadline=deadline - budget_seconds / 2)
    _delete_in_turn(deque(_old_rows(retentions)), dropped, deadline)
    return dropped


def longest_retention() -> timedelta | None:
    """How long the organisation that keeps its readings longest keeps them; None without organisations."""
    return max(_retentions().values(), default=None)


def _retentions() -> dict[int, timedelta]:
    """How long each organisation keeps its readings."""
    chosen = IngestPolicy.objects.values_list("organization_id", "retention_days")
    return {organization_id: timedelta(days=days) for organization_id, days in chosen}


def _day_before(age: timedelta) -> datetime:
    """The beginning of the UTC day `age` ago: only whole days go, or rollups could be made anew of half a day."""
    return (clock.now() - age).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _old_rows(retentions: dict[int, timedelta]) -> Iterator[_Old]:
    longest = max(retentions.values(), default=timedelta())
    for organization_id, kept in retentions.items():
        yield from _old_of(organization_id, EVENTS, kept)
        if kept < longest:
            yield from _old_of(organization_id, READINGS, kept)
        yield from _old_of(organization_id, FIVE_MINUTES, kept)
        yield from _old_of(organization_id, HOURS, max(kept, HOURLY_ROLLUPS_KEPT))


def _old_of(organization_id: int, table: _Table, kept: timedelta) -> Iterator[_Old]:
    before = _day_before(kept)
    with connection.cursor() as cursor:
        cursor.execute(table.fill(_OWNERS_WITH_OLD), [before, organization_id])
        owner_ids = [pk for (pk,) in cursor.fetchall()]
    for owner_id in owner_ids:
        yield _Old(table, owner_id, before)


def _delete_in_turn(waiting: deque[_Old], dropped: Dropped, deadline: float) -> None:
    """A step of each sensor in turn, so that a large one does not hold up all others."""
    while waiting:
        if time.monotonic() >= deadline:
            dropped.is_finished = False
            return
        old = waiting.popleft()
        deleted = _delete_step(old)
        dropped.count(old.table.name, deleted)
        if deleted >= STEP_ROWS:
            waiting.append(old)


def _delete_step(old: _Old) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        # A bitmap scan does not see what TimescaleDB unpacks for a DELETE, before PostgreSQL 17 (mended after 2.22).
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(old.table.fill(_STEP), [old.owner_id, old.before, STEP_ROWS])
        count, last_at = cursor.fetchone()
        cursor.execute(old.table.fill(_DELETE_STEP), [old.owner_id, last_at])
    return count


def _settled_batches(*, before: datetime) -> models.QuerySet:
    """Receipts that nothing waits for and no anomaly tells its story with."""
    told = Anomaly.objects.filter(batch=OuterRef("pk"))
    settled = ReadingBatch.objects.filter(due_at__isnull=True, parked_at__isnull=True, received_at__lt=before)
    return settled.filter(~Exists(told)).order_by("received_at", "id")


def _done_rejected(*, before: datetime) -> models.QuerySet:
    """All but those that are still held: their sender was told that they are safe."""
    is_done = Q(is_held=False) | Q(stored_at__isnull=False)
    return RejectedReading.objects.filter(is_done, received_at__lt=before).order_by("id")


def _journals(organization_id: int, *, before: datetime) -> models.QuerySet:
    """What alarms that were over before then say of themselves; what somebody wrote since stays until it is old too."""
    return AlarmEntry.objects.filter(
        organization_id=organization_id,
        at__lt=before,
        alarm__state=AlarmState.NORMAL,
        alarm__closed_at__lt=before,
    ).order_by("id")
