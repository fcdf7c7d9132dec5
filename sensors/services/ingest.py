"""DataAcquisition: one request's readings, checked and stored in one transaction."""

from dataclasses import dataclass, field

import numpy as np
from django.db import transaction

from sensors import storage
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.models import ReadingBatch
from sensors.services.checking import check_readings
from sensors.signals import readings_ingested
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization


@dataclass
class Receipt:
    """What became of a request's readings: received = accepted + rejected."""

    received: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    batch: ReadingBatch | None = None

    @property
    def rejected(self) -> int:
        return len(self.refusals)

    @property
    def accepted(self) -> int:
        return self.received - self.rejected


def ingest_readings(
    *,
    organization: Organization,
    parsed: ParsedReadings,
    api_key: ApiKey | None = None,
    all_or_nothing: bool = False,
) -> Receipt:
    """Store what can be stored and say what was wrong with the rest.

    With `all_or_nothing` one refused row keeps all others out too. An exact replay changes nothing and causes no event.
    """
    rows, refusals = check_readings(organization=organization, parsed=parsed, api_key=api_key)
    receipt = Receipt(received=parsed.received, refusals=sorted(refusals, key=lambda refusal: refusal.index))
    if not len(rows) or (all_or_nothing and refusals):
        return receipt
    storage.make_partitions(rows.ts_us.min(), rows.ts_us.max())
    with transaction.atomic():
        storage.lock_sensors(np.unique(rows.sensor_ids))
        receipt.inserted, receipt.updated = storage.store_readings(rows)
        receipt.unchanged = receipt.accepted - receipt.inserted - receipt.updated
        storage.advance_latest(rows, organization_id=organization.pk, received_at=clock.now())
        receipt.batch = _keep_batch(organization, api_key, receipt, rows, is_historical=parsed.historical)
    return receipt


def _keep_batch(
    organization: Organization,
    api_key: ApiKey | None,
    receipt: Receipt,
    rows: storage.Rows,
    *,
    is_historical: bool,
) -> ReadingBatch:
    first, last = rows.boundaries()
    batch = ReadingBatch(
        organization=organization,
        api_key=api_key,
        is_historical=is_historical,
        received=receipt.received,
        inserted=receipt.inserted,
        updated=receipt.updated,
        unchanged=receipt.unchanged,
        rejected=receipt.rejected,
        spans={
            str(sensor): [int(from_us), int(to_us)]
            for sensor, from_us, to_us in zip(
                rows.sensor_ids[first], rows.ts_us[first], rows.ts_us[last], strict=True
            )
        },
    )
    is_news = bool(receipt.inserted or receipt.updated)
    if is_news:
        batch.mark_due()
    batch.save()
    if is_news:
        readings_ingested.send(sender=ReadingBatch, batch=batch)
    return batch
