"""Detection on stored readings: what the agent `detect_anomalies` computes for its batches, and how that is kept.

What is new to a sensor's detector are the stored readings after the last one it scored, not the contents of a batch:
batches of one sensor can be done together, again, or not in order, with the same result. A sensor's result hangs on
each of the claimed batches that names it; the first that is settled keeps it.

`news` tells which sensors have any, `scoring` scores them, `noticing` makes anomalies of what was found.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain

import structlog
from django.db import transaction

from sensors import storage
from sensors.models import DetectorState, ReadingBatch
from sensors.models.ingest import LONGEST_LOOK_BACK_DAYS
from sensors.services.news import touched_sensors
from sensors.services.noticing import keep_anomalies
from sensors.services.outcomes import Outcome, SensorDetection, SensorFailure
from sensors.services.scoring import score_sensors
from smartmaint import clock

log = structlog.get_logger(__name__)


def detect_in_batches(batches: Sequence[ReadingBatch]) -> list[list[Outcome]]:
    """Score the new readings of every sensor in `batches` (of one organisation); one list of outcomes per batch."""
    outcomes = score_sensors(touched_sensors(batches))
    return [
        [outcomes[sensor_id] for sensor_id in batch.sensor_ids if sensor_id in outcomes] for batch in batches
    ]


def keep_detections(batches: Sequence[ReadingBatch], outcomes: Sequence[list[Outcome]]) -> int:
    """Write what the sensors of batches came to: memory, rollups, anomalies. Runs in the batches' transaction.

    A sensor that fails keeps its batches in the queue; the others are kept all the same. Returns how many batches wait
    for that.
    """
    distinct = {outcome.touched.sensor_id: outcome for of_batch in outcomes for outcome in of_batch}
    failures = _keep_all([distinct[sensor_id] for sensor_id in sorted(distinct)])
    for failure in failures.values():
        log.error("detection_failed", sensor=failure.touched.sensor_id, exc_info=failure.error)
    put_back = 0
    for batch, of_batch in zip(batches, outcomes, strict=True):
        ids = (outcome.touched.sensor_id for outcome in of_batch)
        failed = next((failures[sensor_id] for sensor_id in ids if sensor_id in failures), None)
        if failed:
            error = failed.error
            batch.put_back(f"Sensor {failed.touched.sensor_id}: {type(error).__name__}: {error}")
            batch.save_queue_columns()
            put_back += 1
    return put_back


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
            update_fields=["version", "baseline_started_at", "last_ts", "memory", "has_late", "rescored_at"],
        )
        new = list(filter(None, map(_not_counted_before, detections)))
        late = list(chain.from_iterable(map(_counted_before, detections)))
        # A day more than anybody's readings are kept for at least: retention may look before this has ended.
        may_lack_before = clock.now() - timedelta(days=LONGEST_LOOK_BACK_DAYS - 1)
        storage.add_to_rollups(new, may_lack_before=may_lack_before)
        # Afterwards: a bucket that got both late and new readings is made anew of all of them.
        storage.refresh_rollups(late, may_lack_before=may_lack_before)
        for detection in detections:
            if detection.excursions or detection.anew_from is not None:
                keep_anomalies(detection)
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
