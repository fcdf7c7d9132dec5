"""The reliability diagram: what was foretold against how often it happened."""

from collections.abc import Sequence

from bokeh.models import ColumnDataSource, HoverTool, LabelSet, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from predictions.accuracy import ENOUGH_IN_BIN, Bin
from sensors.plots import LIGHT, Look
from sensors.plots.canvas import HEIGHT, paint

# A little room around 0 and 1, or the points there would be cut in half; and at the top for a count.
SHARES, HEIGHTS = (-0.04, 1.04), (-0.04, 1.12)


def plot_reliability(bins: Sequence[Bin], *, days: int, look: Look = LIGHT) -> figure:
    """A point with its 95 % interval and its count for each bin that has enough; on the diagonal all is well."""
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_range=Range1d(*SHARES),
        y_range=Range1d(*HEIGHTS),
        x_axis_label=f"probability foretold for {days} days",
        y_axis_label="share that failed",
        tools="save",
        toolbar_location="above",
    )
    paint(plot, look)
    for axis in plot.axis:
        axis.formatter = NumeralTickFormatter(format="0%")
    plot.line([0, 1], [0, 1], line_color=look.soft, line_dash="dashed")
    told = _told(bins)
    source = ColumnDataSource(
        {
            "foretold": [one.foretold for one in told],
            "observed": [one.observed for one in told],
            "low": [one.observed_low for one in told],
            "high": [one.observed_high for one in told],
            "count": [one.count for one in told],
            "words": [f"{one.count:,}" for one in told],
        }
    )
    plot.segment("foretold", "low", "foretold", "high", source=source, line_color=look.band, line_width=3)
    points = plot.scatter("foretold", "observed", source=source, size=9, color=look.line)
    plot.add_layout(
        LabelSet(
            x="foretold",
            y="high",
            text="words",
            source=source,
            y_offset=3,
            text_align="center",
            text_color=look.ink,
            text_font_size="11px",
        )
    )
    plot.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=[
                ("foretold", "@foretold{0.0%}"),
                ("failed", "@observed{0.0%}"),
                ("interval", "@low{0.0%} to @high{0.0%}"),
                ("predictions", "@count{0,0}"),
            ],
            visible=False,
        )
    )
    return plot


def describe_reliability(bins: Sequence[Bin], *, days: int) -> str:
    """The plot for those who do not see it; says that there is not enough when there is not."""
    told = _told(bins)
    if not told:
        return (
            f"Not enough data: none of the ten classes of probability has {ENOUGH_IN_BIN} predictions whose "
            f"{days} days have passed."
        )
    points = "; ".join(
        f"{one.foretold:.0%} foretold, {one.observed:.0%} failed (of {one.count:,})" for one in told
    )
    return f"Within {days} days: {points}."


def _told(bins: Sequence[Bin]) -> list[Bin]:
    return [one for one in bins if one.observed is not None]
