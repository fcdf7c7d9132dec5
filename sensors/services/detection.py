"""Detection on stored readings: what the agent `detect_anomalies` computes for its batches, and how that is kept.

What is new to a sensor's detector are the stored readings after the last one it scored, not the contents of a batch:
batches of one sensor can be done together, again, or not in order, with the same result. A sensor's result hangs on
each of the claimed batches that names it; the first that is settled keeps it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from sensors import storage
from sensors.detection.detector import DETECTOR_VERSION, detect
from sensors.detection.detector import DetectorState as Memory
from sensors.detection.excursions import Excursion
from sensors.detection.limits import Level, LimitSpec
from sensors.models import Anomaly, AnomalyStatus, DetectorState, ReadingBatch, Sensor
from sensors.signals import anomaly_detected

# How much of the past a detector that starts anew looks at: enough for the week's profile.
REBUILD = timedelta(days=60)
DESCRIPTION = ["limit", "level", "peak_at", "peak_value", "expected_value", "score", "ended_at"]
JUDGEMENT = ["status", "confidence", "validated_at", "reasons", "settled_by"]
QUEUE = ["due_at", "attempts", "parked_at", "last_error"]

log = structlog.get_logger(__name__)


@dataclass
class Touched:
    """A sensor in the claimed batches: which readings are new, and until when they page nobody."""

    sensor_id: int
    first_us: int
    last_us: int
    historical_until_us: int | None = None
    newest_live: ReadingBatch | None = None

    def add(self, first_us: int, last_us: int, *, batch: ReadingBatch) -> None:
        self.first_us, self.last_us = min(self.first_us, first_us), max(self.last_us, last_us)
        if batch.is_historical:
            self.add_history(last_us)
        else:
            self.newest_live = batch

    def add_history(self, last_us: int) -> None:
        self.historical_until_us = max(self.historical_until_us or last_us, last_us)


@dataclass
class SensorDetection:
    """What detection came to for one sensor. `quiet_until_us`: see `_quiet_until_us`."""

    touched: Touched
    sensor: Sensor
    state: DetectorState
    excursions: list[Excursion]
    quiet_until_us: int | None
    is_kept: bool = False

    def may_open_anomaly(self, excursion: Excursion) -> bool:
        if self.quiet_until_us is None:
            return False
        return excursion.ended_us is None or excursion.ended_us > self.quiet_until_us


@dataclass
class SensorFailure:
    """That the detection of one sensor failed; it stops no other sensor of its batches."""

    touched: Touched
    error: Exception


Outcome = SensorDetection | SensorFailure


def detect_in_batches(batches: Sequence[ReadingBatch]) -> list[list[Outcome]]:
    """Score the new readings of every sensor in `batches` (of one organisation); one list of outcomes per batch."""
    touched = _touched_sensors(batches)
    sensors = (
        Sensor.objects.filter(pk__in=touched)
        .select_related("detector_state")
        .prefetch_related("limits", "baselines")
        .order_by("pk")
    )
    outcomes = {sensor.pk: _attempt(sensor, touched[sensor.pk]) for sensor in sensors}
    return [
        [outcomes[sensor_id] for sensor_id in sorted(map(int, batch.spans)) if sensor_id in outcomes]
        for batch in batches
    ]


def _touched_sensors(batches: Sequence[ReadingBatch]) -> dict[int, Touched]:
    touched: dict[int, Touched] = {}
    for batch in batches:
        for key, (first_us, last_us) in batch.spans.items():
            spans = touched.setdefault(int(key), Touched(int(key), first_us, last_us))
            spans.add(first_us, last_us, batch=batch)
    # History that still waits, say after its worker was killed, pages nobody either.
    waiting = ReadingBatch.objects.pending().filter(
        organization__in={batch.organization_id for batch in batches},
        is_historical=True,
        spans__has_any_keys=[str(sensor_id) for sensor_id in touched],
    )
    for spans_of_batch in waiting.exclude(pk__in=[batch.pk for batch in batches]).values_list(
        "spans", flat=True
    ):
        for key, (_, last_us) in spans_of_batch.items():
            if int(key) in touched:
                touched[int(key)].add_history(last_us)
    return touched


def _attempt(sensor: Sensor, touched: Touched) -> Outcome:
    try:
        return _detect_in_sensor(sensor, touched)
    except Exception as error:
        return SensorFailure(touched, error)


def _detect_in_sensor(sensor: Sensor, touched: Touched) -> SensorDetection:
    state = getattr(sensor, "detector_state", None)
    baseline = max((baseline.started_at for baseline in sensor.baselines.all()), default=None)
    told_until = state.last_ts if state else None
    # Never less than was scored before: a late batch may be what has a detector start anew.
    until = max(filter(None, (storage.moment(touched.last_us), told_until)))
    memory, scored_until = _recall(state, baseline, until)
    limits = _limit_specs(sensor)
    excursions: dict[int, Excursion] = {}
    for rows in storage.read_in_blocks(sensor.pk, after=scored_until, until=until):
        memory, touched_excursions = detect(memory, rows.ts_us, rows.values, rows.quality, limits)
        excursions |= {excursion.excursion_id: excursion for excursion in touched_excursions}
        scored_until = storage.moment(rows.ts_us[-1])
    return SensorDetection(
        touched=touched,
        sensor=sensor,
        excursions=list(excursions.values()),
        quiet_until_us=_quiet_until_us(touched, told_until),
        state=DetectorState(
            sensor=sensor,
            organization_id=sensor.organization_id,
            version=DETECTOR_VERSION,
            baseline_started_at=baseline,
            last_ts=max(filter(None, (scored_until, told_until)), default=None),
            memory=(memory or Memory.empty()).to_bytes(),
        ),
    )


def _recall(
    state: DetectorState | None, baseline: datetime | None, until: datetime
) -> tuple[Memory | None, datetime | None]:
    """What is remembered and until when; nothing, from the baseline on, when that or the detector is a new one."""
    if state and state.version == DETECTOR_VERSION and state.baseline_started_at == baseline:
        return Memory.from_bytes(bytes(state.memory)), state.last_ts
    return None, max(baseline or until - REBUILD, until - REBUILD)


def _quiet_until_us(touched: Touched, told_until: datetime | None) -> int | None:
    """Excursions that were over by then open no anomaly: history pages nobody, and nothing is told twice.

    None when all that came is history: then not even an excursion that is still going on opens one.
    """
    historical_until_us = touched.historical_until_us or 0
    if touched.last_us <= historical_until_us:
        return None
    return max(historical_until_us, storage.microseconds(told_until) if told_until else 0)


def _limit_specs(sensor: Sensor) -> list[LimitSpec]:
    return [
        LimitSpec(
            level=cast(Level, limit.level),
            value=limit.value,
            dead_band=limit.dead_band,
            on_delay=limit.on_delay_s,
        )
        for limit in sensor.limits.all()
        if limit.is_active
    ]


def keep_detections(batch: ReadingBatch, outcomes: list[Outcome]) -> None:
    """Write what a batch's sensors came to: memory, rollups, anomalies. Runs in the batch's transaction.

    A sensor that fails keeps the batch in its queue; the others are kept all the same.
    """
    failures = [failure for outcome in outcomes if (failure := _keep(outcome)) is not None]
    for failure in failures:
        log.error(
            "detection_failed", sensor=failure.touched.sensor_id, batch=batch.pk, exc_info=failure.error
        )
    if failures:
        first = failures[0]
        batch.put_back(f"Sensor {first.touched.sensor_id}: {type(first.error).__name__}: {first.error}")
        batch.save_queue_columns()


def _keep(outcome: Outcome) -> SensorFailure | None:
    """Keep one sensor's result, once, in a savepoint of its own."""
    if isinstance(outcome, SensorFailure):
        return outcome
    if outcome.is_kept:
        return None
    try:
        with transaction.atomic():
            _write(outcome)
    except Exception as error:
        return SensorFailure(outcome.touched, error)
    transaction.on_commit(lambda: setattr(outcome, "is_kept", True))
    return None


def _write(detection: SensorDetection) -> None:
    DetectorState.objects.bulk_create(
        [detection.state],
        update_conflicts=True,
        unique_fields=["sensor"],
        update_fields=["version", "baseline_started_at", "last_ts", "memory"],
    )
    touched = detection.touched
    storage.refresh_rollups(
        touched.sensor_id, first=storage.moment(touched.first_us), last=storage.moment(touched.last_us)
    )
    if detection.excursions:
        _keep_anomalies(detection)


def _keep_anomalies(detection: SensorDetection) -> None:
    """Insert excursions as anomalies, or bring those that stand for them up to date."""
    starts = [storage.moment(excursion.started_us) for excursion in detection.excursions]
    # Locked: validation and people write to the same rows.
    known = {
        (anomaly.kind, anomaly.direction, anomaly.started_at): anomaly
        for anomaly in Anomaly.objects.select_for_update(no_key=True, of=("self",))
        .filter(Q(ended_at__isnull=True) | Q(started_at__in=starts), sensor=detection.sensor)
        .order_by("id")
    }
    for excursion, started_at in zip(detection.excursions, starts, strict=True):
        anomaly = known.get((excursion.kind, excursion.direction, started_at))
        if anomaly is not None:
            _update_anomaly(anomaly, detection.sensor, excursion)
        elif detection.may_open_anomaly(excursion):
            _open_anomaly(detection, excursion, started_at)


def _open_anomaly(detection: SensorDetection, excursion: Excursion, started_at: datetime) -> None:
    sensor = detection.sensor
    # One that was left open, by a detector that has forgotten it since, is over when another begins.
    Anomaly.objects.open().filter(sensor=sensor, kind=excursion.kind, direction=excursion.direction).update(
        ended_at=Greatest(F("started_at"), started_at)
    )
    anomaly = Anomaly(
        organization_id=sensor.organization_id,
        sensor=sensor,
        batch=detection.touched.newest_live,
        kind=excursion.kind,
        direction=excursion.direction,
        started_at=started_at,
        detector_version=DETECTOR_VERSION,
    )
    _describe(anomaly, sensor, excursion)
    anomaly.mark_due()
    anomaly.save()
    anomaly_detected.send(sender=Anomaly, anomaly=anomaly)


def _update_anomaly(anomaly: Anomaly, sensor: Sensor, excursion: Excursion) -> None:
    if anomaly.ended_at is not None:
        return
    changed = list(DESCRIPTION)
    if excursion.level != anomaly.level:
        _judge_again(anomaly)
        changed += JUDGEMENT + QUEUE
    _describe(anomaly, sensor, excursion)
    anomaly.save(update_fields=changed)


def _describe(anomaly: Anomaly, sensor: Sensor, excursion: Excursion) -> None:
    anomaly.limit = next((limit for limit in sensor.limits.all() if limit.level == excursion.level), None)
    anomaly.level = excursion.level
    anomaly.peak_at, anomaly.peak_value = storage.moment(excursion.peak_us), excursion.peak_value
    anomaly.expected_value, anomaly.score = excursion.expected, excursion.score
    anomaly.ended_at = None if excursion.ended_us is None else storage.moment(excursion.ended_us)


def _judge_again(anomaly: Anomaly) -> None:
    """A further limit was passed: what was said of the nearer one no longer holds."""
    anomaly.status, anomaly.confidence, anomaly.validated_at = AnomalyStatus.DETECTED, None, None
    anomaly.reasons, anomaly.settled_by = [], None
    anomaly.mark_due()
