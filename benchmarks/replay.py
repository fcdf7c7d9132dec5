"""A past lived again, with the machines' events and without: failures caught, false tasks, and how long it took.

FOLDER holds `azure_pdm` in the format of docs/replay.md.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from django.core.management import call_command

from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import read_mapping
from maintenance.replay.past import read_past
from maintenance.replay.plant import scratch_plant
from maintenance.replay.report import make_report

USUAL_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
LEAD_H = 12


@dataclass
class Result:
    """One replay. `caught` is the share of failures with a task at least twelve hours ahead."""

    with_events: bool
    failures: int
    caught: float | None
    tasks: int
    precision: float | None
    false_per_machine_month: float | None
    alarms_per_day: float | None
    readings: int
    seconds: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks replay", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=USUAL_FOLDER)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    call_command("migrate", verbosity=0)
    results = [measure(chosen.folder / "azure_pdm", with_events=with_events) for with_events in (False, True)]
    print(json.dumps([asdict(result) for result in results], indent=2) if chosen.json else table(results))
    return 0


def measure(directory: Path, *, with_events: bool) -> Result:
    began = time.monotonic()
    mapping = read_mapping(directory)
    past = read_past(directory, mapping)
    with scratch_plant(past, mapping, keep=False) as plant:
        Life(past, plant, pace=Pace(), with_events=with_events).live()
        score = make_report(past, plant, zone=mapping.zone).score
    return Result(
        with_events=with_events,
        failures=score.failures,
        caught=score.recall(LEAD_H),
        tasks=score.tasks,
        precision=score.precision,
        false_per_machine_month=score.false_per_machine_month,
        alarms_per_day=score.alarms_per_day,
        readings=past.readings,
        seconds=round(time.monotonic() - began, 1),
    )


def table(results: list[Result]) -> str:
    lines = [
        "| events | failures caught 12 h ahead | tasks | precision | false tasks a machine-month | "
        "alarms a day | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {'with' if one.with_events else 'without'} | {_figure(one.caught)} of {one.failures} | {one.tasks} | "
        f"{_figure(one.precision)} | {_figure(one.false_per_machine_month)} | "
        f"{_figure(one.alarms_per_day)} | {one.seconds:.0f} |"
        for one in results
    ]
    return "\n".join(lines)


def _figure(number: float | None) -> str:
    return "not known" if number is None else f"{number:.2f}"
