"""Scores a series in a CSV file as the product would, without storing anything."""

import csv
import math
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensors.detection.series import score_series
from sensors.ingest.timestamps import timestamps_us


class Command(BaseCommand):
    help = (
        "Reads a CSV file with a header and one reading a line, in order of time, and writes as many lines with the "
        "columns of time, value and anomaly_score. A score lies in [0, 1] and hangs on the lines before it only; from "
        "0.5 on the product would notice an anomaly. A line that is not newer than all before it scores 0, and so "
        "does one whose value is no number."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("input", type=Path, metavar="IN.csv")
        parser.add_argument("output", type=Path, metavar="OUT.csv")
        parser.add_argument(
            "--time",
            default="timestamp",
            metavar="COL",
            help="column of the moments, in UTC (default: timestamp)",
        )
        parser.add_argument(
            "--value", default="value", metavar="COL", help="column of the values (default: value)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        times, values = _read(options["input"], options["time"], options["value"])
        try:
            ts_us = timestamps_us(times, zone=ZoneInfo("UTC"))
        except ValueError as error:
            raise CommandError(f"A moment cannot be read: {error}") from error
        numbers = np.array([_number(value) for value in values])
        scores = score_series(ts_us, numbers)
        try:
            with options["output"].open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow([options["time"], options["value"], "anomaly_score"])
                rows.writerows(
                    (time, value, f"{score:.6f}")
                    for time, value, score in zip(times, values, scores.tolist(), strict=True)
                )
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from error
        without = int(np.count_nonzero(~np.isfinite(numbers)))
        skipped = f", {without} without a number" if without else ""
        self.stdout.write(f"{len(scores)} readings{skipped}, {int(np.sum(scores >= 0.5))} at or above 0.5.")


def _read(path: Path, time: str, value: str) -> tuple[list[str], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            missing = [name for name in (time, value) if name not in (lines.fieldnames or ())]
            if missing:
                found = ", ".join(lines.fieldnames or ())
                raise CommandError(
                    f"{path} has no column {' and no column '.join(missing)}; it has: {found}. "
                    "--time and --value name them."
                )
            rows = [(line[time] or "", line[value] or "") for line in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    return [row[0] for row in rows], [row[1] for row in rows]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
