"""What was foretold before of the same limit: how the date moved from prediction to prediction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Legend, Range1d
from bokeh.plotting import figure
from django.utils.formats import date_format
from django.utils.timezone import localtime

from predictions.models import Prediction
from sensors.plots.canvas import MONTH_FORMAT, Canvas, paint

HEIGHT = 230
MOST = 40
MARGIN = 0.08
# The two plots stand under each other with the same axis of time, however wide the words of the other axis are.
LEFT_PX, RIGHT_PX = 64, 10


@dataclass(frozen=True, slots=True)
class Foretold:
    """When a limit would be passed, as it was foretold at `cutoff_at`; a date beyond `horizon_at` is None."""

    cutoff_at: datetime
    p10_at: datetime | None
    p50_at: datetime | None
    p90_at: datetime | None
    horizon_at: datetime

    def half_in_words(self) -> str:
        return (
            "not within the horizon" if self.p50_at is None else f"by {date_format(localtime(self.p50_at))}"
        )


def read_earlier(prediction: Prediction, *, begin: datetime) -> list[Foretold]:
    """What was foretold of a prediction's limit since the last repair and `begin`, itself the last.

    Of more than MOST some evenly spaced ones are taken, the first and the last among them. Empty for a prediction
    without a forecast.
    """
    if prediction.p_30d is None:
        return []
    repairs = prediction.sensor.baselines.filter(started_at__lte=prediction.cutoff_at)
    repaired_at = repairs.order_by("-started_at").values_list("started_at", flat=True).first()
    rows = (
        Prediction.objects.made()
        .filter(sensor=prediction.sensor_id, limit=prediction.limit_id, made_at__lte=prediction.made_at)
        .filter(cutoff_at__gte=max(begin, repaired_at or begin))
        .order_by("made_at", "pk")
        .values_list("cutoff_at", "passes_p10_at", "passes_p50_at", "passes_p90_at", "horizon_days")
    )
    foretold = [Foretold(*row, cutoff + timedelta(days=days)) for *row, days in rows for cutoff in row[:1]]
    places = np.unique(np.linspace(0, len(foretold) - 1, MOST).round().astype(int)) if foretold else []
    return [foretold[place] for place in places]


def plot_earlier(earlier: list[Foretold], above: Canvas) -> figure:
    """A bar per prediction at the height of its day, from P10 to P90 with a dot at P50, below the plot `above`.

    Where no tenth of the futures passed the limit there is a triangle at the end of the horizon instead.
    """
    look = above.look
    made_on = [above.at(one.cutoff_at) for one in earlier]
    room = (made_on[-1] - made_on[0]) * MARGIN or 1.0
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        y_axis_type="datetime",
        x_range=above.figure.x_range,
        y_range=Range1d(made_on[0] - room, made_on[-1] + room),
        x_axis_label="when the limit is passed, as it was foretold",
        y_axis_label="foretold on",
        tools="",
        toolbar_location=None,
    )
    plot.add_layout(Legend(orientation="horizontal", ncols=3, margin=0, padding=2), "above")
    paint(plot, look)
    for one in (plot, above.figure):
        one.min_border_left, one.min_border_right = LEFT_PX, RIGHT_PX
    plot.xaxis.formatter.months = MONTH_FORMAT
    plot.xaxis.ticker.desired_num_ticks, plot.yaxis.ticker.desired_num_ticks = 5, 4
    plot.line(made_on, made_on, line_color=look.soft, line_dash="dotted", legend_label="that day")
    _draw_bars(plot, earlier, above)
    beyond = [one for one in earlier if one.p10_at is None]
    if beyond:
        plot.scatter(
            [above.at(one.horizon_at) for one in beyond],
            [above.at(one.cutoff_at) for one in beyond],
            marker="triangle",
            angle=-np.pi / 2,
            size=7,
            color=look.soft,
            legend_label="not in the horizon",
        )
    return plot


def _draw_bars(plot: figure, earlier: list[Foretold], above: Canvas) -> None:
    passing = [one for one in earlier if one.p10_at is not None]
    if not passing:
        return
    # Open to the right where the last tenths do not pass it.
    latest = [above.at(one.p90_at or one.horizon_at) for one in passing]
    source = ColumnDataSource(
        {
            "made": [above.at(one.cutoff_at) for one in passing],
            "p10": [above.at(one.p10_at) for one in passing],
            "p50": [np.nan if one.p50_at is None else above.at(one.p50_at) for one in passing],
            "p90": latest,
        }
    )
    bars = plot.segment(
        "p10",
        "made",
        "p90",
        "made",
        source=source,
        line_color=above.look.critical,
        line_alpha=0.35,
        line_width=4,
        legend_label="8 in 10",
    )
    plot.scatter("p50", "made", source=source, size=6, color=above.look.critical, legend_label="half")
    plot.add_tools(
        HoverTool(
            renderers=[bars],
            tooltips=[
                ("foretold on", "@made{%F %H:%M}"),
                ("1 in 10", "@p10{%F}"),
                ("half", "@p50{%F}"),
                ("9 in 10", "@p90{%F}"),
            ],
            formatters={f"@{name}": "datetime" for name in ("made", "p10", "p50", "p90")},
            visible=False,
        )
    )
