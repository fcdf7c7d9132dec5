"""Which sensors have news for detection, and what of it pages nobody."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from sensors.models import ReadingBatch
from sensors.storage import APART_US


@dataclass
class Touched:
    """A sensor in the claimed batches: which readings are new, and until when they page nobody.

    `spans_us` are the first and last moments of what came; what lies `APART_US` from the span before it has one of its
    own, so that a late reading beside live ones has nothing counted anew that lies between.
    """

    sensor_id: int
    spans_us: list[tuple[int, int]] = field(default_factory=list)
    historical_until_us: int | None = None
    newest_live: ReadingBatch | None = None

    @property
    def first_us(self) -> int:
        return min(first_us for first_us, _ in self.spans_us)

    @property
    def last_us(self) -> int:
        return max(last_us for _, last_us in self.spans_us)

    def add(self, first_us: int, last_us: int, *, batch: ReadingBatch) -> None:
        before = self.spans_us[-1] if self.spans_us else None
        if before and first_us - before[1] <= APART_US and before[0] - last_us <= APART_US:
            self.spans_us[-1] = (min(before[0], first_us), max(before[1], last_us))
        else:
            self.spans_us.append((first_us, last_us))
        if batch.is_historical:
            self.add_history(last_us)
        else:
            self.newest_live = batch

    def add_history(self, last_us: int) -> None:
        self.historical_until_us = max(self.historical_until_us or last_us, last_us)


def touched_sensors(batches: Sequence[ReadingBatch]) -> dict[int, Touched]:
    """The sensors in `batches` (of one organisation), each with what came of it."""
    touched: dict[int, Touched] = {}
    for batch in batches:
        for sensor_id, first_us, last_us in batch.spans():
            if sensor_id not in touched:
                touched[sensor_id] = Touched(sensor_id)
            touched[sensor_id].add(first_us, last_us, batch=batch)
    # History that still waits or was given up, say after its worker was killed, pages nobody either.
    waiting = ReadingBatch.objects.filter(
        Q(due_at__isnull=False) | Q(parked_at__isnull=False),
        organization__in={batch.organization_id for batch in batches},
        is_historical=True,
        sensor_ids__overlap=list(touched),
    )
    others = waiting.exclude(pk__in=[batch.pk for batch in batches]).values_list("sensor_ids", "last_us")
    for ids_of_other, until_of_other in others.iterator(chunk_size=100):
        for sensor_id, until_us in zip(ids_of_other, until_of_other, strict=True):
            if sensor_id in touched:
                touched[sensor_id].add_history(until_us)
    return touched
