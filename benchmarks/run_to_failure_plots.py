"""Pictures of what was foretold in lives that ended, as small SVG files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.run_to_failure_told import Told
from predictions.forecasting.result import HORIZON_DAYS

# Letters as letters, not as curves: a third of the size.
mpl.rcParams["svg.fonttype"] = "none"
INK, FORETOLD, RIGHT = "#1b262c", "#7a4fa3", "#1d6b3a"


def draw_bearings(told: Sequence[Told], tolerance_days: float, path: Path) -> None:
    """A panel per life that ended: days foretold (P10 to P90, median) against those that were left."""
    ended = [one for one in told if one.life.failed_us is not None]
    rows = -(-len(ended) // 2)
    figure = Figure(figsize=(8, 2.4 * rows), layout="constrained")
    for place, one in enumerate(ended):
        panel = figure.add_subplot(rows, 2, place + 1)
        left = one.true_days
        horizon = float(HORIZON_DAYS)
        low, high = (np.nan_to_num(row, nan=horizon) for row in (one.days[0], one.days[2]))
        panel.vlines(
            left[one.was_possible], low[one.was_possible], high[one.was_possible], FORETOLD, alpha=0.35
        )
        panel.plot(left, one.days[1], "o", color=FORETOLD, markersize=3)
        _draw_truth(panel, float(left.max()), tolerance_days)
        panel.set(title=f"{one.life.name}, {one.life.limit.value:.3f}", ylim=(0, horizon + 2))
        panel.set(xlabel="days that were left", ylabel="days foretold")
    figure.savefig(path)


def draw_engines(told: Sequence[Told], tolerance_days: float, path: Path) -> None:
    """All medians against the cycles that were left, a thin line per engine."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    panel = figure.add_subplot()
    for one in told:
        panel.plot(one.true_days, one.days[1], "-o", color=FORETOLD, alpha=0.35, linewidth=0.8, markersize=2)
    _draw_truth(panel, 90, tolerance_days)
    panel.set(xlim=(90, 0), ylim=(0, 95), xlabel="cycles that were left", ylabel="cycles foretold (median)")
    figure.savefig(path)


def _draw_truth(panel: object, most: float, tolerance_days: float) -> None:
    ends = np.array([most, 0.0])
    panel.fill_between(
        ends, ends - tolerance_days, ends + tolerance_days, color=RIGHT, alpha=0.15, linewidth=0
    )  # type: ignore[attr-defined]
    panel.plot(ends, ends, color=INK, linewidth=0.8)  # type: ignore[attr-defined]
    panel.set_xlim(most, 0)  # type: ignore[attr-defined]
