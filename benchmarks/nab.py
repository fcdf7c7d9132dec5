"""The score of the Numenta Anomaly Benchmark, as Numenta publishes it, in its standard profile.

The first 15 % of a file's rows, at most 750, do not count. The best alarm inside a labelled window earns up to 1, the
more the earlier it is; a window without one costs 1; an alarm outside costs up to .11. 0 is what no alarm at all earns,
100 what every window hit at its first row does.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensors.ingest.timestamps import timestamps_us

_FALSE_ALARM = 0.11


@dataclass(frozen=True)
class Labelled:
    """A file of the benchmark: moments in µs, values, and for each row its window (-1: none) and its weight."""

    name: str
    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]
    first_counted: int
    window: NDArray[np.int64]
    weight: NDArray[np.float64]

    @property
    def windows(self) -> int:
        return int(self.window.max()) + 1

    def score(self, scores: NDArray[np.float64], threshold: float = 0.5) -> float:
        """What the alarms at the threshold earn and cost."""
        is_alarm = scores >= threshold
        is_alarm[: self.first_counted] = False
        total = _FALSE_ALARM * float(self.weight[is_alarm & (self.window < 0)].sum())
        for window in range(self.windows):
            hit = is_alarm & (self.window == window)
            total += float(self.weight[hit].max()) if hit.any() else -1.0
        return total


def read_corpus(folder: Path) -> list[Labelled]:
    """The files of `folder` (with `data` and `labels`), by name."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [
        _read(path, labels[f"{path.parent.name}/{path.name}"])
        for path in sorted((folder / "data").rglob("*.csv"))
    ]


def normalised(files: list[Labelled], scores: dict[str, NDArray[np.float64]]) -> float:
    """The benchmark's score of these files, 100 at best."""
    windows = sum(file.windows for file in files)
    total = sum(file.score(scores[file.name].copy()) for file in files)
    return 100 * (total + windows) / (2 * windows)


def _read(path: Path, windows: list[list[str]]) -> Labelled:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ts_us = _moments([row["timestamp"] for row in rows])
    window, weight = _weigh(ts_us, [_moments(edges) for edges in windows])
    return Labelled(
        name=f"{path.parent.name}/{path.name}",
        ts_us=ts_us,
        values=np.array([float(row["value"]) for row in rows]),
        first_counted=math.floor(min(0.15 * len(rows), 0.15 * 5000)),
        window=window,
        weight=weight,
    )


def _moments(texts: list[str]) -> NDArray[np.int64]:
    return timestamps_us([f"{text}Z" for text in texts])


def _weigh(
    ts_us: NDArray[np.int64], windows: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    window, weight = np.full(len(ts_us), -1), np.full(len(ts_us), -1.0)
    bounds = []
    for number, (left_us, right_us) in enumerate(windows):
        rows = np.flatnonzero((ts_us >= left_us) & (ts_us <= right_us))
        bounds.append((int(rows[0]), int(rows[-1])))
        window[rows[0] : rows[-1] + 1] = number
    for number, (left, right) in enumerate(bounds):
        width = right - left + 1
        inside = np.arange(left, right + 1)
        weight[inside] = _sigmoid((inside - right - 1) / width) / _sigmoid(np.array(-1.0))
        following = bounds[number + 1][0] if number + 1 < len(bounds) else len(ts_us)
        after = np.arange(right + 1, following)
        distance = (after - right) / max(width - 1, 1)
        weight[after] = np.where(distance > 3, -1.0, _sigmoid(distance))
    return window, weight


def _sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 / (1 + np.exp(5 * y)) - 1
