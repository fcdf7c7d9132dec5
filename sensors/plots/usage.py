"""What came with a key over time: requests, or what became of their readings, stacked by bucket."""

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.plotting import figure

from sensors.plots.canvas import LIGHT, Canvas, Look
from sensors.services.usage import Rates
from smartmaint.accounts.models import ApiKey

QUANTITIES = ("requests", "readings")
BAR_WIDTH = 0.85


def plot_rates(rates: Rates, api_key: ApiKey, *, quantity: str, look: Look = LIGHT) -> figure:
    """Bars per minute or hour of the window; `quantity` is one of QUANTITIES."""
    canvas = Canvas(
        begin=rates.begin,
        end=rates.begin + rates.window.buckets * rates.window.step,
        zone=api_key.organization.zone,
        quantity=f"{quantity} per {rates.window.unit}",
        unit="",
        look=look,
    )
    stacks = _stacks(rates, quantity, look)
    width = rates.window.step.total_seconds() * 1_000
    starts = np.array(
        [canvas.at(rates.begin + bucket * rates.window.step) for bucket in range(rates.window.buckets)]
    )
    counts = {name: counts for name, (counts, _) in stacks.items()}
    source = ColumnDataSource({"start": starts, "middle": starts + width / 2, **counts})
    bars = canvas.figure.vbar_stack(
        list(stacks),
        x="middle",
        width=width * BAR_WIDTH,
        source=source,
        color=[color for _, color in stacks.values()],
        line_color=None,
        legend_label=list(stacks),
    )
    canvas.figure.add_tools(
        HoverTool(
            renderers=list(bars),
            mode="mouse",
            tooltips=[
                ("from", "@start{%F %H:%M}"),
                *((name, f"@{{{name}}}{{0,0}}") for name in stacks),
            ],
            formatters={"@start": "datetime"},
            visible=False,
        )
    )
    canvas.heights += [0.0, float(np.sum(list(counts.values()), axis=0).max())]
    plot = canvas.finish()
    plot.y_range.start = 0
    plot.yaxis.ticker.min_interval = 1
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    return plot


def _stacks(rates: Rates, quantity: str, look: Look) -> dict[str, tuple[npt.NDArray[np.int64], str]]:
    """Counts and colour by name, from the bottom up; of what may go wrong only what did."""
    if quantity == "requests":
        stacks = {"taken": (rates.requests, look.line)}
        if rates.refused is not None and rates.refused.any():
            stacks["refused"] = (rates.refused, look.critical)
        return stacks
    of = rates.readings
    stacks = {"stored": (of["inserted"] + of["updated"], look.line)}
    for name, color in (("unchanged", look.band), ("held", look.warning), ("rejected", look.critical)):
        if of[name].any():
            stacks[name] = (of[name], color)
    return stacks


def describe_rates(rates: Rates, *, quantity: str) -> str:
    """The plot for those who do not see it; says that there is nothing when there is nothing."""
    if rates.is_empty:
        return f"Nothing came in {rates.window.words}."
    counts = rates.requests if quantity == "requests" else np.sum(list(rates.readings.values()), axis=0)
    return (
        f"{int(counts.sum()):,} {quantity} in {rates.window.words}, at most {int(counts.max()):,} "
        f"in one {rates.window.unit}."
    )
