"""A page with a plot per machine: its readings day by day, what was believed, proposed, reported and what failed."""

from datetime import UTC
from zoneinfo import ZoneInfo

import numpy as np
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import Legend, Span
from bokeh.plotting import figure
from bokeh.resources import INLINE
from numpy.typing import NDArray

from maintenance.replay.past import Past
from maintenance.replay.report import Report
from sensors.plots.canvas import LIGHT, paint
from sensors.storage import microseconds, moment

# So many points are seen across a page; more only make it slow.
POINTS = 600
COLORS = ("#3b7dd8", "#2a9d8f", "#8a63d2", "#b07d2b", "#6c757d", "#c2558f")
MARKS = {
    "failure": {"line_color": "#c1121f", "line_width": 2},
    "task": {"line_color": "#e07a00", "line_width": 2, "line_dash": "dashed"},
    "credible anomaly": {"line_color": "#e07a00", "line_width": 1, "line_dash": "dotted"},
    "event": {"line_color": "#6c757d", "line_width": 1, "line_alpha": 0.4},
}


# Without it a phone shows the page as if it were a desk's, and everything tiny.
PAGE = (
    '{% block preamble %}<meta name="viewport" content="width=device-width, initial-scale=1">{% endblock %}'
)


def plots_page(past: Past, report: Report, *, zone: ZoneInfo, name: str) -> str:
    """An HTML page that holds all that it needs, and opens without a network."""
    figures = [_plot_machine(machine, past, report, zone) for machine in past.kinds]
    layout = column(*figures, sizing_mode="stretch_width")
    return file_html(layout, INLINE, name, template=PAGE)


def _plot_machine(machine: str, past: Past, report: Report, zone: ZoneInfo) -> figure:
    plot = figure(
        title=f"Machine {machine}, times in {zone.key}",
        height=320,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        y_axis_label="standard deviations",
        x_range=(_shown(past.begins_us, zone), _shown(past.ends_us, zone)),
        tools="xpan,xwheel_zoom,box_zoom,reset",
        # Nothing is on by itself: on a phone a finger over the plot scrolls the page.
        active_drag=None,
        active_scroll=None,
    )
    plot.add_layout(Legend(orientation="horizontal", ncols=3, margin=0, padding=2), "above")
    own = [series for series in past.series if series.machine == machine]
    for series, color in zip(own, COLORS * len(own), strict=False):
        ts_us, values = _thinned(series.ts_us, series.values)
        plot.line(
            [_shown(at_us, zone) for at_us in ts_us.tolist()], values, color=color, legend_label=series.name
        )
    moments = {
        "event": [one.at_us for one in past.events if one.machine == machine],
        "credible anomaly": [at_us for of, at_us in report.anomalies if of == machine],
        "task": [microseconds(task.created_at) for task in report.tasks if task.machine == machine],
        "failure": [at_us for of, at_us in report.failures if of == machine],
    }
    for name, times in moments.items():
        plot.line([np.nan], [np.nan], legend_label=name, **MARKS[name])
        for at_us in times:
            plot.add_layout(Span(location=_shown(at_us, zone), dimension="height", **MARKS[name]))
    paint(plot, LIGHT)
    return plot


def _shown(at_us: int, zone: ZoneInfo) -> float:
    """A moment as BokehJS takes it, which knows no time zones: milliseconds, of the local clock."""
    return moment(at_us).astimezone(zone).replace(tzinfo=UTC).timestamp() * 1e3


def _thinned(
    ts_us: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Means of neighbouring readings, about `POINTS` of them, in standard deviations from the sensor's median."""
    size = max(1, len(values) // POINTS)
    whole = len(values) // size * size
    means = values[:whole].reshape(-1, size).mean(axis=1)
    spread = float(np.std(values)) or 1.0
    return ts_us[:whole:size], (means - np.median(values)) / spread
