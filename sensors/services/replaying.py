"""Sending kept readings through the ingest again, once the cause of their refusal is mended."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber

from sensors import storage
from sensors.ingest.fields import GOOD
from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, from_columns
from sensors.models import RejectedReading, UnknownSensor
from sensors.models.ingest import RejectedReadingQuerySet
from sensors.services.ingest import Receipt, ingest_readings
from sensors.services.origins import Origin, lock_rejected
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, User

FORMAT = "replay"
ALREADY_STORED = "already_stored"

log = structlog.get_logger(__name__)

# A row that came again meanwhile, perhaps with another value, stays: it was not this one that was stored.
_SETTLE = """
    UPDATE sensors_rejectedreading kept SET stored_at = %s, code = coalesce(%s, code), detail = coalesce(%s, detail)
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
    """What became of replayed readings: how many were stored, or left out, and the refused again by code."""

    stored: int = 0
    left_out: int = 0
    """There was another reading of their moment."""
    refused: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        if not self.stored and not self.left_out and not self.refused:
            return "There was nothing to store: nothing waits that could be read."
        words = f"{self.stored:,} stored"
        if self.left_out:
            words += f"; {self.left_out:,} left out, as another reading of their moment was stored already"
        if self.refused:
            reasons = ", ".join(f"{count:,} × {code}" for code, count in self.refused.most_common())
            words += f"; {self.refused.total():,} refused again: {reasons}"
        return f"{words}."


def replay_rejected(rejected: RejectedReadingQuerySet, *, by: User | None) -> ReplayReport:
    """Store what waits among `rejected` (not sliced) and can be stored now, as late data that pages nobody.

    The checks are those of any request, the restrictions of the sender's key included. What is refused again stays,
    with the new reason. A replay only fills gaps: a reading that is there may have been corrected since, and stays. Of
    several that wait for one key and moment the one that came last is stored, whoever sent it.

    No row is locked meanwhile, for requests lock their sensors first and kept rows last. Storing twice changes nothing,
    and what is there as it was kept counts as stored: so two replays at once, or one that died half-way and is started
    again, end with the same rows. None counts what another one settled.
    """
    report = ReplayReport()
    replayable = rejected.replayable()
    for origin, pks in _in_order(replayable):
        for start in range(0, len(pks), MAX_READINGS):
            _replay_block(origin, pks[start : start + MAX_READINGS], report)
    log.info(
        "rejected_readings_replayed",
        by=by.pk if by else None,
        stored=report.stored,
        left_out=report.left_out,
        refused=report.refused,
    )
    return report


def _in_order(replayable: RejectedReadingQuerySet) -> Iterator[tuple[Origin, list[int]]]:
    """First of each key and moment what came last, by sender; then what came before that, and so on."""
    overtaken_by = Window(
        RowNumber(),
        partition_by=[F("organization_id"), F("sensor_key"), F("ts")],
        order_by=[F("received_at").desc(), F("pk").desc()],
    )
    rows = sorted(
        (nth, organization_id, api_key_id or 0, received_at, pk)
        for nth, organization_id, api_key_id, received_at, pk in replayable.order_by()
        .annotate(nth=overtaken_by)
        .values_list("nth", "organization_id", "api_key_id", "received_at", "pk")
    )
    for (_, organization_id, api_key_id), of_origin in groupby(rows, key=itemgetter(0, 1, 2)):
        yield Origin(organization_id, api_key_id or None), [row[-1] for row in of_origin]


def _replay_block(origin: Origin, pks: list[int], report: ReplayReport) -> None:
    waiting = RejectedReading.objects.replayable().filter(pk__in=pks).order_by("received_at", "pk")
    rows: list[dict[str, Any]] = [
        dict(row) for row in waiting.values("pk", "times", "sensor_key", "ts", "value", "quality", "unit")
    ]
    if not rows:
        return
    receipt = ingest_readings(
        organization=Organization.objects.get(pk=origin.organization_id),
        parsed=_parsed(rows),
        api_key=ApiKey.objects.filter(pk=origin.api_key_id).first(),
        format=FORMAT,
        keep_rejected=False,
        fills_gaps=True,
    )
    _settle(origin, rows, receipt, report)
    report.refused.update(refusal.code for refusal in receipt.refusals)


def _parsed(rows: list[dict[str, Any]]) -> ParsedReadings:
    return from_columns(
        keys=[row["sensor_key"] for row in rows],
        ts_us=[storage.microseconds(row["ts"]) for row in rows],
        values=[np.nan if row["value"] is None else row["value"] for row in rows],
        quality=[GOOD if row["quality"] is None else row["quality"] for row in rows],
        units=[row["unit"] or None for row in rows],
        historical=True,
    )


def _settle(origin: Origin, rows: list[dict[str, Any]], receipt: Receipt, report: ReplayReport) -> None:
    refused = {refusal.index: refusal for refusal in receipt.refusals}
    left_out = [rows[index] for index in receipt.left_out]
    done = set(range(len(rows))) - refused.keys() - set(receipt.left_out)
    stored = [rows[index] for index in sorted(done)]
    again = [rows[index] for index in refused]
    there = (ALREADY_STORED, "Another reading of that moment was stored already, and stayed.")
    with transaction.atomic(), connection.cursor() as cursor:
        lock_rejected(*origin)
        settled_by_another = set(
            RejectedReading.objects.filter(
                pk__in=[row["pk"] for row in stored + left_out], stored_at__isnull=False
            ).values_list("pk", flat=True)
        )
        report.stored += sum(row["pk"] not in settled_by_another for row in stored)
        report.left_out += sum(row["pk"] not in settled_by_another for row in left_out)
        for settled, why in ((stored, (None, None)), (left_out, there)):
            cursor.execute(
                _SETTLE,
                [clock.now(), *why, [row["pk"] for row in settled], [row["times"] for row in settled]],
            )
        cursor.execute(
            _EXPLAIN,
            [
                [row["pk"] for row in again],
                [row["times"] for row in again],
                [refusal.code for refusal in refused.values()],
                [refusal.detail for refusal in refused.values()],
            ],
        )
        _clear_inbox(origin.organization_id, {row["sensor_key"] for row in stored + left_out})


def _clear_inbox(organization_id: int, keys: set[str]) -> None:
    """Take out the lines of keys that have a sensor by now and for which nothing waits."""
    waiting = RejectedReading.objects.waiting().filter(
        organization=organization_id, sensor_key=OuterRef("key")
    )
    lines = UnknownSensor.objects.filter(organization=organization_id, key__in=keys)
    # One that a request has locked comes again just now, and stays. What waits is looked for once the lines are locked.
    pks = lines.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    UnknownSensor.objects.filter(~Exists(waiting), pk__in=list(pks)).delete()
