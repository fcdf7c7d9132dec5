"""Why a forecast says what it says, in numbers and in sentences that a manager can check against the plot."""

from typing import Any

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.history import History
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.passage import FirstPassage
from predictions.forecasting.request import LimitTarget
from predictions.forecasting.result import HORIZON_DAYS

LONG_HISTORY_DAYS = HORIZON_DAYS
SHORT_HISTORY_DAYS = 21
MANY_GAPS = 0.2


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
    *, history: History, model: LatentModel, passage: FirstPassage, limit: LimitTarget, now_us: int
) -> dict[str, Any]:
    """Level, distance, slope, share of seasonality and certainty of a modelled forecast."""
    cold_start = model.name == "borrowed_drift"
    figures = model.figures()
    certainty, reasons = _certainty(history, cold_start=cold_start)
    sentences = [
        _level_in_words(history.level, limit),
        _slope_in_words(figures, history, cold_start=cold_start),
        _passage_in_words(passage, now_us),
        f"Certainty: {certainty}. {' '.join(reasons)}",
    ]
    if figures["seasonal_share"] > 0:
        sentences.insert(2, f"{figures['seasonal_share']:.0%} of the movement is a daily or weekly cycle.")
    return {
        "words": " ".join(sentences),
        "current_level": history.level,
        "distance_to_limit": limit.room(history.level),
        "noise_sd": model.noise_sd,
        "span_days": history.span_days,
        "certainty": certainty,
        "certainty_reasons": reasons,
        "cold_start": cold_start,
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


def _passage_in_words(passage: FirstPassage, now_us: int) -> str:
    share = passage.probability_by(now_us + HORIZON_DAYS * DAY_US)
    half = passage.quantile(0.5)
    if half is None:
        return f"{share:.0%} of the possible futures cross the limit in {HORIZON_DAYS} days."
    days = (half - now_us) / DAY_US
    return f"Half of the possible futures cross the limit in {days:.0f} days, {share:.0%} in {HORIZON_DAYS}."


def _certainty(history: History, *, cold_start: bool) -> tuple[str, list[str]]:
    """A word for how far to trust the forecast, with everything that speaks against it."""
    if cold_start:
        return "low", ["The drift is that of comparable equipment, not its own."]
    reasons = []
    if history.span_days < LONG_HISTORY_DAYS:
        reasons.append(f"{HORIZON_DAYS} days are forecast from {history.span_days:.0f}.")
    gap_share = history.input_quality["gap_share"]
    if gap_share > MANY_GAPS:
        reasons.append(f"{gap_share:.0%} of the history is missing.")
    if history.span_days < SHORT_HISTORY_DAYS or len(reasons) > 1:
        return "low", reasons
    return ("moderate", reasons) if reasons else ("good", ["The history is long and complete."])
