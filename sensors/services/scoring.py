"""The detector on stored readings: what is new to each sensor's memory is read and scored, many sensors at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import numpy.typing as npt

from sensors import storage
from sensors.detection.detector import (
    DEFAULT_SETTINGS,
    DETECTOR_VERSION,
    Block,
    DetectorSettings,
    detect_many,
)
from sensors.detection.detector import DetectorState as Memory
from sensors.detection.excursions import Excursion
from sensors.detection.limits import Level, LimitSpec
from sensors.models import DetectorState, Sensor
from sensors.services.news import Touched
from sensors.services.outcomes import Outcome, SensorDetection, SensorFailure
from sensors.services.stops import Stop, planned_stops
from smartmaint import clock

# How much of the past a detector that starts anew looks at: enough for the week's profile.
REBUILD = timedelta(days=60)
# A sensor whose readings come late again and again is scored anew no oftener.
RESCORED_EVERY = timedelta(hours=1)
# Bounds on memory: so many sensors at once, and so many readings of each.
SENSORS_AT_ONCE = 500
READINGS_AT_ONCE = 2_000
# A count of events has no past that it should be like: what is too many, its rule says.
ONLY_LIMITS = DetectorSettings(profile=None)


@dataclass
class _Watched:
    """A sensor before its new readings are scored: `told_until` is how far that went before."""

    touched: Touched
    sensor: Sensor
    stops: list[Stop]
    baseline: datetime | None
    told_until: datetime | None
    memory: Memory
    scored_until: datetime | None
    until: datetime
    limits: list[LimitSpec]
    has_late: bool
    rescored_at: datetime | None
    anew_from: datetime | None
    excursions: dict[int, Excursion] = field(default_factory=dict)


def score_sensors(touched: dict[int, Touched]) -> dict[int, Outcome]:
    """Score the new readings of sensors of one organisation. One that fails stops no other."""
    outcomes: dict[int, Outcome] = {}
    for sensor_ids in _chunks(sorted(touched), SENSORS_AT_ONCE):
        sensors = list(_load(sensor_ids))
        stops = planned_stops({sensor.equipment_id for sensor in sensors})
        counting = [sensor for sensor in sensors if hasattr(sensor, "event_count")]
        measuring = [sensor for sensor in sensors if not hasattr(sensor, "event_count")]
        for some, settings in ((measuring, DEFAULT_SETTINGS), (counting, ONLY_LIMITS)):
            outcomes |= _score_together(some, touched, stops, settings)
    return outcomes


def _chunks(sensor_ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (sensor_ids[begin : begin + size] for begin in range(0, len(sensor_ids), size))


def _load(sensor_ids: Sequence[int]) -> Iterator[Sensor]:
    return (
        Sensor.objects.filter(pk__in=sensor_ids)
        .select_related("detector_state", "event_count")
        .prefetch_related("limits", "baselines")
        .order_by("pk")
        .iterator(chunk_size=SENSORS_AT_ONCE)
    )


def _score_together(
    sensors: Sequence[Sensor],
    touched: dict[int, Touched],
    stops: dict[int, list[Stop]],
    settings: DetectorSettings,
) -> dict[int, Outcome]:
    """All at once or, when that fails, sensor by sensor."""
    try:
        watched = [_watch(one, touched[one.pk], stops.get(one.equipment_id, [])) for one in sensors]
        _score(watched, settings)
        return {one.sensor.pk: _detection(one) for one in watched}
    except Exception as error:
        if len(sensors) == 1:
            return {sensors[0].pk: SensorFailure(touched[sensors[0].pk], error)}
        found: dict[int, Outcome] = {}
        for sensor in sensors:
            found |= _score_together([sensor], touched, stops, settings)
        return found


def _watch(sensor: Sensor, touched: Touched, stops: list[Stop]) -> _Watched:
    state = getattr(sensor, "detector_state", None)
    baseline = max((baseline.started_at for baseline in sensor.baselines.all()), default=None)
    told_until = state.last_ts if state else None
    # Never less than was scored before: a late batch may be what has a detector start anew.
    until = max(filter(None, (storage.moment(touched.last_us), told_until)))
    has_late = bool(state and (state.has_late or _is_late(touched, state)))
    rescored_at = state.rescored_at if state else None
    if has_late and (rescored_at is None or clock.now() >= rescored_at + RESCORED_EVERY):
        state, has_late, rescored_at = None, False, clock.now()
    memory, scored_until = _recall(state, baseline, until)
    goes_on = state is not None and scored_until == state.last_ts
    return _Watched(
        touched=touched,
        sensor=sensor,
        stops=stops,
        baseline=baseline,
        told_until=told_until,
        memory=memory,
        scored_until=scored_until,
        until=until,
        limits=_limit_specs(sensor),
        has_late=has_late,
        rescored_at=rescored_at,
        anew_from=None if goes_on else scored_until,
    )


def _is_late(touched: Touched, state: DetectorState) -> bool:
    """Whether something came for a time that was scored already: what followed from it is found anew."""
    return state.last_ts is not None and touched.first_us <= storage.microseconds(state.last_ts)


def _score(watched: Sequence[_Watched], settings: DetectorSettings) -> None:
    """Read and score, some readings of all at a time, until nothing is left."""
    left = list(watched)
    while left:
        spans = [(one.sensor.pk, one.scored_until, one.until) for one in left]
        found = storage.read_many(spans, most=READINGS_AT_ONCE)
        left = [one for one in left if one.sensor.pk in found]
        if not left:
            return
        rows = [found[one.sensor.pk] for one in left]
        detected = detect_many(
            [one.memory for one in left],
            _block(left, rows),
            [one.limits for one in left],
            settings,
            max_changes=[one.sensor.max_change_per_min for one in left],
        )
        for one, its_rows, excursions in zip(left, rows, detected.excursions, strict=True):
            one.excursions |= {excursion.excursion_id: excursion for excursion in excursions}
            one.scored_until = storage.moment(its_rows.ts_us[-1])
        left = [one for one, its_rows in zip(left, rows, strict=True) if len(its_rows) == READINGS_AT_ONCE]


def _block(watched: Sequence[_Watched], rows: Sequence[storage.Rows]) -> Block:
    return Block(
        sensors=np.repeat(np.arange(len(rows)), [len(one) for one in rows]),
        ts_us=np.concatenate([one.ts_us for one in rows]),
        values=np.concatenate([one.values for one in rows]),
        quality=np.concatenate([one.quality for one in rows]),
        is_apart=np.concatenate(
            [_is_stopped(one.stops, its.ts_us) for one, its in zip(watched, rows, strict=True)]
        ),
    )


def _is_stopped(stops: list[Stop], ts_us: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    stopped = np.zeros(len(ts_us), bool)
    for since_us, until_us in stops:
        stopped |= (ts_us >= since_us) & (until_us is None or ts_us < until_us)
    return stopped


def _detection(watched: _Watched) -> SensorDetection:
    sensor = watched.sensor
    return SensorDetection(
        touched=watched.touched,
        sensor=sensor,
        excursions=list(watched.excursions.values()),
        quiet_until_us=_quiet_until_us(watched.touched, watched.told_until),
        told_until=watched.told_until,
        anew_from=watched.anew_from,
        state=DetectorState(
            sensor=sensor,
            organization_id=sensor.organization_id,
            version=DETECTOR_VERSION,
            baseline_started_at=watched.baseline,
            last_ts=max(filter(None, (watched.scored_until, watched.told_until)), default=None),
            memory=watched.memory.to_bytes(),
            has_late=watched.has_late,
            rescored_at=watched.rescored_at,
        ),
    )


def _recall(
    state: DetectorState | None, baseline: datetime | None, until: datetime
) -> tuple[Memory, datetime | None]:
    """What is remembered and until when; nothing, from the baseline on, when that or the detector is a new one."""
    if state and state.version == DETECTOR_VERSION and state.baseline_started_at == baseline:
        return Memory.from_bytes(bytes(state.memory)), state.last_ts
    return Memory.empty(), max(baseline or until - REBUILD, until - REBUILD)


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
