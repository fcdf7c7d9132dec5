"""A manager's replay told by an agent: a stretch at a time, and in the end reported."""

import io
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction

from maintenance.models import ReplayRun
from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import Mapping as Names
from maintenance.replay.mapping import PastUnreadable
from maintenance.replay.past import Past
from maintenance.replay.plant import ReplayPlant, build_plant, find_plant, make_scratch
from maintenance.replay.plots import plots_page
from maintenance.replay.report import failure_rows, make_report, report_lines, write_tasks
from maintenance.services.replays import as_directory, take_scratch_away
from smartmaint import clock

# One process of a worker tells it, and whatever comes to that process meanwhile waits.
STRETCH_S = 10.0


@dataclass(frozen=True)
class Stretch:
    """How far a replay came; at the end with its report, or why it cannot go on."""

    told_until_us: int | None = None
    report: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    tasks_csv: str = ""
    plots_page: str = ""
    failed_because: str = ""


def tell_stretch(run: ReplayRun) -> Stretch:
    """Tell the past for some seconds, from where it was before.

    What an attempt left that broke off is taken away, and the past told from its beginning: nobody knows how far it
    was.
    """
    files = {one.name: bytes(one.content) for one in run.files.all()}
    deadline = time.monotonic() + STRETCH_S
    try:
        with as_directory(files) as (past, names):
            if (plant := _plant(run, past, names)) is None:
                return Stretch(failed_because="It was deleted.")
            life = Life(
                past,
                plant,
                pace=Pace(open_for=timedelta(hours=run.open_hours)),
                with_events=run.with_events,
            )
            stopped_us = life.live(after_us=run.told_until_us, is_enough=lambda: time.monotonic() >= deadline)
            if stopped_us is not None:
                return Stretch(told_until_us=stopped_us)
            report = make_report(past, plant, zone=names.zone)
            lines = io.StringIO()
            write_tasks(report, lines)
            return Stretch(
                report=report_lines(report),
                failures=failure_rows(report),
                tasks_csv=lines.getvalue(),
                plots_page=plots_page(past, report, zone=names.zone, name=run.name),
            )
    except PastUnreadable as error:
        return Stretch(failed_because=str(error))


def _plant(run: ReplayRun, past: Past, names: Names) -> ReplayPlant | None:
    """Where to go on, or a new plant; None where the replay was deleted meanwhile."""
    goes_on = run.scratch is not None and not run.is_being_told
    if not goes_on:
        take_scratch_away(run)
    with transaction.atomic():
        if not ReplayRun.objects.select_for_update(no_key=True, of=("self",)).filter(pk=run.pk).exists():
            return None
        if not goes_on:
            run.scratch, run.told_until_us = make_scratch(names), None
            build_plant(run.scratch, past, names)
        run.is_being_told = True
        ReplayRun.objects.filter(pk=run.pk).update(
            scratch=run.scratch, told_until_us=run.told_until_us, is_being_told=True
        )
    assert run.scratch is not None
    return find_plant(run.scratch, past)


def keep_stretch(run: ReplayRun, stretch: Stretch) -> None:
    """Keep how far it is, or what it came to. Runs in the replay's transaction."""
    run.told_until_us, run.is_being_told = stretch.told_until_us or run.told_until_us, False
    if stretch.told_until_us is not None:
        run.mark_due()
    else:
        run.report, run.failures, run.tasks_csv = stretch.report, stretch.failures, stretch.tasks_csv
        run.plots_page = stretch.plots_page
        run.failed_because, run.finished_at = stretch.failed_because, clock.now()
        take_scratch_away(run)
    run.save()
