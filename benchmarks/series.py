"""Hourly series to forecast: invented ones, and windows of public data where it is at hand."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import HOUR_S, SECOND_US, bucket_medians

HOURS = 1_000
LEAST_HOURS = 504  # three weeks, so that a weekly cycle can be fitted
ETT = Path("ett/ETTh1.csv")
NAB = Path("nab/data")
ETT_WINDOWS, NAB_WINDOWS, LARGEST_SHARE_MISSING = 70, 30, 0.5

Floats = NDArray[np.float64]


def plain_fleet(series: int, hours: int = HOURS) -> Floats:
    """Series (s, hours) of 0..1: lines that bend up to three times, daily and weekly cycles, normal noise."""
    rng = np.random.default_rng(2018)
    hour = np.arange(hours)
    values = np.cumsum(rng.normal(0.0, 1.0, (series, 1)) * np.ones(hours), axis=1) / hours * 5
    for _ in range(3):
        begins = rng.uniform(0, hours, (series, 1))
        values += rng.laplace(0.0, 5.0, (series, 1)) * np.maximum(hour - begins, 0.0) / hours
    for period, size in ((24, 3.0), (12, 1.0), (168, 2.0)):
        phase = rng.uniform(0.0, 1.0, (series, 1))
        values += rng.uniform(0.0, size, (series, 1)) * np.sin(2 * np.pi * (hour / period + phase))
    values += rng.uniform(0.1, 2.0, (series, 1)) * rng.normal(size=(series, hours))
    return scaled(values)


def slow_fleet(series: int, hours: int = HOURS) -> Floats:
    """The same with slow noise on top, which fades over a day and a half and which a trend follows in part."""
    rng = np.random.default_rng(2019)
    shocks = rng.normal(0.0, 0.05, (series, hours)) * rng.uniform(0.0, 1.0, (series, 1))
    for hour in range(1, hours):
        shocks[:, hour] += 0.97 * shocks[:, hour - 1]
    return scaled(plain_fleet(series, hours) + shocks)


def with_gaps(values: Floats, share: float = 0.05) -> Floats:
    """The same without a `share` of the hours, other ones for each series."""
    missing = np.random.default_rng(2020).uniform(size=values.shape) < share
    return np.where(missing, np.nan, values)


def scaled(values: Floats) -> Floats:
    """To 0..1 per series (s, n), NaN where one is missing."""
    low = np.nanmin(values, axis=1, keepdims=True)
    return (values - low) / (np.nanmax(values, axis=1, keepdims=True) - low)


def invented(count: int) -> list[Floats]:
    """A mixture of `count` series (hours,): with and without slow noise, a quarter of them with gaps."""
    values = np.concatenate((plain_fleet(count - count // 2), slow_fleet(count // 2)))
    values[::4] = scaled(with_gaps(values[::4]))
    return list(values)


def real(folder: Path) -> list[Floats]:
    """Windows (hours,) of 0..1 of the transformers of ETT and the hourly medians of NAB; empty without `folder`."""
    return [
        *_spread(list(_windows(_transformers(folder / ETT))), ETT_WINDOWS),
        *_spread(list(_windows(_nab(folder / NAB))), NAB_WINDOWS),
    ]


def _windows(series: Iterator[Floats]) -> Iterator[Floats]:
    """Windows of up to HOURS, a third of one apart, that are not mostly missing and do move."""
    for values in series:
        for begin in range(0, max(len(values) - HOURS, 0) + 1, HOURS // 3):
            window = values[begin : begin + HOURS]
            if np.isnan(window).mean() < LARGEST_SHARE_MISSING and np.nanmax(window) > np.nanmin(window):
                yield scaled(window[None])[0]


def _spread(windows: list[Floats], count: int) -> list[Floats]:
    """`count` of them, evenly."""
    return [
        windows[place] for place in np.unique(np.linspace(0, len(windows) - 1, count).astype(int)) if windows
    ]


def _transformers(path: Path) -> Iterator[Floats]:
    if path.exists():
        yield from np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 8)).T


def _nab(folder: Path) -> Iterator[Floats]:
    for path in sorted(folder.glob("real*/*.csv")):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        at = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows]
        starts, medians = bucket_medians(
            ts_us=np.array([int(moment.timestamp()) * SECOND_US for moment in at]),
            values=np.array([float(row["value"]) for row in rows]),
            bucket_s=HOUR_S,
        )
        index = (starts - starts[0]) // (HOUR_S * SECOND_US)
        if index[-1] >= LEAST_HOURS:
            values = np.full(index[-1] + 1, np.nan)
            values[index] = medians
            yield values
