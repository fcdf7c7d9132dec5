"""A sensor's readings with its limits, anomalies and repairs."""

from datetime import datetime, timedelta

from bokeh.plotting import figure
from django.db.models import Q
from django.utils.text import capfirst

from sensors.models import Anomaly, AnomalyStatus, Limit, Sensor
from sensors.plots.canvas import LIGHT, Canvas, Look, draw_repairs, level_label
from sensors.plots.series import Series, read_series
from sensors.unit_signs import number, with_unit
from sensors.wording import silence_in_words
from smartmaint import clock

BEFORE_ANOMALY = timedelta(days=2)
AFTER_ANOMALY = timedelta(days=1)
MAX_ANOMALIES = 200


def plot_sensor(
    sensor: Sensor, *, begin: datetime, end: datetime, look: Look = LIGHT, series: Series | None = None
) -> figure:
    """Readings or their means over (begin, end], limits, shaded anomalies, and the marks of repairs."""
    series = series if series is not None else read_series(sensor, begin=begin, end=end)
    canvas = Canvas(
        begin=begin,
        end=end,
        zone=sensor.organization.zone,
        quantity=sensor.quantity,
        unit=sensor.unit,
        look=look,
    )
    _shade_anomalies(canvas, sensor)
    canvas.draw_series(series, label="mean and range" if series.is_of_means else "readings", color=look.line)
    failure_limits = set(Limit.objects.outermost().filter(sensor=sensor).values_list("pk", flat=True))
    for limit in sensor.limits.filter(is_active=True):
        label = level_label(limit.level, limit.value, sensor.unit)
        canvas.draw_level(limit.value, label=label, is_outermost=limit.pk in failure_limits)
    draw_repairs(canvas, sensor.baselines.values_list("started_at", flat=True))
    return canvas.finish()


def _shade_anomalies(canvas: Canvas, sensor: Sensor) -> None:
    colors = {
        AnomalyStatus.CREDIBLE: canvas.look.critical,
        AnomalyStatus.SUSPECTED_FALSE: canvas.look.soft,
    }
    in_sight = sensor.anomalies.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gte=canvas.begin), started_at__lte=canvas.end
    )
    for anomaly in in_sight[:MAX_ANOMALIES]:
        color = colors.get(anomaly.status, canvas.look.warning)
        if anomaly.kind == Anomaly.Kind.NO_DATA:
            color = canvas.look.soft
            canvas.draw_moment(anomaly.started_at, label="no data", color=color, line_dash="dotted")
        canvas.draw_span(anomaly.started_at, anomaly.ended_at, color=color)


def window_around(anomaly: Anomaly) -> tuple[datetime, datetime]:
    """The time that shows what an anomaly stood out from, and how it went on."""
    begin, ended_at = anomaly.started_at - BEFORE_ANOMALY, anomaly.ended_at or clock.now()
    return begin, min(ended_at + AFTER_ANOMALY, clock.now())


def describe(series: Series, sensor: Sensor) -> str:
    """The plot for those who do not see it; says that there is nothing when there is nothing."""
    name = sensor.name or sensor.key
    silence = sensor.anomalies.open().filter(kind=Anomaly.Kind.NO_DATA).select_related("sensor").first()
    at_last = f" {capfirst(silence_in_words(silence))}." if silence else ""
    if not len(series):
        latest = getattr(sensor, "latest", None)
        return f"{name}: no readings in this time.{at_last}" if latest else f"{name}: no readings yet."
    lowest, highest = series.extremes()
    return (
        f"{name}: {sensor.quantity} between {number(lowest)} and {with_unit(highest, sensor.unit)}, "
        f"{with_unit(series.values[-1], sensor.unit)} at the end.{at_last}"
    )
