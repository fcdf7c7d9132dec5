"""A page with a plot per machine: its readings day by day, what was believed, proposed, reported and what failed."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import Span
from bokeh.plotting import figure
from bokeh.resources import INLINE
from numpy.typing import NDArray

from maintenance.replay.past import Past
from maintenance.replay.report import Report
from sensors.storage import microseconds

# So many points are seen across a page; more only make it slow.
POINTS = 600
COLORS = ("#3b7dd8", "#2a9d8f", "#8a63d2", "#b07d2b", "#6c757d", "#c2558f")
MARKS = {
    "failure": {"line_color": "#c1121f", "line_width": 2},
    "task": {"line_color": "#e07a00", "line_width": 2, "line_dash": "dashed"},
    "credible anomaly": {"line_color": "#e07a00", "line_width": 1, "line_dash": "dotted"},
    "event": {"line_color": "#6c757d", "line_width": 1, "line_alpha": 0.4},
}


def save_plots(past: Past, report: Report, path: Path, *, zone: ZoneInfo) -> None:
    """Write the page: it holds all that it needs, and opens without a network."""
    figures = [_plot_machine(machine, past, report) for machine in past.kinds]
    page = file_html(column(*figures, sizing_mode="stretch_width"), INLINE, "Replay")
    path.write_text(page, encoding="utf-8")


def _plot_machine(machine: str, past: Past, report: Report) -> figure:
    plot = figure(
        title=f"Machine {machine}",
        height=260,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        y_axis_label="standard deviations",
        x_range=(past.begins_us / 1e3, past.ends_us / 1e3),
        tools="xpan,xwheel_zoom,box_zoom,reset",
    )
    own = [series for series in past.series if series.machine == machine]
    for series, color in zip(own, COLORS * len(own), strict=False):
        at_ms, values = _thinned(series.ts_us, series.values)
        plot.line(at_ms, values, color=color, legend_label=series.name)
    moments = {
        "event": [one.at_us for one in past.events if one.machine == machine],
        "credible anomaly": [at_us for of, at_us in report.anomalies if of == machine],
        "task": [microseconds(task.created_at) for task in report.tasks if task.machine == machine],
        "failure": [at_us for of, at_us in report.failures if of == machine],
    }
    for name, times in moments.items():
        plot.line([], [], legend_label=name, **MARKS[name])
        for at_us in times:
            plot.add_layout(Span(location=at_us / 1e3, dimension="height", **MARKS[name]))
    plot.legend.orientation = "horizontal"
    plot.legend.location = "top_left"
    plot.legend.label_text_font_size = "8pt"
    return plot


def _thinned(
    ts_us: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of neighbouring readings, about `POINTS` of them, in standard deviations from the sensor's median."""
    size = max(1, len(values) // POINTS)
    whole = len(values) // size * size
    means = values[:whole].reshape(-1, size).mean(axis=1)
    spread = float(np.std(values)) or 1.0
    return ts_us[:whole:size] / 1e3, (means - np.median(values)) / spread
