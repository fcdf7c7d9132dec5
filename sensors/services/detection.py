"""Detection on stored readings: what the agent `detect_anomalies` computes for its batches, and how that is kept.

What is new to a sensor's detector are the stored readings after the last one it scored, not the contents of a batch:
batches of one sensor can be done together, again, or not in order, with the same result. A sensor's result hangs on
each of the claimed batches that names it; the first that is settled keeps it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, cast

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
from sensors.models.ingest import LONGEST_LOOK_BACK_DAYS
from sensors.signals import anomaly_detected, anomaly_ended
from sensors.storage import APART_US
from smartmaint import clock

# How much of the past a detector that starts anew looks at: enough for the week's profile.
REBUILD = timedelta(days=60)
# Bounds on memory: so many sensors at once, and at first so many readings of each.
SENSORS_AT_ONCE = 500
READINGS_AT_ONCE = 2_000
DESCRIPTION = ["limit", "level", "peak_at", "peak_value", "expected_value", "score", "ended_at"]
JUDGEMENT = ["status", "confidence", "validated_at", "reasons", "settled_by"]
QUEUE = ["due_at", "attempts", "parked_at", "last_error"]

log = structlog.get_logger(__name__)


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


@dataclass
class SensorDetection:
    """What detection came to for one sensor. `quiet_until_us`: see `_quiet_until_us`."""

    touched: Touched
    sensor: Sensor
    state: DetectorState
    excursions: list[Excursion]
    quiet_until_us: int | None
    told_until: datetime | None
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


@dataclass
class _Watched:
    """A sensor before its new readings are scored: `told_until` is how far that went before."""

    touched: Touched
    sensor: Sensor
    baseline: datetime | None
    told_until: datetime | None
    memory: Memory | None
    scored_until: datetime | None
    until: datetime


def detect_in_batches(batches: Sequence[ReadingBatch]) -> list[list[Outcome]]:
    """Score the new readings of every sensor in `batches` (of one organisation); one list of outcomes per batch."""
    touched = _touched_sensors(batches)
    outcomes: dict[int, Outcome] = {}
    for sensor_ids in _chunks(sorted(touched), SENSORS_AT_ONCE):
        sensors = (
            Sensor.objects.filter(pk__in=sensor_ids)
            .select_related("detector_state")
            .prefetch_related("limits", "baselines")
            .order_by("pk")
        )
        watched = [_attempt(_watch, sensor, touched[sensor.pk]) for sensor in sensors]
        rows = _read([one for one in watched if isinstance(one, _Watched)])
        for one in watched:
            if isinstance(one, _Watched):
                one = _attempt(_detect_in_sensor, one, rows[one.sensor.pk], one.touched)
            outcomes[one.touched.sensor_id] = one
    return [
        [outcomes[sensor_id] for sensor_id in batch.sensor_ids if sensor_id in outcomes] for batch in batches
    ]


def _chunks(sensor_ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (sensor_ids[begin : begin + size] for begin in range(0, len(sensor_ids), size))


def _touched_sensors(batches: Sequence[ReadingBatch]) -> dict[int, Touched]:
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


def _attempt(do: Callable[..., Any], subject: Any, *arguments: Any) -> Any:
    """What `do` comes to, or the failure of the sensor that the last argument tells of."""
    try:
        return do(subject, *arguments)
    except Exception as error:
        return SensorFailure(arguments[-1], error)


def _watch(sensor: Sensor, touched: Touched) -> _Watched:
    state = getattr(sensor, "detector_state", None)
    baseline = max((baseline.started_at for baseline in sensor.baselines.all()), default=None)
    told_until = state.last_ts if state else None
    # Never less than was scored before: a late batch may be what has a detector start anew.
    until = max(filter(None, (storage.moment(touched.last_us), told_until)))
    memory, scored_until = _recall(state, baseline, until)
    return _Watched(touched, sensor, baseline, told_until, memory, scored_until, until)


def _read(watched: Sequence[_Watched]) -> dict[int, storage.Rows]:
    """The first new readings of each sensor, all with one query."""
    if not watched:
        return {}
    spans = [(one.sensor.pk, one.scored_until, one.until) for one in watched]
    found = storage.read_many(spans, most=READINGS_AT_ONCE)
    return {one.sensor.pk: found.get(one.sensor.pk, storage.NO_ROWS) for one in watched}


def _detect_in_sensor(watched: _Watched, rows: storage.Rows, touched: Touched) -> SensorDetection:
    sensor, memory, scored_until = watched.sensor, watched.memory, watched.scored_until
    limits = _limit_specs(sensor)
    excursions: dict[int, Excursion] = {}
    blocks = chain([rows], _further_blocks(watched, rows))
    for block in blocks:
        if len(block):
            memory, touched_excursions = detect(memory, block.ts_us, block.values, block.quality, limits)
            excursions |= {excursion.excursion_id: excursion for excursion in touched_excursions}
            scored_until = storage.moment(block.ts_us[-1])
    return SensorDetection(
        touched=touched,
        sensor=sensor,
        excursions=list(excursions.values()),
        quiet_until_us=_quiet_until_us(touched, watched.told_until),
        told_until=watched.told_until,
        state=DetectorState(
            sensor=sensor,
            organization_id=sensor.organization_id,
            version=DETECTOR_VERSION,
            baseline_started_at=watched.baseline,
            last_ts=max(filter(None, (scored_until, watched.told_until)), default=None),
            memory=(memory or Memory.empty()).to_bytes(),
        ),
    )


def _further_blocks(watched: _Watched, rows: storage.Rows) -> Iterator[storage.Rows]:
    """What was too much to be read with the other sensors."""
    if len(rows) == READINGS_AT_ONCE:
        after = storage.moment(rows.ts_us[-1])
        yield from storage.read_in_blocks(watched.sensor.pk, after=after, until=watched.until)


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


def keep_detections(batches: Sequence[ReadingBatch], outcomes: Sequence[list[Outcome]]) -> None:
    """Write what the sensors of batches came to: memory, rollups, anomalies. Runs in the batches' transaction.

    A sensor that fails keeps its batches in the queue; the others are kept all the same.
    """
    distinct = {outcome.touched.sensor_id: outcome for of_batch in outcomes for outcome in of_batch}
    failures = _keep_all([distinct[sensor_id] for sensor_id in sorted(distinct)])
    for failure in failures.values():
        log.error("detection_failed", sensor=failure.touched.sensor_id, exc_info=failure.error)
    for batch, of_batch in zip(batches, outcomes, strict=True):
        ids = (outcome.touched.sensor_id for outcome in of_batch)
        failed = next((failures[sensor_id] for sensor_id in ids if sensor_id in failures), None)
        if failed:
            error = failed.error
            batch.put_back(f"Sensor {failed.touched.sensor_id}: {type(error).__name__}: {error}")
            batch.save_queue_columns()


def _keep_all(outcomes: Sequence[Outcome]) -> dict[int, SensorFailure]:
    """Keep what is not kept yet, all at once or, when that fails, sensor by sensor; return the failures by sensor."""
    failures = {one.touched.sensor_id: one for one in outcomes if isinstance(one, SensorFailure)}
    detections = [one for one in outcomes if isinstance(one, SensorDetection) and not one.is_kept]
    try:
        _keep(detections)
    except Exception:
        for detection in detections:
            try:
                _keep([detection])
            except Exception as error:
                failures[detection.touched.sensor_id] = SensorFailure(detection.touched, error)
    return failures


def _keep(detections: Sequence[SensorDetection]) -> None:
    """Write the results of sensors in a savepoint."""
    with transaction.atomic():
        _require_that_nobody_was_quicker(detections)
        DetectorState.objects.bulk_create(
            [detection.state for detection in detections],
            update_conflicts=True,
            unique_fields=["sensor"],
            update_fields=["version", "baseline_started_at", "last_ts", "memory"],
        )
        new = list(filter(None, map(_not_counted_before, detections)))
        late = list(chain.from_iterable(map(_counted_before, detections)))
        # A day more than anybody's readings are kept for at least: retention may look before this has ended.
        may_lack_before = clock.now() - timedelta(days=LONGEST_LOOK_BACK_DAYS - 1)
        storage.add_to_rollups(new, may_lack_before=may_lack_before)
        # Afterwards: a bucket that got both late and new readings is made anew of all of them.
        storage.refresh_rollups(late, may_lack_before=may_lack_before)
        for detection in detections:
            if detection.excursions:
                _keep_anomalies(detection)
    for detection in detections:
        transaction.on_commit(partial(setattr, detection, "is_kept", True))


def _require_that_nobody_was_quicker(detections: Sequence[SensorDetection]) -> None:
    """Rollups count what comes after a moment once; a worker that lost its lock must not count it again."""
    ids = [detection.touched.sensor_id for detection in detections]
    states = DetectorState.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    last_ts = dict(states.values_list("pk", "last_ts"))
    for detection in detections:
        if last_ts.get(detection.touched.sensor_id) != detection.told_until:
            raise RuntimeError("Another worker has scored this sensor meanwhile.")


def _counted_before(detection: SensorDetection) -> Iterator[storage.Span]:
    """What was touched of the time that rollups have counted: late readings, and all where nothing is known of that."""
    counted_until = detection.told_until
    for first_us, last_us in detection.touched.spans_us:
        first, last = storage.moment(first_us), storage.moment(last_us)
        if counted_until is not None:
            last = min(last, counted_until)
        if first <= last:
            yield storage.Span(detection.touched.sensor_id, first, last, detection.state.last_ts or last)


def _not_counted_before(detection: SensorDetection) -> storage.Span | None:
    """The readings behind all that rollups have counted."""
    until = detection.state.last_ts
    if detection.told_until is None or until is None or until <= detection.told_until:
        return None
    begin = detection.told_until + timedelta(microseconds=1)
    return storage.Span(detection.touched.sensor_id, begin, until, until)


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
    if anomaly.ended_at is not None:
        anomaly_ended.send(sender=Anomaly, anomaly=anomaly)


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
