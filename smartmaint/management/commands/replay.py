"""Lets a plant's past be lived again, and tells what the service would have caught."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from equipment.models import Verdict
from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import PastUnreadable, read_mapping
from maintenance.replay.past import read_past
from maintenance.replay.plant import scratch_plant
from maintenance.replay.plots import plots_page
from maintenance.replay.report import (
    make_report,
    missed_lines,
    report_lines,
    save_failures,
    save_tasks,
)


class Command(BaseCommand):
    help = (
        "Runs a plant's past (readings, events, failures and maintenance as CSV files in DIRECTORY, see "
        "docs/replay.md) through the service on a simulated clock, in an organisation of its own that is removed "
        "again. Failures and repairs are told when they happened, never before. Reports what would have been caught."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="where the files are")
        parser.add_argument(
            "--tasks", type=Path, metavar="OUT.csv", help="write the proposed tasks to this file"
        )
        parser.add_argument(
            "--failures",
            type=Path,
            metavar="OUT.csv",
            help="write the failures to this file: foreseen how long before, or why not",
        )
        parser.add_argument(
            "--plots", action="store_true", help="write a page of plots beside the tasks, as .html"
        )
        parser.add_argument("--without-events", action="store_true", help="leave the machines' events out")
        parser.add_argument("--keep", action="store_true", help="keep the organisation, to look at it")
        parser.add_argument(
            "--seed", type=int, default=0, help="of the random numbers that forecasts may draw (default 0)"
        )
        parser.add_argument(
            "--step-hours", type=float, default=3, metavar="H", help="how often the agents look (default 3)"
        )
        parser.add_argument(
            "--open-hours",
            type=float,
            default=72,
            metavar="H",
            help="close a task that no failure followed after so long (default 72)",
        )
        parser.add_argument(
            "--unfollowed",
            choices=[Verdict.NOT_INSPECTED.value, Verdict.NO_FAULT_FOUND.value],
            default=Verdict.NOT_INSPECTED.value,
            help="with what verdict such a task is closed (default not_inspected: the past does not say)",
        )

    def handle(
        self, *args: object, directory: Path, tasks: Path | None, failures: Path | None, **options: Any
    ) -> None:
        if not 0.1 <= options["step_hours"] <= 24 or not 1 <= options["open_hours"] <= 24 * 90:
            raise CommandError("--step-hours is from 0.1 to 24, --open-hours from 1 to 2160.")
        if not 0 <= options["seed"] < 2**32:
            raise CommandError("--seed is from 0 to 4294967295.")
        if options["plots"] and tasks is None:
            raise CommandError("--plots stands beside the tasks: name their file with --tasks.")
        np.random.seed(options["seed"])
        pace = Pace(
            tick=timedelta(hours=options["step_hours"]),
            open_for=timedelta(hours=options["open_hours"]),
            verdict=Verdict(options["unfollowed"]),
        )
        began = time.monotonic()
        try:
            for path in filter(None, (tasks, failures)):
                path.touch()
            mapping = read_mapping(directory)
            past = read_past(directory, mapping)
            with scratch_plant(past, mapping, keep=options["keep"]) as plant:
                life = Life(past, plant, pace=pace, with_events=not options["without_events"])
                with tqdm(total=past.readings, unit=" readings", unit_scale=True, disable=None) as bar:
                    life.live(on_progress=bar.update)
                report = make_report(past, plant, zone=mapping.zone)
                if failures is not None:
                    save_failures(report, failures)
                if tasks is not None:
                    save_tasks(report, tasks)
                if tasks is not None and options["plots"]:
                    page = plots_page(past, report, zone=mapping.zone, name=f"Replay of {directory.name}")
                    tasks.with_suffix(".html").write_text(page, encoding="utf-8")
                slug = plant.organization.slug
        except PastUnreadable as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        self.stdout.write(
            f"{past.readings:,} readings of {len(past.series)} sensors on {len(past.kinds)} machines, "
            f"{_count(len(life.events), 'event')}, {_count(len(report.failures), 'failure')}, "
            f"in {time.monotonic() - began:.0f} s"
        )
        for line in [*report_lines(report), *missed_lines(report)]:
            self.stdout.write(line)
        plots = tasks.with_suffix(".html") if tasks is not None and options["plots"] else None
        if written := ", ".join(str(path) for path in (tasks, failures, plots) if path is not None):
            self.stdout.write(f"Wrote {written}.")
        if options["keep"]:
            self.stdout.write(f"Kept as the organisation {slug}: the operator can choose it and look around.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
