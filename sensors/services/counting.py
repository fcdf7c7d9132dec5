"""What the agent `count_events` does with a marked count: it writes what changed as readings of the count's sensor.

A reading stands at each moment at which an event came, and at which one left the window. What is stored already is
written again only where it was wrong, so that doing it twice changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.text import slugify

from sensors import storage
from sensors.counting import Happened, Moments, count_at
from sensors.ingest.parsed import from_columns
from sensors.models import EventCount, EventRule, IngestPolicy, Level, Limit, MachineEvent, Reading, Sensor
from sensors.services.ingest import ingest_readings
from sensors.services.retention import window_past_us
from smartmaint import clock

QUANTITY, UNIT, FORMAT = "event count", "1", "event count"
# What is longer ago came late, or from a file: it is history, and pages nobody.
RECENT = timedelta(days=2)
# So many moments are counted at once, however many events there are.
MOMENTS_AT_ONCE = 5_000
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class _Window:
    """The events that count by a moment: those of the machine within the rule's time, and since its last repair."""

    events: QuerySet[MachineEvent]
    length: timedelta
    repaired_at: datetime | None

    def before(self, moment: datetime) -> QuerySet[MachineEvent]:
        """Those that can count at that moment or later."""
        start = moment - self.length
        return self.events.filter(at__gt=start if self.repaired_at is None else max(start, self.repaired_at))

    def count(self, moment: datetime) -> int:
        return self.before(moment).filter(at__lte=moment).count()

    def next_change(self, now: datetime) -> datetime | None:
        """When the count changes without another event's coming: one leaves, or the controller's clock is ahead."""
        oldest = self.before(now).filter(at__lte=now).order_by("at").values_list("at", flat=True).first()
        ahead = self.events.filter(at__gt=now).order_by("at").values_list("at", flat=True).first()
        return min(filter(None, (oldest and oldest + self.length, ahead)), default=None)


class _Step(NamedTuple):
    """Counts at some moments, shape (k,), and from where the next step goes on; None after the last one."""

    ts_us: Moments
    counts: npt.NDArray[np.int64]
    goes_on_from: datetime | None


def tell_count(count: EventCount) -> datetime | None:
    """Write what changed of a count since it was marked; returns when it will change by itself."""
    rule, now = count.rule, clock.now()
    is_watched = rule.watches(count.equipment.equipment_class_id)
    events = MachineEvent.objects.filter(rule.counted, equipment=count.equipment_id)
    window = _Window(
        events if is_watched else MachineEvent.objects.none(), rule.window, count.last_repair(until=now)
    )
    # A rule that is switched off ends now: what it had counted was so.
    since = max(count.recount_from or now, _oldest(count, now)) if is_watched else now
    since = max(filter(None, (since, window.repaired_at)))
    if count.sensor_id is None and not window.before(since).filter(at__lte=now).exists():
        return window.next_change(now)
    sensor = _sensor_of(count)
    if not sensor.is_active:
        return None
    is_changed = _keep_in_step(sensor, rule)
    is_behind = _tell_changes(sensor, window, since, now)
    if is_changed or is_behind:
        # Detection looks at what was measured before the newest reading once an hour only: tell it what holds now.
        _write(sensor, np.array([storage.microseconds(now)]), np.array([window.count(now)]), historical=False)
    return window.next_change(now)


def keep_count(count: EventCount, next_change_at: datetime | None) -> None:
    """Note that a count is told, and when it changes next. Runs in the count's transaction."""
    count.recount_from, count.next_change_at = None, next_change_at
    count.save(update_fields=["recount_from", "next_change_at"])


def _oldest(count: EventCount, now: datetime) -> datetime:
    """How far back readings are taken."""
    policy = IngestPolicy.objects.get(organization=count.organization_id)
    return now - window_past_us(policy.retention_days) * MICROSECOND + timedelta(minutes=1)


@transaction.atomic
def _sensor_of(count: EventCount) -> Sensor:
    """The count's sensor, made when there is none yet; people may call it differently later."""
    locked = EventCount.objects.select_for_update(no_key=True).get(pk=count.pk)
    if locked.sensor is None:
        rule = locked.rule
        key = f"{locked.equipment.tag}/events/{slugify(rule.name, allow_unicode=True) or rule.pk}"
        if Sensor.objects.filter(organization=rule.organization_id, key=key).exists():
            key = f"{key}-{rule.pk}"
        locked.sensor = Sensor.objects.create(
            organization_id=rule.organization_id,
            equipment=locked.equipment,
            key=key,
            name=rule.name,
            quantity=QUANTITY,
            unit=UNIT,
            expected_interval_s=rule.window.total_seconds(),
        )
        locked.save(update_fields=["sensor"])
    return locked.sensor


@transaction.atomic
def _keep_in_step(sensor: Sensor, rule: EventRule) -> bool:
    """Let the sensor's limit be what the rule says; returns whether it was not."""
    wanted = {"value": float(rule.times), "failure_mode_id": rule.failure_mode_id}
    limit, is_new = Limit.objects.get_or_create(
        sensor=sensor, level=Level.HIGH, defaults={"organization_id": sensor.organization_id, **wanted}
    )
    if is_new or all(getattr(limit, name) == value for name, value in wanted.items()):
        return False
    for name, value in wanted.items():
        setattr(limit, name, value)
    limit.save()
    return True


def _tell_changes(sensor: Sensor, window: _Window, since: datetime, now: datetime) -> bool:
    """Write what changed since then, a step at a time; returns whether that was behind what detection has seen."""
    newest = Reading.objects.filter(sensor=sensor).order_by("-ts").values_list("ts", flat=True).first()
    live_from_us = storage.microseconds(now - RECENT)
    seen_us = live_from_us if newest is None else max(live_from_us, storage.microseconds(newest) + 1)
    is_behind, goes_on_from = False, since
    while goes_on_from is not None:
        ts_us, counts, goes_on_from = _step(sensor, window, goes_on_from, now)
        is_history = ts_us < live_from_us
        for which, historical in ((is_history, True), (~is_history, False)):
            _write(sensor, ts_us[which], counts[which], historical=historical)
        is_behind |= bool((ts_us < seen_us).any())
    return is_behind


def _step(sensor: Sensor, window: _Window, since: datetime, now: datetime) -> _Step:
    """What of the count has to be written from a moment on."""
    since_us, window_us = storage.microseconds(since), window.length // MICROSECOND
    counting = window.before(since)
    arriving = _happened(counting.filter(at__gte=since, at__lte=now))
    leaving = _happened(counting.filter(at__lte=now - window.length))
    ends_us = [storage.microseconds(now)]
    ends_us += [arriving.ts_us[-1]] if len(arriving.ts_us) > MOMENTS_AT_ONCE else []
    ends_us += [leaving.ts_us[-1] + window_us] if len(leaving.ts_us) > MOMENTS_AT_ONCE else []
    until_us = int(min(ends_us))
    stored = storage.read_readings(sensor.pk, after=since - MICROSECOND, until=storage.moment(until_us))
    changes = np.r_[arriving.ts_us, leaving.ts_us + window_us]
    ts_us = np.unique(np.r_[since_us, changes, stored.ts_us])
    ts_us = ts_us[ts_us <= until_us]
    before = counting.filter(at__lt=since).count()
    counts = count_at(ts_us, before=before, arriving=arriving, leaving=leaving, window_us=window_us)
    is_wrong = np.isin(ts_us, changes)
    if since_us not in changes:
        is_wrong[0] = counts[0] != _value_before(sensor, since)
    is_stored = np.isin(ts_us, stored.ts_us)
    is_wrong[is_stored] = counts[is_stored] != stored.values
    is_last = len(ends_us) == 1
    return _Step(
        ts_us[is_wrong], counts[is_wrong], None if is_last else storage.moment(until_us) + MICROSECOND
    )


def _happened(events: QuerySet[MachineEvent]) -> Happened:
    """When these happened; one moment more than are counted at once where there are more."""
    at = events.order_by("at").values("at").annotate(events=Count("pk")).values_list("at", "events")
    found = list(at[: MOMENTS_AT_ONCE + 1])
    return Happened(
        np.array([storage.microseconds(moment) for moment, _ in found], dtype=np.int64),
        np.array([number for _, number in found], dtype=np.int64),
    )


def _value_before(sensor: Sensor, moment: datetime) -> float:
    before = Reading.objects.filter(sensor=sensor, ts__lt=moment).order_by("-ts")
    return before.values_list("value", flat=True).first() or 0.0


def _write(sensor: Sensor, ts_us: Moments, counts: npt.NDArray[np.int64], *, historical: bool) -> None:
    if len(ts_us):
        parsed = from_columns(
            keys=[sensor.key] * len(ts_us),
            ts_us=ts_us,
            values=counts.astype(np.float64),
            historical=historical,
        )
        ingest_readings(organization=sensor.organization, parsed=parsed, format=FORMAT, keep_rejected=False)
