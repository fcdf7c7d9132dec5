"""DataAcquisition: one request's readings, checked and stored in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from django.db import IntegrityError, transaction

from sensors import storage
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.models import ReadingBatch
from sensors.services import rejecting
from sensors.services.checking import Checked, check_readings
from sensors.signals import readings_ingested
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.prepared import PreparedInsert

# Once more for sensors that have no reading yet, once more where the latest reading is not the newest.
ATTEMPTS = 3


@dataclass
class Receipt:
    """What became of a request's readings: received = accepted + held + rejected."""

    received: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    held: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    """Places in the request of what was to fill gaps and found another reading of its moment; unchanged."""
    batch: ReadingBatch | None = None

    @property
    def rejected(self) -> int:
        return len(self.refusals)

    @property
    def accepted(self) -> int:
        return self.received - self.held - self.rejected


def ingest_readings(
    *,
    organization: Organization,
    parsed: ParsedReadings,
    api_key: ApiKey | None = None,
    all_or_nothing: bool = False,
    format: str = "",
    keep_rejected: bool = True,
    fills_gaps: bool = False,
) -> Receipt:
    """Store what can be stored, keep the rest for people to look at, and say what was wrong with it.

    With `all_or_nothing` one refused row keeps all others out too, and nothing at all is written. An exact replay
    changes nothing and causes no event. `format` is the wire format's name; a replay of kept refusals keeps none anew,
    and only `fills_gaps`: where there is a reading of that moment, it stays as it is.
    """
    checked = check_readings(organization=organization, parsed=parsed, api_key=api_key)
    receipt = Receipt(received=parsed.received, refusals=checked.refusals)
    if not receipt.received or (all_or_nothing and checked.refusals):
        return receipt
    if len(checked.rows):
        storage.make_partitions(checked.rows.ts_us.min(), checked.rows.ts_us.max())
    request = _Request(organization, api_key, parsed, format, keep_rejected, fills_gaps)
    first_of: Sequence[int] = ()
    is_latest_known = True
    for _ in range(ATTEMPTS):
        try:
            return _write(request, checked, receipt, first_of=first_of, is_latest_known=is_latest_known)
        except storage.FirstReadings as first:
            first_of = first.sensor_ids
        except IntegrityError:
            if not (is_latest_known and len(checked.rows)):
                raise
            # A sensor's latest reading is not its newest, say because somebody deleted that row by hand; or a month
            # that this process knew of was dropped by another.
            is_latest_known = False
            storage.make_partitions(checked.rows.ts_us.min(), checked.rows.ts_us.max(), anew=True)
    raise RuntimeError("The sensors of a request changed while it was stored.")


@dataclass(frozen=True)
class _Request:
    organization: Organization
    api_key: ApiKey | None
    parsed: ParsedReadings
    format: str
    keep_rejected: bool
    fills_gaps: bool


def _write(
    request: _Request, checked: Checked, receipt: Receipt, *, first_of: Sequence[int], is_latest_known: bool
) -> Receipt:
    rows, organization_id, received_at = checked.rows, request.organization.pk, clock.now()
    news = rows
    with transaction.atomic():
        if len(rows) and request.fills_gaps:
            is_stored, is_another = storage.lock_and_find_stored(
                rows, organization_id=organization_id, received_at=received_at, first_of=first_of
            )
            receipt.left_out = checked.index_of_row[is_another].tolist()
            rows = rows[~is_stored]
        if len(rows):
            receipt.inserted, receipt.updated, news = storage.store_readings(
                rows,
                organization_id=organization_id,
                received_at=received_at,
                is_historical=request.parsed.historical,
                first_of=first_of,
                is_latest_known=is_latest_known,
            )
        if checked.refusals and request.keep_rejected:
            receipt.refusals, receipt.held = rejecting.keep_rejected(
                organization=request.organization,
                api_key=request.api_key,
                parsed=request.parsed,
                refusals=checked.refusals,
                format=request.format,
            )
        receipt.unchanged = receipt.accepted - receipt.inserted - receipt.updated
        receipt.batch = _keep_batch(request, news if len(news) else rows, receipt)
    return receipt


@cache
def _batch_insert() -> PreparedInsert:
    return PreparedInsert(ReadingBatch)


def _keep_batch(request: _Request, rows: storage.Rows, receipt: Receipt) -> ReadingBatch:
    first, last = rows.spans()
    batch = ReadingBatch(
        organization=request.organization,
        api_key=request.api_key,
        format=request.format,
        is_historical=request.parsed.historical,
        received=receipt.received,
        inserted=receipt.inserted,
        updated=receipt.updated,
        unchanged=receipt.unchanged,
        held=receipt.held,
        rejected=receipt.rejected,
        refused_by_code=Counter(refusal.code for refusal in receipt.refusals),
        newest_at=storage.moment(rows.ts_us.max()) if len(rows) else None,
        sensor_ids=rows.sensor_ids[first].tolist(),
        first_us=rows.ts_us[first].tolist(),
        last_us=rows.ts_us[last].tolist(),
    )
    is_news = bool(receipt.inserted or receipt.updated)
    if is_news:
        batch.mark_due()
    _batch_insert().execute(batch)
    if is_news:
        readings_ingested.send(sender=ReadingBatch, batch=batch)
    return batch
