"""Prediction: from stored readings to rows of the ledger, many sensors at once."""

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from predictions.forecasting.after_anomaly import AnomalyRisk
from predictions.forecasting.fleet import forecast
from predictions.forecasting.request import Direction, ForecastRequest, LimitTarget
from predictions.forecasting.result import HORIZON_DAYS, Forecast, ForecastError, SeriesResult, attempt
from predictions.models import Prediction, PredictionStatus
from predictions.services.after_anomalies import Experience, enter_risk
from predictions.services.borrowing import Lender
from predictions.services.histories import Measured, in_portions, read_histories
from predictions.services.lessons import teach
from predictions.signals import predictions_made
from sensors import storage
from sensors.models import Anomaly, Limit, Sensor
from smartmaint import clock
from smartmaint.updating import update_together

LOOK_BACK = timedelta(days=365)
ANSWER = [
    # The ledger takes no change once the status is made, and no pending row that is in no queue: all at once.
    "due_at",
    "last_error",
    "status",
    "made_at",
    "not_possible_because",
    "limit_value",
    "direction",
    "cutoff_at",
    "data_from_at",
    "data_to_at",
    "horizon_days",
    "is_already_beyond",
    *(f"p_{days}d" for days in (1, 7, 14, 30, 90)),
    "passes_p10_at",
    "passes_p50_at",
    "passes_p90_at",
    "path",
    "model_name",
    "model_version",
    "settings",
    "input_quality",
    "explanation",
]


class ForecastFailed(Exception):
    """The forecast of one series failed; the engine tries it again."""


@dataclass(frozen=True)
class Answer:
    """For one prediction: a forecast and the limit as it was then, where there is one; the risk after an anomaly, where
    there was one; and the moment it was made for.
    """

    forecast: Forecast | None
    limit: Limit | None
    cutoff_at: datetime
    risk: AnomalyRisk | None = None


def forecast_pending(predictions: Sequence[Prediction]) -> list[Answer | ForecastFailed]:
    """Forecast all sensors that `predictions` name in one go: one answer per prediction, or its sensor's failure."""
    cutoff_at = clock.now()
    risks = Experience(cutoff_at).risks_of(predictions)
    answers: dict[int, Answer | ForecastFailed] = {
        prediction.pk: Answer(None, None, cutoff_at, risks[prediction.pk])
        for prediction in predictions
        if prediction.limit_id is None
    }
    by_sensor: dict[int, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if prediction.limit_id is not None:
            by_sensor[prediction.sensor_id].append(prediction)
    limits = (
        Limit.objects.select_related("failure_mode", "sensor__equipment__equipment_class")
        .prefetch_related("sensor__baselines")
        .in_bulk([prediction.limit_id for waiting in by_sensor.values() for prediction in waiting])
    )
    results = _forecast_sensors(by_sensor, limits, cutoff_at)
    for sensor_id, waiting in by_sensor.items():
        result = results[sensor_id]
        if isinstance(result, ForecastError):
            answers |= {prediction.pk: ForecastFailed(result.message) for prediction in waiting}
        else:
            answers |= {
                prediction.pk: Answer(one, limits[prediction.limit_id], cutoff_at, risks.get(prediction.pk))
                for prediction, one in zip(waiting, result, strict=True)
            }
    return [answers[prediction.pk] for prediction in predictions]


def _forecast_sensors(
    waiting: Mapping[int, Sequence[Prediction]], limits_by_id: Mapping[int, Limit], cutoff_at: datetime
) -> dict[int, SeriesResult]:
    """Forecasts by sensor, one for each prediction that waits for it. A sensor that fails stops no other."""
    limits = {sensor_id: [limits_by_id[one.limit_id] for one in some] for sensor_id, some in waiting.items()}
    sensors = {sensor_id: first.sensor for sensor_id, (first, *_) in limits.items()}
    lender = Lender(cutoff_at)
    repaired_at = {sensor_id: _last_repair(sensor, cutoff_at) for sensor_id, sensor in sensors.items()}
    oldest = cutoff_at - LOOK_BACK
    since = {sensor_id: max(repaired_at[sensor_id] or oldest, oldest) for sensor_id in limits}
    anomalies = Anomaly.objects.going_on(at=cutoff_at).filter(sensor__in=limits).order_by("-started_at")
    # Of several the one that began first is entered last.
    anomaly_since = dict(anomalies.values_list("sensor_id", "started_at"))
    results: dict[int, SeriesResult] = {}
    for portion in in_portions(since, until=cutoff_at):
        asked = [
            attempt(
                str(sensor_id),
                partial(
                    _forecast_request,
                    sensors[sensor_id],
                    measured,
                    limits[sensor_id],
                    cutoff_at,
                    repaired_at[sensor_id],
                    anomaly_since.get(sensor_id),
                ),
            )
            for sensor_id, measured in read_histories(portion, until=cutoff_at).items()
        ]
        results |= {int(one.key): one for one in asked if isinstance(one, ForecastError)}
        requests = [one for one in asked if isinstance(one, ForecastRequest)]
        requests = teach(requests, [waiting[int(one.key)] for one in requests], cutoff_at=cutoff_at)
        answers = forecast(requests, lend=lambda key: lender.lend_to(sensors[int(key)]))
        results |= {int(one.key): answer for one, answer in zip(requests, answers, strict=True)}
    return results


def _last_repair(sensor: Sensor, cutoff_at: datetime) -> datetime | None:
    started_at = (baseline.started_at for baseline in sensor.baselines.all())
    return max((moment for moment in started_at if moment <= cutoff_at), default=None)


def _forecast_request(
    sensor: Sensor,
    measured: Measured,
    limits: list[Limit],
    cutoff_at: datetime,
    repaired_at: datetime | None,
    anomaly_since: datetime | None,
) -> ForecastRequest:
    return ForecastRequest(
        key=str(sensor.pk),
        ts_us=measured.ts_us,
        values=measured.values,
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
        # Of the sensor and the moment alone: whoever is forecast beside it, the same can be made again.
        seed=zlib.crc32(f"{sensor.pk} {cutoff_at.isoformat()}".encode()),
        regime_started_us=None if repaired_at is None else storage.microseconds(repaired_at),
        expected_interval_s=sensor.expected_interval_s,
        anomaly_since_us=None if anomaly_since is None else storage.microseconds(anomaly_since),
        unit=sensor.unit,
    )


def enter_predictions(predictions: Sequence[Prediction], answers: Sequence[Answer]) -> None:
    """Enter answers in the ledger, for good, and tell the others. Runs in the predictions' transaction."""
    for prediction, answer in zip(predictions, answers, strict=True):
        _enter(prediction, answer)
    update_together(predictions, ANSWER)
    made = [prediction for prediction in predictions if prediction.status == PredictionStatus.MADE]
    if made:
        predictions_made.send(sender=Prediction, predictions=made)


def _enter(prediction: Prediction, answer: Answer) -> None:
    prediction.made_at = clock.now()
    prediction.cutoff_at = answer.cutoff_at
    if answer.limit is not None and answer.forecast is not None:
        # Whoever is told need not look these up again.
        prediction.limit, prediction.sensor = answer.limit, answer.limit.sensor
        prediction.limit_value, prediction.direction = answer.limit.value, answer.limit.direction
        _enter_forecast(prediction, answer.forecast)
    if answer.risk is not None and not prediction.is_already_beyond:
        enter_risk(prediction, answer.risk)


def _enter_forecast(prediction: Prediction, said: Forecast) -> None:
    prediction.status = PredictionStatus(said.status)
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
        return
    prediction.horizon_days = HORIZON_DAYS
    prediction.is_already_beyond = said.already_beyond
    for days, probability in said.probability.items():
        setattr(prediction, f"p_{days}d", probability)
    prediction.passes_p10_at = _moment(said.crossing_p10_us)
    prediction.passes_p50_at = _moment(said.crossing_p50_us)
    prediction.passes_p90_at = _moment(said.crossing_p90_us)
    prediction.path = {"ts_us": said.path_ts_us, "quantiles": said.path_quantiles}


def _moment(us: int | None) -> datetime | None:
    return None if us is None else storage.moment(us)
