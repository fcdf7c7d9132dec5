"""Machines that were run until they failed, as the product sees them: IMS bearings, engines of C-MAPSS FD001."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_US, SECOND_US
from predictions.forecasting.request import LimitTarget

IMS_FILE = "1st_test_resmaple_10minutes.csv"
IMS_INTERVAL_S = 600.0
HEALTHY_DAYS = 5  # of operation, from the first reading on
# Usual steps above a healthy level: a quarter more is a change worth a look (ISO 20816-1), twice as much is 6 dB.
TIMES_HEALTHY = (1.25, 2.0)
IMS_ON_DELAY_S = 2 * IMS_INTERVAL_S  # three readings in a row: one alone may be an error

CMAPSS_FILE = "train_FD001.txt"
SENSORS = 21
CYCLE_S = 86_400.0  # a flight a day
LAST_CYCLES = 5
CMAPSS_ON_DELAY_S = 2 * CYCLE_S  # three flights in a row

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """One series until the end of its machine; `failed_us` is when what is to be foretold came true, None for never.
    Before `asked_from_us` the limit was not known yet.

    `ts_us` and `values` (n,) are all readings. What a forecast may see of them is up to who asks.
    """

    name: str
    ts_us: NDArray[np.int64]
    values: Floats
    limit: LimitTarget
    interval_s: float
    failed_us: int | None
    asked_from_us: int


def bearings(folder: Path) -> list[Life]:
    """The eight accelerometers of the IMS run, each against both limits above the healthy level of its first days.

    Foretold is when three readings in a row are beyond the limit. A bearing of which there never were three has nothing
    to foretell. Nothing is asked before the healthy days are over: until then there is no limit.
    """
    frame = pd.read_csv(folder / IMS_FILE)
    stamps = pd.to_datetime(frame["Datetime"], format="%Y.%m.%d.%H.%M.%S")
    ts_us = stamps.to_numpy("datetime64[us]").astype(np.int64)
    lives = []
    for name in frame.columns[frame.columns.str.startswith("Bearing")]:
        values = frame[name].to_numpy(dtype=np.float64)
        known = first_days(ts_us, HEALTHY_DAYS)
        healthy = float(np.median(values[:known]))
        for times in TIMES_HEALTHY:
            limit = LimitTarget(name, times * healthy, "high", IMS_ON_DELAY_S)
            failed_us = passed_at(ts_us, values, limit)
            title = f"{name} x {times:g}"
            lives.append(
                Life(title, ts_us, values, limit, IMS_INTERVAL_S, failed_us, asked_from_us=int(ts_us[known]))
            )
    return lives


def first_days(ts_us: NDArray[np.int64], days: int) -> int:
    """How many readings lie in the first so many days of operation; a pause of the machine does not count."""
    steps = np.minimum(np.diff(ts_us, prepend=ts_us[0]), int(3 * IMS_INTERVAL_S * SECOND_US))
    return int(np.searchsorted(steps.cumsum(), days * DAY_US))


def passed_at(ts_us: NDArray[np.int64], values: Floats, limit: LimitTarget) -> int | None:
    """When readings had been beyond a limit for its on-delay, the product's own rule; None for never."""
    began: int | None = None
    for instant, is_beyond in zip(ts_us.tolist(), limit.are_crossed_by(values).tolist(), strict=True):
        began = (instant if began is None else began) if is_beyond else None
        if began is not None and instant - began >= limit.on_delay_s * SECOND_US:
            return int(instant)
    return None


def engines(folder: Path) -> tuple[list[Life], dict[str, object]]:
    """The engines with even numbers; sensor and limit come from those with odd numbers. Foretold is the last cycle.

    The sensor is the one whose last levels lie closest together among the learning engines, in units of how far they
    moved; the limit is the median of these levels.
    """
    table = np.loadtxt(folder / CMAPSS_FILE)
    by_engine = {
        int(number): table[table[:, 0] == number, 5 : 5 + SENSORS] for number in np.unique(table[:, 0])
    }
    learning = {number: rows for number, rows in by_engine.items() if number % 2}
    sensor, limit = learn_limit(learning)
    lives = []
    for number, rows in by_engine.items():
        if number % 2:
            continue
        ts_us = np.arange(1, len(rows) + 1, dtype=np.int64) * int(CYCLE_S * SECOND_US)
        lives.append(
            Life(
                f"engine {number}",
                ts_us,
                rows[:, sensor],
                limit,
                CYCLE_S,
                failed_us=int(ts_us[-1]),
                asked_from_us=int(ts_us[0]),
            )
        )
    return lives, {"sensor": sensor + 1, "limit": limit.value, "direction": limit.direction}


def learn_limit(engines_by_number: Mapping[int, Floats]) -> tuple[int, LimitTarget]:
    """The sensor (its column) that tells the end best, and its median level there."""
    first = np.stack([np.median(rows[:LAST_CYCLES], axis=0) for rows in engines_by_number.values()])
    last = np.stack([np.median(rows[-LAST_CYCLES:], axis=0) for rows in engines_by_number.values()])
    moved = np.median(last - first, axis=0)
    spread = np.median(np.abs(last - np.median(last, axis=0)), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        telling = np.where(spread > 0, np.abs(moved) / spread, 0.0)
    sensor = int(telling.argmax())
    direction = "high" if moved[sensor] > 0 else "low"
    return sensor, LimitTarget(
        f"sensor {sensor + 1}", float(np.median(last[:, sensor])), direction, CMAPSS_ON_DELAY_S
    )
