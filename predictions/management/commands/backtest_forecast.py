"""`manage.py backtest_forecast FILE.csv ...`: how our forecasts of a file would have done, beside Prophet's."""

import json
import math
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from django.core.management.base import BaseCommand, CommandError
from numpy.typing import NDArray

from predictions.forecasting.backtest import Figures, compare, cut_windows
from predictions.forecasting.grid import Grid, to_grid

# Epochs count seconds, milliseconds, microseconds or nanoseconds, told apart by their size.
EPOCH_UNITS = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))

COLUMNS = ("mase", "coverage_80", "coverage_95", "pinball", "seconds")


class Command(BaseCommand):
    help = (
        "Forecast a CSV file's own past from rolling origins and compare ours, Prophet with its defaults and the "
        "seasonal naive forecast: MASE (scaled by the error of the naive forecast of one cycle within the context), "
        "coverage of the 80 %% and 95 %% intervals, mean pinball loss, seconds. No database is read."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--time", required=True, help="column with the time: ISO 8601 or epoch")
        parser.add_argument("--value", required=True, help="column with the number")
        parser.add_argument("--context", type=int, required=True, help="points before each origin")
        parser.add_argument("--horizon", type=int, required=True, help="points after each origin")
        parser.add_argument("--stride", type=int, required=True, help="points from one origin to the next")
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")

    def handle(
        self, *, file: Path, time: str, value: str, context: int, horizon: int, stride: int, **options
    ):
        try:
            grid = self.read(file, time, value)
            windows = cut_windows(grid, context=context, horizon=horizon, stride=stride)
        except ValueError as error:
            raise CommandError(f"{file}: {error}") from error
        figures = compare(windows, progress=lambda words: self.stderr.write(words))
        unknown = [name for name, one in figures.items() if not all(map(math.isfinite, asdict(one).values()))]
        if unknown:
            raise CommandError(
                f"{file}: the series does not move, MASE has no meaning for {', '.join(unknown)}."
            )
        if options["json"]:
            self.stdout.write(json.dumps({name: asdict(one) for name, one in figures.items()}))
        else:
            self.stdout.write(table(figures))

    def read(self, file: Path, time_column: str, value_column: str) -> Grid:
        try:
            frame = pd.read_csv(file, low_memory=False)
        except (OSError, pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        for column in (time_column, value_column):
            if column not in frame.columns:
                raise CommandError(
                    f"{file} has no column {column!r}; it has {', '.join(map(str, frame.columns))}."
                )
        values = pd.to_numeric(frame[value_column], errors="coerce").to_numpy(dtype=np.float64)
        ts_us, readable = instants(frame[time_column])
        values = np.where(np.isfinite(values), values, np.nan)
        numbers = np.isfinite(values) & readable
        if not numbers.any():
            raise CommandError(
                f"{file}: no row has both a time in {time_column!r} and a number in {value_column!r}."
            )
        if not numbers.all():
            self.stderr.write(
                f"{len(numbers) - int(numbers.sum())} of {len(numbers)} rows have no time or no number"
            )
        return to_grid(ts_us[numbers], values[numbers])


def instants(column: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since the epoch (rows,) and whether each could be read. Naive times are taken as UTC."""
    if pd.api.types.is_numeric_dtype(column):
        size = float(np.nanmedian(np.abs(column.to_numpy(dtype=np.float64)))) if column.notna().any() else 0.0
        unit = next((unit for limit, unit in EPOCH_UNITS if size < limit), "ns")
        when = pd.to_datetime(column, unit=unit, utc=True, errors="coerce")
    else:
        when = pd.to_datetime(column, utc=True, errors="coerce", format="mixed")
    readable = when.notna().to_numpy()
    ts_us = when.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype(np.int64)
    return ts_us, readable


def table(figures: dict[str, Figures]) -> str:
    """The figures side by side."""
    lines = [f"{'':16}" + "".join(f"{name:>13}" for name in COLUMNS)]
    for name, one in figures.items():
        numbers = asdict(one)
        lines.append(f"{name:16}" + "".join(f"{numbers[column]:13.4g}" for column in COLUMNS))
    return "\n".join(lines)
