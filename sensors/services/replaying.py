"""Sending kept readings through the ingest again, once the cause of their refusal is mended."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from sensors import storage
from sensors.ingest.fields import GOOD
from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, Refusal, from_columns
from sensors.models import RejectedReading, UnknownSensor
from sensors.models.ingest import RejectedReadingQuerySet
from sensors.services.ingest import ingest_readings
from sensors.services.rejecting import Sender, lock_rejected, senders
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, User

FORMAT = "replay"

log = structlog.get_logger(__name__)

# A row that came again meanwhile, perhaps with another value, stays: it was not this one that was stored.
_SETTLE = """
    UPDATE sensors_rejectedreading kept SET stored_at = %s
    FROM unnest(%s::bigint[], %s::integer[]) AS seen(id, times)
    WHERE kept.id = seen.id AND kept.times = seen.times AND kept.stored_at IS NULL
"""
_EXPLAIN = """
    UPDATE sensors_rejectedreading kept SET code = seen.code, detail = left(seen.detail, 300)
    FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::text[]) AS seen(id, times, code, detail)
    WHERE kept.id = seen.id AND kept.times = seen.times AND kept.stored_at IS NULL
"""


@dataclass
class ReplayReport:
    """What became of replayed readings: how many were stored, and the refused again by code."""

    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        if not self.stored and not self.refused:
            return "There was nothing to store: nothing waits that could be read."
        words = f"{self.stored:,} stored"
        if self.refused:
            reasons = ", ".join(f"{count:,} × {code}" for code, count in self.refused.most_common())
            words += f"; {self.refused.total():,} refused again: {reasons}"
        return f"{words}."


def replay_rejected(rejected: RejectedReadingQuerySet, *, by: User | None) -> ReplayReport:
    """Store what waits among `rejected` (not sliced) and can be stored now, as late data that pages nobody.

    The checks are those of any request, the restrictions of the sender's key included. What is refused again stays,
    with the new reason. One sender after another, each in its order of arrival, so the last of a sender's values for a
    moment wins, also over what is stored already.

    No row is locked meanwhile, for requests lock their sensors first and kept rows last. Storing twice changes nothing,
    so two replays at once, or one that died half-way and is started again, end with the same rows; each counts what it
    settled itself.
    """
    report = ReplayReport()
    replayable = rejected.replayable()
    for sender in senders(replayable):
        of_sender = replayable.filter(organization=sender.organization_id, api_key=sender.api_key_id)
        pks = list(of_sender.order_by("received_at", "pk").values_list("pk", flat=True))
        for start in range(0, len(pks), MAX_READINGS):
            _replay_block(sender, pks[start : start + MAX_READINGS], report)
    log.info(
        "rejected_readings_replayed", by=by.pk if by else None, stored=report.stored, refused=report.refused
    )
    return report


def _replay_block(sender: Sender, pks: list[int], report: ReplayReport) -> None:
    waiting = RejectedReading.objects.replayable().filter(pk__in=pks).order_by("received_at", "pk")
    rows: list[dict[str, Any]] = [
        dict(row) for row in waiting.values("pk", "times", "sensor_key", "ts", "value", "quality", "unit")
    ]
    if not rows:
        return
    receipt = ingest_readings(
        organization=Organization.objects.get(pk=sender.organization_id),
        parsed=_parsed(rows),
        api_key=ApiKey.objects.filter(pk=sender.api_key_id).first(),
        format=FORMAT,
        keep_rejected=False,
    )
    _settle(sender, rows, receipt.refusals, report)


def _parsed(rows: list[dict[str, Any]]) -> ParsedReadings:
    return from_columns(
        keys=[row["sensor_key"] for row in rows],
        ts_us=[storage.microseconds(row["ts"]) for row in rows],
        values=[np.nan if row["value"] is None else row["value"] for row in rows],
        quality=[GOOD if row["quality"] is None else row["quality"] for row in rows],
        units=[row["unit"] or None for row in rows],
        historical=True,
    )


def _settle(
    sender: Sender, rows: list[dict[str, Any]], refusals: list[Refusal], report: ReplayReport
) -> None:
    refused = {refusal.index: refusal for refusal in refusals}
    stored = [row for index, row in enumerate(rows) if index not in refused]
    again = [rows[index] for index in refused]
    with transaction.atomic(), connection.cursor() as cursor:
        lock_rejected(*sender)
        cursor.execute(
            _SETTLE, [clock.now(), [row["pk"] for row in stored], [row["times"] for row in stored]]
        )
        report.stored += cursor.rowcount
        cursor.execute(
            _EXPLAIN,
            [
                [row["pk"] for row in again],
                [row["times"] for row in again],
                [refusal.code for refusal in refused.values()],
                [refusal.detail for refusal in refused.values()],
            ],
        )
        _clear_inbox(sender.organization_id, {row["sensor_key"] for row in stored})
    report.refused.update(refusal.code for refusal in refused.values())


def _clear_inbox(organization_id: int, keys: set[str]) -> None:
    """Take out the lines of keys that have a sensor by now and for which nothing waits."""
    waiting = RejectedReading.objects.waiting().filter(
        organization=organization_id, sensor_key=OuterRef("key")
    )
    done = UnknownSensor.objects.filter(~Exists(waiting), organization=organization_id, key__in=keys)
    # One that a request has locked comes again just now, and stays.
    pks = done.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    UnknownSensor.objects.filter(pk__in=list(pks)).delete()
