"""Why a forecast says what it says, in numbers and in sentences that a manager can check against the plot."""

from typing import Any

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.champions import Champion
from predictions.forecasting.excursion import excursion_in_words
from predictions.forecasting.failure_curve import FailureCurve
from predictions.forecasting.history import History
from predictions.forecasting.intervals_of_fleet import PATH_DAYS, NearPath
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.request import ForecastRequest, LimitTarget
from predictions.forecasting.result import HORIZON_DAYS

LONG_HISTORY_DAYS = HORIZON_DAYS
SHORT_HISTORY_DAYS = 21
MANY_GAPS = 0.2
DAYS_TOLD = 30
SHARE_TOLD = 0.005


def explain_already_beyond(*, history: History, limit: LimitTarget) -> dict[str, Any]:
    """The newest reading itself is at or beyond the limit: nothing had to be forecast."""
    newest = history.newest_value
    side = "at or above" if limit.direction == "high" else "at or below"
    return {
        "words": f"The newest reading, {newest:.4g}, is {side} the limit of {limit.value:.4g}.",
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
    expected_now: float,
    curve: FailureCurve,
    near: NearPath | None,
    limit: LimitTarget,
) -> dict[str, Any]:
    """Level, distance, slope, seasonality, both probabilities, the contest and the certainty of a modelled forecast.

    `expected_now` is where the model has the level at this moment.
    """
    cold_start = model.name == "borrowed_drift"
    figures = model.figures()
    excursion = (
        None if cold_start else excursion_in_words(history, expected=expected_now, noise_sd=model.noise_sd)
    )
    certainty, reasons = _certainty(history, cold_start=cold_start, excursion=excursion)
    sentences = [
        _level_in_words(history.level, limit),
        _slope_in_words(figures, history, cold_start=cold_start),
        _passage_in_words(curve, request.now_us),
        "" if cold_start else _parts_in_words(curve),
        request.recalibration.words,
        "" if near is None else _contest_in_words(near.champion),
        f"Certainty: {certainty}. {' '.join(reasons)}",
    ]
    if figures["seasonal_share"] >= SHARE_TOLD:
        sentences.insert(2, f"{figures['seasonal_share']:.0%} of the movement is a daily or weekly cycle.")
    return {
        "words": " ".join(filter(None, sentences)),
        "current_level": history.level,
        "distance_to_limit": limit.room(history.level),
        "noise_sd": model.noise_sd,
        "span_days": history.span_days,
        "certainty": certainty,
        "certainty_reasons": reasons,
        "excursion": excursion is not None,
        "cold_start": cold_start,
        "is_recalibrated": request.recalibration.is_fitted,
        "probabilities": curve.figures(),
        "contest": None if near is None else near.champion.as_figures(),
    } | figures


def _level_in_words(level: float, limit: LimitTarget) -> str:
    room = limit.room(level)
    side = "below" if (limit.direction == "high") == (room >= 0) else "above"
    return f"The level is {level:.4g}, {abs(room):.4g} {side} the limit of {limit.value:.4g}."


def _slope_in_words(figures: dict[str, float], history: History, *, cold_start: bool) -> str:
    slope, span = figures["slope_per_day"], f"{history.span_days:.1f}"
    if cold_start:
        return f"Cold start: {span} days of own history; a drift of {slope:+.3g} a day is borrowed."
    lately = figures["slope_per_day_now"]
    return (
        f"Over {span} days of readings {history.since} it moved by {slope:+.3g} a day, {lately:+.3g} lately."
    )


def _passage_in_words(curve: FailureCurve, now_us: int) -> str:
    share = curve.by_days(HORIZON_DAYS)
    half_us = curve.quantile_us(0.5, now_us=now_us)
    if half_us is None:
        return f"The probability of passing the limit within {HORIZON_DAYS} days is {share:.0%}."
    days = (half_us - now_us) / DAY_US
    return f"The probability of passing the limit is 50% within {days:.0f} days, {share:.0%} within {HORIZON_DAYS}."


def _parts_in_words(curve: FailureCurve) -> str:
    """Both parts of the mixture by 30 days."""
    if curve.of_companion is None:
        return "It is that of Prophet's paths."
    of_prophet, of_companion = curve.parts_by_days(DAYS_TOLD)
    return (
        f"Within {DAYS_TOLD} days Prophet's paths give {of_prophet:.0%}, the drift-diffusion {of_companion:.0%}, "
        f"which counts {curve.companion_share:.0%}."
    )


def _contest_in_words(champion: Champion) -> str:
    """Who forecasts the next days; the reason names who lost, and by how much."""
    told = f"The next {PATH_DAYS} days are forecast by {champion.name}"
    return f"{told}, {champion.changed}" if champion.changed else f"{told}. {champion.reason}"


def _certainty(history: History, *, cold_start: bool, excursion: str | None) -> tuple[str, list[str]]:
    """A word for how far to trust the forecast, with everything that speaks against it."""
    if cold_start:
        return "low", ["The drift is that of comparable equipment, not its own."]
    reasons = [] if excursion is None else [excursion]
    if history.span_days < LONG_HISTORY_DAYS:
        reasons.append(f"{HORIZON_DAYS} days are forecast from {history.span_days:.0f}.")
    gap_share = history.input_quality["gap_share"]
    if gap_share > MANY_GAPS:
        reasons.append(f"{gap_share:.0%} of the history is missing.")
    if excursion is not None or history.span_days < SHORT_HISTORY_DAYS or len(reasons) > 1:
        return "low", reasons
    return ("moderate", reasons) if reasons else ("good", ["The history is long and complete."])
