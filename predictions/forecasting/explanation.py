"""Why a forecast says what it says, in numbers, with the sentences of `sentences.py`."""

from typing import Any

from predictions.forecasting.ahead import LookAhead
from predictions.forecasting.excursion import excursion_in_words
from predictions.forecasting.failure_curve import FailureCurve
from predictions.forecasting.history import History
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.request import ForecastRequest, LimitTarget
from predictions.forecasting.sentences import Certainty, Sentences, certainty_of
from sensors.unit_signs import with_unit


def explain_already_beyond(*, history: History, limit: LimitTarget, unit: str) -> dict[str, Any]:
    """The newest reading itself is at or beyond the limit: nothing had to be forecast."""
    newest = history.newest_value
    side = "at or above" if limit.direction == "high" else "at or below"
    return {
        "words": f"The newest reading, {with_unit(newest, unit)}, is {side} the limit of "
        f"{with_unit(limit.value, unit)}.",
        "current_level": newest,
        "distance_to_limit": limit.room(newest),
        "certainty": "observed",
        "certainty_reasons": ["It was measured."],
        "cold_start": False,
    }


def explain_forecast(
    *,
    request: ForecastRequest,
    history: History,
    model: LatentModel,
    curve: FailureCurve,
    seen: LookAhead,
    limit: LimitTarget,
) -> dict[str, Any]:
    """Level, distance, slope, seasonality, both probabilities, the contest and the certainty of a modelled forecast.

    `words` has a sentence, or a few, a line.
    """
    cold_start = model.name == "borrowed_drift"
    figures = model.figures()
    excursion = None if cold_start else excursion_in_words(history, model=model, unit=request.unit)
    certainty = certainty_of(request, history, seen, cold_start=cold_start, excursion=excursion)
    sentences = Sentences(request, history, limit, figures)
    return {
        "words": "\n".join(_told(sentences, curve, seen, certainty, cold_start=cold_start)),
        "current_level": history.level,
        "distance_to_limit": limit.room(history.level),
        "noise_sd": model.noise_sd,
        "span_days": history.span_days,
        "certainty": certainty.word,
        "certainty_reasons": certainty.reasons,
        "excursion": excursion is not None or request.anomaly_since_us is not None,
        "cold_start": cold_start,
        "is_recalibrated": request.recalibration.is_fitted,
        "probabilities": curve.figures(),
        "contest": None if seen.near is None else seen.near.champion.as_figures(),
        "look_ahead_failed": seen.has_failed,
    } | figures


def _told(
    sentences: Sentences, curve: FailureCurve, seen: LookAhead, certainty: Certainty, *, cold_start: bool
) -> list[str]:
    """What matters most comes first: how far, how fast, when, how sure; then how it was found."""
    lines = [
        sentences.of_level(),
        sentences.of_borrowed_drift() if cold_start else sentences.of_slope(),
        sentences.of_season(),
        sentences.of_passage(curve),
        certainty.in_words(),
        "" if cold_start else sentences.of_parts(curve),
        sentences.of_recalibration(),
        "" if seen.near is None else sentences.of_contest(seen.near.champion),
    ]
    return [line for line in lines if line]
