"""Detection on stored readings: what the agent `detect_anomalies` computes for its batches, and how that is kept.

What is new to a sensor's detector are the stored readings after the last one it scored, not the contents of a batch:
batches of one sensor can be done together, again, or not in order, with the same result. A sensor's result hangs on the
last of the claimed batches that names it, so that it stays pending until it is settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sensors import storage
from sensors.detection.detector import DETECTOR_VERSION, detect
from sensors.detection.detector import DetectorState as Memory
from sensors.detection.excursions import Excursion
from sensors.detection.limits import LimitSpec
from sensors.models import Anomaly, AnomalyStatus, DetectorState, ReadingBatch, Sensor
from sensors.signals import anomaly_detected


@dataclass
class Touched:
    """A sensor in the claimed batches: which readings are new, and until when they page nobody."""

    sensor_id: int
    first_us: int
    last_us: int
    historical_until_us: int | None = None

    def add(self, first_us: int, last_us: int, *, is_historical: bool) -> None:
        self.first_us, self.last_us = min(self.first_us, first_us), max(self.last_us, last_us)
        if is_historical:
            self.historical_until_us = max(self.historical_until_us or last_us, last_us)


@dataclass
class SensorDetection:
    """What detection came to for one sensor."""

    touched: Touched
    sensor: Sensor
    state: DetectorState
    excursions: list[Excursion]
    quiet_until_us: int | None

    def may_open_anomaly(self, excursion: Excursion) -> bool:
        if self.quiet_until_us is None:
            return False
        return excursion.ended_us is None or excursion.ended_us > self.quiet_until_us


def detect_in_batches(batches: Sequence[ReadingBatch]) -> list[list[SensorDetection]]:
    """Score the new readings of every sensor in `batches`; one list of results per batch."""
    touched, batch_of_sensor = _touched_sensors(batches)
    sensors = (
        Sensor.objects.filter(pk__in=touched)
        .select_related("detector_state")
        .prefetch_related("limits", "baselines")
    )
    results: list[list[SensorDetection]] = [[] for _ in batches]
    for sensor in sensors:
        results[batch_of_sensor[sensor.pk]].append(_detect_in_sensor(sensor, touched[sensor.pk]))
    return results


def _touched_sensors(batches: Sequence[ReadingBatch]) -> tuple[dict[int, Touched], dict[int, int]]:
    touched: dict[int, Touched] = {}
    batch_of_sensor: dict[int, int] = {}
    for number, batch in enumerate(batches):
        for key, (first_us, last_us) in batch.spans.items():
            sensor_id = int(key)
            spans = touched.setdefault(sensor_id, Touched(sensor_id, first_us, last_us))
            spans.add(first_us, last_us, is_historical=batch.is_historical)
            batch_of_sensor[sensor_id] = number
    return touched, batch_of_sensor


def _detect_in_sensor(sensor: Sensor, touched: Touched) -> SensorDetection:
    state = getattr(sensor, "detector_state", None)
    baseline = max((baseline.started_at for baseline in sensor.baselines.all()), default=None)
    told_until = state.last_ts if state else None
    memory, scored_until = _recall(state, baseline)
    rows = storage.read_readings(sensor.pk, after=scored_until, until=storage.moment(touched.last_us))
    memory, excursions = detect(memory, rows.ts_us, rows.values, rows.quality, _limit_specs(sensor))
    newest = storage.moment(rows.ts_us[-1]) if len(rows) else scored_until
    return SensorDetection(
        touched=touched,
        sensor=sensor,
        excursions=excursions,
        quiet_until_us=_quiet_until_us(touched, told_until),
        state=DetectorState(
            sensor=sensor,
            organization_id=sensor.organization_id,
            version=DETECTOR_VERSION,
            baseline_started_at=baseline,
            last_ts=max(filter(None, (newest, told_until)), default=None),
            memory=memory.to_bytes(),
        ),
    )


def _recall(state: DetectorState | None, baseline: datetime | None) -> tuple[Memory | None, datetime | None]:
    """What is remembered and until when; nothing, from the baseline on, when that or the detector is a new one."""
    if state and state.version == DETECTOR_VERSION and state.baseline_started_at == baseline:
        return Memory.from_bytes(bytes(state.memory)), state.last_ts
    return None, baseline


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
        LimitSpec(level=limit.level, value=limit.value, dead_band=limit.dead_band, on_delay=limit.on_delay_s)
        for limit in sensor.limits.all()
        if limit.is_active
    ]


def keep_detections(batch: ReadingBatch, detections: list[SensorDetection]) -> None:
    """Write what a batch's sensors came to: memory, rollups, anomalies. Runs in the batch's transaction."""
    DetectorState.objects.bulk_create(
        [detection.state for detection in detections],
        update_conflicts=True,
        unique_fields=["sensor"],
        update_fields=["version", "baseline_started_at", "last_ts", "memory"],
    )
    for detection in detections:
        touched = detection.touched
        storage.refresh_rollups(
            touched.sensor_id, first=storage.moment(touched.first_us), last=storage.moment(touched.last_us)
        )
        for excursion in detection.excursions:
            _keep_anomaly(batch, detection, excursion)


def _keep_anomaly(batch: ReadingBatch, detection: SensorDetection, excursion: Excursion) -> None:
    """Insert an excursion as an anomaly, or bring the one that stands for it up to date."""
    sensor = detection.sensor
    started_at = storage.moment(excursion.started_us)
    same_kind = Anomaly.objects.filter(sensor=sensor, kind=excursion.kind, direction=excursion.direction)
    anomaly = same_kind.filter(started_at=started_at).first()
    if anomaly is None and detection.may_open_anomaly(excursion):
        same_kind.open().filter(started_at__lt=started_at).update(ended_at=started_at)
        anomaly = Anomaly(
            organization_id=sensor.organization_id,
            sensor=sensor,
            batch=batch,
            kind=excursion.kind,
            direction=excursion.direction,
            started_at=started_at,
            detector_version=DETECTOR_VERSION,
        )
        _describe(anomaly, sensor, excursion)
        anomaly.mark_due()
        anomaly.save()
        anomaly_detected.send(sender=Anomaly, anomaly=anomaly)
    elif anomaly is not None and anomaly.ended_at is None:
        if excursion.level != anomaly.level:
            _judge_again(anomaly)
        _describe(anomaly, sensor, excursion)
        anomaly.save()


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
