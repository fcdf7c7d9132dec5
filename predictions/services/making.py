"""Prediction: from stored readings to rows of the ledger, many sensors at once."""

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np

from predictions.forecasting import (
    HORIZON_DAYS,
    Forecast,
    ForecastError,
    ForecastRequest,
    LimitTarget,
    forecast,
    needs_borrowed_behaviour,
)
from predictions.forecasting.request import Direction
from predictions.models import Prediction, PredictionStatus
from predictions.services.borrowing import Lender
from predictions.signals import prediction_made
from sensors import storage
from sensors.models import HourlyRollup, Limit, Quality, Sensor
from smartmaint import clock

LOOK_BACK = timedelta(days=365)
# Recent readings count one by one, older ones by the hour: a year of a sensor is then read in no time.
RAW = timedelta(days=2)


class ForecastFailed(Exception):
    """The forecast of one series failed; the engine tries it again."""


@dataclass(frozen=True)
class Answer:
    """A forecast for one prediction, the limit as it was then, and the moment it was made for."""

    forecast: Forecast
    limit: Limit
    cutoff_at: datetime


def forecast_pending(predictions: Sequence[Prediction]) -> list[Answer | ForecastFailed]:
    """Forecast all sensors that `predictions` name in one go: one answer per prediction, or its sensor's failure."""
    cutoff_at = clock.now()
    by_sensor: dict[int, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        by_sensor[prediction.sensor_id].append(prediction)
    sensors = (
        Sensor.objects.select_related("equipment__equipment_class")
        .prefetch_related("baselines")
        .in_bulk(list(by_sensor))
    )
    limits = Limit.objects.in_bulk([prediction.limit_id for prediction in predictions])
    lender = Lender(cutoff_at)
    requests = [
        _forecast_request(
            sensors[sensor_id], [limits[prediction.limit_id] for prediction in waiting], cutoff_at, lender
        )
        for sensor_id, waiting in by_sensor.items()
    ]
    answers: dict[int, Answer | ForecastFailed] = {}
    for waiting, result in zip(by_sensor.values(), forecast(requests), strict=True):
        if isinstance(result, ForecastError):
            answers |= {prediction.pk: ForecastFailed(result.message) for prediction in waiting}
        else:
            answers |= {
                prediction.pk: Answer(one, limits[prediction.limit_id], cutoff_at)
                for prediction, one in zip(waiting, result, strict=True)
            }
    return [answers[prediction.pk] for prediction in predictions]


def _forecast_request(
    sensor: Sensor, limits: list[Limit], cutoff_at: datetime, lender: Lender
) -> ForecastRequest:
    repaired_at = max(
        (baseline.started_at for baseline in sensor.baselines.all() if baseline.started_at <= cutoff_at),
        default=None,
    )
    ts_us, values = read_history(
        sensor, since=max(repaired_at or cutoff_at - LOOK_BACK, cutoff_at - LOOK_BACK), until=cutoff_at
    )
    request = ForecastRequest(
        key=sensor.key,
        ts_us=ts_us,
        values=values,
        limits=[
            LimitTarget(
                key=str(limit.pk),
                value=limit.value,
                direction=cast(Direction, limit.direction.value),
                on_delay_s=limit.on_delay_s,
            )
            for limit in limits
        ],
        now_us=storage.microseconds(cutoff_at),
        seed=zlib.crc32(f"{sensor.pk} {cutoff_at.isoformat()}".encode()),
        regime_started_us=None if repaired_at is None else storage.microseconds(repaired_at),
        expected_interval_s=sensor.expected_interval_s,
    )
    if needs_borrowed_behaviour(request):
        return replace(request, borrowed=lender.lend_to(sensor))
    return request


def read_history(sensor: Sensor, *, since: datetime, until: datetime) -> tuple[np.ndarray, np.ndarray]:
    """A sensor's usable readings in (since, until]: hourly means, and each reading of the last two days.

    Returns epoch microseconds (int64) and values in the sensor's unit (float64), both of one length.
    """
    raw_from = max(since, (until - RAW).replace(minute=0, second=0, microsecond=0))
    whole_hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    rollups = HourlyRollup.objects.filter(sensor=sensor, started_at__gte=whole_hour, started_at__lt=raw_from)
    hours = [
        (storage.microseconds(hour), mean)
        for hour, mean in rollups.order_by("started_at").values_list("started_at", "mean")
    ]
    # `after` leaves its own moment out, and so does the last rollup: a reading on the hour belongs to this part.
    just_before = raw_from - timedelta(microseconds=1) if raw_from > since else since
    raw = storage.read_readings(sensor.pk, after=just_before, until=until)
    usable = (raw.quality != Quality.BAD) & ~np.isnan(raw.values)
    return (
        np.concatenate([np.array([hour for hour, _ in hours], dtype=np.int64), raw.ts_us[usable]]),
        np.concatenate([np.array([mean for _, mean in hours], dtype=np.float64), raw.values[usable]]),
    )


def make_prediction(prediction: Prediction, answer: Answer) -> None:
    """Enter an answer in the ledger, for good, and tell the others. Runs in the prediction's transaction."""
    said = answer.forecast
    prediction.status = PredictionStatus(said.status)
    prediction.made_at = clock.now()
    prediction.cutoff_at = answer.cutoff_at
    prediction.limit_value, prediction.direction = answer.limit.value, answer.limit.direction
    prediction.data_from_at, prediction.data_to_at = _moment(said.data_from_us), _moment(said.data_to_us)
    prediction.model_name, prediction.model_version = said.model, said.model_version
    prediction.settings = said.settings
    prediction.input_quality = said.input_quality | {
        "points": said.n_points,
        "masked": said.n_masked,
        "bucket_s": said.bucket_s,
    }
    prediction.explanation = said.explanation
    if prediction.status == PredictionStatus.NOT_POSSIBLE:
        prediction.not_possible_because = said.reason
        prediction.save()
        return
    prediction.horizon_days = HORIZON_DAYS
    prediction.is_already_beyond = said.already_beyond
    for days, probability in said.probability.items():
        setattr(prediction, f"p_{days}d", probability)
    prediction.passes_p10_at = _moment(said.crossing_p10_us)
    prediction.passes_p50_at = _moment(said.crossing_p50_us)
    prediction.passes_p90_at = _moment(said.crossing_p90_us)
    prediction.path = {"ts_us": said.path_ts_us, "quantiles": said.path_quantiles}
    prediction.save()
    prediction_made.send(sender=Prediction, prediction=prediction)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else storage.moment(us)
