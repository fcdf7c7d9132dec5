"""The common ground of all plots: colours, axes in the organisation's time, lines, limits and marks.

BokehJS knows no time zones: moments are shifted on the server to what the organisation's clocks showed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from bokeh.models import BoxAnnotation, ColumnDataSource, HoverTool, Label, Legend, Range1d, Span
from bokeh.plotting import figure

from sensors.models import Level
from sensors.plots.series import Series
from sensors.storage import moment
from sensors.unit_signs import number, unit_sign

HEIGHT = 320
MONTH_FORMAT = "%b\n%Y"
# Room above and below what is drawn, as a share of its range.
MARGIN = 0.08
# Words of moments nearer than that share of the time stand above one another, as high as a line each.
LABEL_SHARE, LABEL_PX = 0.3, 15


@dataclass(frozen=True)
class Look:
    """Colours that can be read on a light or on a dark page."""

    ink: str
    soft: str
    grid: str
    line: str
    band: str
    forecast: str
    critical: str
    warning: str
    mark: str


LIGHT = Look(
    ink="#1b262c",
    soft="#52616b",
    grid="#d5dce0",
    line="#1f6583",
    band="#7fb8ce",
    forecast="#7a4fa3",
    critical="#a61b1b",
    warning="#9a4a00",
    mark="#1d6b3a",
)
DARK = Look(
    ink="#e6edf0",
    soft="#a2b3bc",
    grid="#33424b",
    line="#7fb8ce",
    band="#3f7d97",
    forecast="#c9a5ec",
    critical="#ff9d94",
    warning="#ffb876",
    mark="#86d8a1",
)


class Canvas:
    """One figure under construction, of one quantity over [begin, end]."""

    def __init__(
        self, *, begin: datetime, end: datetime, zone: ZoneInfo, quantity: str, unit: str, look: Look
    ) -> None:
        self.zone, self.look, self.unit = zone, look, unit_sign(unit)
        self.begin, self.end = begin, end
        self.heights: list[float] = []
        self.moments: list[datetime] = []
        self.figure = figure(
            height=HEIGHT,
            sizing_mode="stretch_width",
            x_axis_type="datetime",
            x_range=Range1d(self.at(begin), self.at(end)),
            y_range=Range1d(0, 1),
            x_axis_label=f"time in {zone.key}",
            y_axis_label=f"{quantity} ({self.unit})" if self.unit else quantity,
            tools="xpan,xwheel_zoom,xbox_zoom,reset,save",
            # Nothing is on by itself: on a phone a finger over the plot scrolls the page.
            active_drag=None,
            active_scroll=None,
            toolbar_location="above",
        )
        self.figure.add_layout(Legend(orientation="horizontal", ncols=3, margin=0, padding=2), "above")
        paint(self.figure, look)
        self.figure.xaxis.ticker.desired_num_ticks = 5
        # The year below the month: beside it, months touch each other on a phone.
        self.figure.xaxis.formatter.months = MONTH_FORMAT

    def at(self, moment: datetime) -> float:
        """A moment as BokehJS takes it: milliseconds, of the local clock."""
        return moment.astimezone(self.zone).replace(tzinfo=UTC).timestamp() * 1_000

    def at_each(self, ts_us: Iterable[int]) -> npt.NDArray[np.float64]:
        return np.array([self.at(moment(us)) for us in ts_us], dtype=np.float64)

    def draw_series(self, series: Series, *, label: str, color: str) -> None:
        """A line, broken where the sensor was silent, over the range behind its means."""
        self.heights += series.extremes()
        times, gaps = self.at_each(series.ts_us), series.gaps()
        columns = {"time": times, "value": series.values, "low": series.low, "high": series.high}
        source = ColumnDataSource(
            {
                name: np.insert(column, gaps, np.nan if name != "time" else times[gaps])
                for name, column in columns.items()
                if column is not None
            }
        )
        if series.is_of_means:
            self.figure.varea(
                "time", "low", "high", source=source, fill_color=self.look.band, fill_alpha=0.35
            )
        line = self.figure.line(
            "time", "value", source=source, line_color=color, line_width=1.6, legend_label=label
        )
        if len(series) == 1:
            self.figure.scatter("time", "value", source=source, size=6, color=color)
        self._show_values(line)

    def _show_values(self, line: object) -> None:
        self.figure.add_tools(
            HoverTool(
                renderers=[line],
                mode="vline",
                tooltips=[("", "@time{%F %H:%M}"), ("", f"@value{{0.[000]}} {self.unit}")],
                formatters={"@time": "datetime"},
                visible=False,
            )
        )

    def draw_level(self, value: float, *, label: str, is_outermost: bool) -> None:
        """A horizontal line with its words, kept in sight."""
        color = self.look.critical if is_outermost else self.look.warning
        self.heights.append(value)
        self.figure.add_layout(
            Span(location=value, dimension="width", line_color=color, line_dash="dashed", line_width=1.5)
        )
        self._write(5, value, label, color, x_units="screen", y_offset=2)

    def draw_moment(self, moment: datetime, *, label: str, color: str, line_dash: str = "solid") -> None:
        """A vertical line with its words beside its foot, above its neighbours'; nothing outside the plot's time."""
        if not self.begin <= moment <= self.end:
            return
        self.figure.add_layout(
            Span(location=self.at(moment), dimension="height", line_color=color, line_dash=line_dash)
        )
        length = self.end - self.begin
        is_late = moment - self.begin > length / 2
        line = sum(abs(moment - other) < length * LABEL_SHARE for other in self.moments)
        self.moments.append(moment)
        self._write(
            self.at(moment),
            4 + LABEL_PX * line,
            label,
            color,
            y_units="screen",
            x_offset=-4 if is_late else 4,
            text_align="right" if is_late else "left",
        )

    def draw_span(self, begin: datetime, end: datetime | None, *, color: str, alpha: float = 0.15) -> None:
        """A shaded stretch of time; without an end it goes on."""
        self.figure.add_layout(
            BoxAnnotation(
                level="underlay",
                left=self.at(max(begin, self.begin)),
                right=self.at(min(end or self.end, self.end)),
                fill_color=color,
                fill_alpha=alpha,
                line_color=color,
                line_alpha=0.3,
            )
        )

    def _write(self, x: float, y: float, text: str, color: str, **placement: object) -> None:
        self.figure.add_layout(
            Label(x=x, y=y, text=text, text_color=color, text_font_size="12px", **placement)
        )

    def finish(self) -> figure:
        """Fit the height to all that was drawn."""
        lowest, highest = min(self.heights, default=0.0), max(self.heights, default=1.0)
        room = (highest - lowest) * MARGIN or max(abs(highest), 1.0) * MARGIN
        self.figure.y_range.start, self.figure.y_range.end = lowest - room, highest + 2 * room
        return self.figure


def paint(plot: figure, look: Look) -> None:
    """Give any figure the colours of its page."""
    plot.toolbar.logo = None
    plot.background_fill_color = plot.border_fill_color = None
    plot.outline_line_color = plot.grid.grid_line_color = look.grid
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = look.soft
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = look.soft
        axis.axis_label_text_font_style = "normal"
    for legend in plot.legend:
        legend.background_fill_color = legend.border_line_color = None
        legend.label_text_color, legend.label_text_font_size = look.soft, "12px"


def level_label(level: str, value: float, unit: str) -> str:
    return f"{Level(level).label} {number(value, digits=6)} {unit_sign(unit)}".rstrip()


def draw_repairs(canvas: Canvas, started_at: Sequence[datetime]) -> None:
    for repaired_at in started_at:
        canvas.draw_moment(repaired_at, label="repaired", color=canvas.look.mark, line_dash="dashed")
