"""A prediction as it was made, and, where time went on since, what the sensor really did."""

from datetime import datetime, timedelta

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, UIElement
from django.utils.formats import date_format
from django.utils.timezone import localtime

from predictions.models import Prediction, PredictionOutcome
from predictions.plots.earlier import Foretold, plot_earlier, read_earlier
from predictions.risk import percent
from sensors.plots import LIGHT, Look, read_series
from sensors.plots.canvas import Canvas, draw_repairs, level_label
from smartmaint import clock

# As much of the past as of the future: a longer one would press the forecast into a corner.
MAX_HISTORY = timedelta(days=90)
MIN_HISTORY = timedelta(days=3)
# A repair that the history begins with is in sight, with what it mended.
BEFORE = timedelta(days=2)
DEFAULT_HORIZON_DAYS = 30
BANDS = (("p05", "p95", 0.15, "9 in 10"), ("p10", "p90", 0.25, "8 in 10"))


def plot_prediction(prediction: Prediction, *, look: Look = LIGHT) -> UIElement:
    """History, forecast bands (p05-p95, p10-p90) and median, limit, today, the dates P10-P90, repairs, the outcome.

    Below it, on the same axis of time, what was foretold before: how the date moved from prediction to prediction.
    """
    canvas = _draw(prediction, look)
    above = canvas.finish()
    earlier = read_earlier(prediction, begin=canvas.begin)
    if len(earlier) < 2:
        return above
    return column(above, plot_earlier(earlier, canvas), sizing_mode="stretch_width")


def _draw(prediction: Prediction, look: Look) -> Canvas:
    sensor, asked_at = prediction.sensor, prediction.cutoff_at or prediction.requested_at
    begin, end = _window(prediction, asked_at)
    canvas = Canvas(
        begin=begin,
        end=end,
        zone=sensor.organization.zone,
        quantity=sensor.quantity,
        unit=sensor.unit,
        look=look,
    )
    _shade_dates(canvas, prediction)
    if prediction.path and prediction.path["ts_us"]:
        _draw_forecast(canvas, prediction.path)
    _draw_readings(canvas, prediction, asked_at)
    if prediction.limit is not None:
        value = prediction.limit.value if prediction.limit_value is None else prediction.limit_value
        label = level_label(prediction.limit.level, value, sensor.unit)
        canvas.draw_level(value, label=label, is_outermost=True)
    _draw_moments(canvas, prediction, asked_at)
    return canvas


def _window(prediction: Prediction, asked_at: datetime) -> tuple[datetime, datetime]:
    earliest = asked_at - MAX_HISTORY
    known_from = (prediction.data_from_at or earliest) - BEFORE
    begin = min(max(known_from, earliest), asked_at - MIN_HISTORY)
    return begin, asked_at + timedelta(days=prediction.horizon_days or DEFAULT_HORIZON_DAYS)


def _draw_readings(canvas: Canvas, prediction: Prediction, asked_at: datetime) -> None:
    """What was known, and in another colour what came after."""
    sensor, now = prediction.sensor, clock.now()
    known = read_series(sensor, begin=canvas.begin, end=asked_at)
    if len(known):
        canvas.draw_series(known, label="readings", color=canvas.look.line)
    came = read_series(sensor, begin=asked_at, end=min(now, canvas.end))
    if len(came):
        canvas.draw_series(came, label="since then", color=canvas.look.ink)


def _draw_forecast(canvas: Canvas, path: dict) -> None:
    quantiles = {name: np.array(values, dtype=np.float64) for name, values in path["quantiles"].items()}
    source = ColumnDataSource({"time": canvas.at_each(path["ts_us"]), **quantiles})
    color = canvas.look.forecast
    for low, high, alpha, share in BANDS:
        canvas.figure.varea(
            "time",
            low,
            high,
            source=source,
            fill_color=color,
            fill_alpha=alpha,
            legend_label=share,
        )
    canvas.figure.line("time", "p50", source=source, line_color=color, line_width=2, legend_label="expected")
    canvas.heights += [float(quantiles["p05"].min()), float(quantiles["p95"].max())]


def _shade_dates(canvas: Canvas, prediction: Prediction) -> None:
    """When eight futures in ten cross the limit; open to the right where the last of them do not."""
    if prediction.passes_p10_at and not prediction.is_already_beyond:
        canvas.draw_span(
            prediction.passes_p10_at, prediction.passes_p90_at, color=canvas.look.critical, alpha=0.1
        )


def _draw_moments(canvas: Canvas, prediction: Prediction, asked_at: datetime) -> None:
    now = clock.now()
    if now - asked_at > timedelta(days=1):
        canvas.draw_moment(asked_at, label="made", color=canvas.look.soft)
    canvas.draw_moment(now, label="today", color=canvas.look.ink)
    draw_repairs(canvas, prediction.sensor.baselines.values_list("started_at", flat=True))
    outcome = PredictionOutcome.objects.filter(prediction=prediction).first()
    if outcome is not None and outcome.verdict:
        canvas.draw_moment(
            outcome.happened_at,
            label=outcome.get_verdict_display().lower(),
            color=canvas.look.critical,
            line_dash="dotted",
        )


def describe_prediction(prediction: Prediction) -> str:
    """The plot for those who do not see it."""
    sensor = prediction.sensor
    what = sensor.name or sensor.key
    if prediction.limit is None:
        return f"{what}: {percent(prediction.p_30d)} of failure within 30 days, after an anomaly."
    what += f" against its {prediction.limit}"
    if prediction.not_possible_because:
        return f"{what}: no forecast. {prediction.not_possible_because}"
    if prediction.p_30d is None:
        return f"{what}: the forecast is still to be made."
    earlier = read_earlier(prediction, begin=_window(prediction, prediction.cutoff_at)[0])
    return f"{what}: {percent(prediction.p_30d)} within 30 days.{_moved_in_words(earlier)}"


def _moved_in_words(earlier: list[Foretold]) -> str:
    """How the foretold date moved; nothing for a first prediction."""
    if len(earlier) < 2:
        return ""
    first, last = earlier[0], earlier[-1]
    return (
        f" It was foretold {len(earlier)} times since {date_format(localtime(first.cutoff_at))}: then half of the "
        f"futures crossed the limit {first.half_in_words()}, now {last.half_in_words()}."
    )
