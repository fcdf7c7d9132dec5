"""Machine events of one request, checked and stored in one transaction; news makes validation look again, and rules
count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from django.db import connection, transaction

from equipment.models import Equipment
from sensors import storage
from sensors.ingest.checks import DEFAULT_WINDOW_FUTURE_US, refuse_outside_window
from sensors.ingest.events import EventRow, ParsedEvents
from sensors.ingest.parsed import Refusal
from sensors.models import IngestPolicy
from sensors.services.checking import allowed_equipment
from sensors.services.event_counts import Stored, mark_counts
from sensors.services.facts import TELLING_EVENTS
from sensors.services.reopening import reopen_for_events
from sensors.services.retention import window_past_us
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization

# In one order, so that requests that name the same events wait and do not deadlock.
_STORE = """
    INSERT INTO sensors_machineevent AS known
        (organization_id, equipment_id, kind, code, at, message, api_key_id, received_at)
    SELECT %(organization)s, equipment, kind, code, 'epoch'::timestamptz + ts_us * interval '1 microsecond', message,
           %(api_key)s, %(received_at)s
    FROM json_to_recordset(%(events)s) AS (equipment bigint, kind text, code text, ts_us bigint, message text)
    ORDER BY equipment, code, ts_us
    ON CONFLICT (equipment_id, code, at) DO UPDATE
    SET kind = excluded.kind, message = excluded.message, api_key_id = excluded.api_key_id,
        received_at = excluded.received_at
    WHERE (known.kind, known.message) IS DISTINCT FROM (excluded.kind, excluded.message)
    RETURNING xmax = 0, equipment_id, code, kind, at
"""


@dataclass
class EventReceipt:
    """What became of a request's events: received = accepted + rejected."""

    received: int
    inserted: int = 0
    updated: int = 0
    accepted: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        return self.accepted - self.inserted - self.updated


def record_events(
    *,
    organization: Organization,
    parsed: ParsedEvents,
    api_key: ApiKey | None = None,
    all_or_nothing: bool = False,
) -> EventReceipt:
    """Store what can be stored, and say what was wrong with the rest.

    The same event again changes nothing; with another kind or message the last one wins. With `all_or_nothing` one
    refused row keeps all others out too.
    """
    known, refusals = _check(organization, parsed, api_key)
    refusals = sorted([*parsed.refusals, *refusals], key=lambda refusal: refusal.index)
    receipt = EventReceipt(received=parsed.received, refusals=refusals)
    if not known or (all_or_nothing and refusals):
        return receipt
    receipt.accepted = len(known)
    with transaction.atomic():
        stored = _store(organization, known, api_key)
        receipt.inserted = sum(is_new for is_new, *_ in stored)
        receipt.updated = len(stored) - receipt.inserted
        reopen_for_events(
            (equipment_id, at) for _, equipment_id, _, kind, at in stored if kind in TELLING_EVENTS
        )
        mark_counts(organization, stored)
    return receipt


def _check(
    organization: Organization, parsed: ParsedEvents, api_key: ApiKey | None
) -> tuple[list[tuple[int, EventRow]], list[Refusal]]:
    """The events to store, each with its machine's id, and the refusals of the others."""
    tags = Equipment.objects.for_organization(organization).filter(
        tag__in={row.equipment for row in parsed.rows}
    )
    machines = dict(tags.values_list("tag", "pk"))
    allowed = allowed_equipment(api_key) if api_key is not None else None
    known, refusals = [], []
    for row in parsed.rows:
        machine = machines.get(row.equipment)
        if machine is None:
            detail = f'There is no machine "{row.equipment}".'
            refusals.append(Refusal(row.index, "unknown_equipment", detail))
        elif allowed is not None and machine not in allowed:
            detail = f'This key may not post for "{row.equipment}".'
            refusals.append(Refusal(row.index, "forbidden_equipment", detail))
        else:
            known.append((machine, row))
    return _refuse_outside_window(organization, known, refusals)


def _refuse_outside_window(
    organization: Organization, known: list[tuple[int, EventRow]], refusals: list[Refusal]
) -> tuple[list[tuple[int, EventRow]], list[Refusal]]:
    now_us = storage.microseconds(clock.now())
    retention_days = IngestPolicy.objects.get(organization=organization).retention_days
    is_inside, outside = refuse_outside_window(
        row=np.arange(len(known)),
        index=np.array([row.index for _, row in known], dtype=np.int64),
        ts_us=np.array([row.ts_us for _, row in known], dtype=np.int64),
        window_from_us=now_us - window_past_us(retention_days),
        window_to_us=now_us + DEFAULT_WINDOW_FUTURE_US,
    )
    inside = [one for one, is_good in zip(known, is_inside, strict=True) if is_good]
    return inside, [*refusals, *outside]


def _store(
    organization: Organization, known: Sequence[tuple[int, EventRow]], api_key: ApiKey | None
) -> list[Stored]:
    """The events that were news."""
    last_of_each = {(machine, row.code, row.ts_us): row for machine, row in known}
    events = [
        {"equipment": machine, "kind": row.kind, "code": code, "ts_us": ts_us, "message": row.message}
        for (machine, code, ts_us), row in last_of_each.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            {
                "organization": organization.pk,
                "api_key": None if api_key is None else api_key.pk,
                "received_at": clock.now(),
                "events": msgspec.json.encode(events).decode(),
            },
        )
        return cursor.fetchall()
