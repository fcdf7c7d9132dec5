"""A manager's replay: started with uploaded files, told a stretch at a time, reported, and taken away again."""

import io
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePath

from django.db import transaction

from maintenance.models import ReplayFile, ReplayRun
from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import Mapping as Names
from maintenance.replay.mapping import PastUnreadable, read_mapping
from maintenance.replay.past import Past, read_past
from maintenance.replay.plant import ReplayPlant, build_plant, find_plant, make_scratch
from maintenance.replay.plots import plots_page
from maintenance.replay.report import make_report, report_lines, write_tasks
from maintenance.services.removing import remove_organizations
from smartmaint import clock
from smartmaint.accounts.models import Organization, User

MOST_FILES = 10
MOST_BYTES = 50 * 1024 * 1024
MOST_READINGS = 500_000
# One process of a worker tells it, and whatever comes to that process meanwhile waits.
STRETCH_S = 10.0


@dataclass(frozen=True)
class Stretch:
    """How far a replay came; at the end with its report, or why it cannot go on."""

    told_until_us: int | None = None
    report: list[str] = field(default_factory=list)
    tasks_csv: str = ""
    plots_page: str = ""
    failed_because: str = ""


def require_readable(files: Mapping[str, bytes]) -> Past:
    """The past that files hold; raises PastUnreadable, also where they are too many, too large, or called strangely."""
    if len(files) > MOST_FILES or sum(map(len, files.values())) > MOST_BYTES:
        raise PastUnreadable(
            f"A past has at most {MOST_FILES} files with {MOST_BYTES // 2**20} MB in all: "
            "manage.py replay takes larger ones."
        )
    for name in files:
        if name != PurePath(name).name or name.startswith(".") or len(name) > 100:
            raise PastUnreadable(f"{name!r} cannot be the name of a file.")
    with _as_directory(files) as (past, _):
        if past.readings > MOST_READINGS:
            raise PastUnreadable(
                f"It holds {past.readings:,} readings. Up to {MOST_READINGS:,} can be replayed here; "
                "manage.py replay takes more."
            )
        return past


@contextmanager
def _as_directory(files: Mapping[str, bytes]) -> Iterator[tuple[Past, Names]]:
    with tempfile.TemporaryDirectory(prefix="smartmaint-replay-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        names = read_mapping(Path(folder))
        yield read_past(Path(folder), names), names


@transaction.atomic
def start_replay(*, run: ReplayRun, files: Mapping[str, bytes], user: User) -> ReplayRun:
    """Put a new replay in its queue; raises PastUnreadable."""
    past = require_readable(files)
    run.created_by, run.readings = user, past.readings
    run.begins_us, run.ends_us = past.begins_us, past.ends_us
    run.mark_due()
    run.save()
    ReplayFile.objects.bulk_create(
        ReplayFile(organization_id=run.organization_id, run=run, name=name, content=content)
        for name, content in files.items()
    )
    return run


def tell_stretch(run: ReplayRun) -> Stretch:
    """Tell the past for some seconds, from where it was before.

    What an attempt left that ended without a word is taken away, and the past told from its beginning: nobody knows how
    far it was.
    """
    files = {one.name: bytes(one.content) for one in run.files.all()}
    deadline = time.monotonic() + STRETCH_S
    try:
        with _as_directory(files) as (past, names):
            plant = _plant(run, past, names)
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
                tasks_csv=lines.getvalue(),
                plots_page=plots_page(past, report, zone=names.zone, name=run.name),
            )
    except PastUnreadable as error:
        return Stretch(failed_because=str(error))


def _plant(run: ReplayRun, past: Past, names: Names) -> ReplayPlant:
    if run.scratch is not None and run.attempts <= 1:
        return find_plant(run.scratch, past)
    take_scratch_away(run)
    with transaction.atomic():
        scratch = make_scratch(names)
        plant = build_plant(scratch, past, names)
        run.scratch, run.told_until_us = scratch, None
        ReplayRun.objects.filter(pk=run.pk).update(scratch=scratch, told_until_us=None)
    return plant


@transaction.atomic
def take_scratch_away(run: ReplayRun) -> None:
    """Remove the organisation that a replay works in, if there is one."""
    scratch = Organization.objects.filter(pk=run.scratch_id).first()
    ReplayRun.objects.filter(pk=run.pk).update(scratch=None)
    run.scratch = None
    if scratch is not None:
        remove_organizations([scratch])


def keep_stretch(run: ReplayRun, stretch: Stretch) -> None:
    """Keep how far it is, or what it came to. Runs in the replay's transaction."""
    run.told_until_us = stretch.told_until_us or run.told_until_us
    if stretch.told_until_us is not None:
        run.mark_due()
    else:
        run.report, run.tasks_csv = stretch.report, stretch.tasks_csv
        run.plots_page = stretch.plots_page
        run.failed_because, run.finished_at = stretch.failed_because, clock.now()
        take_scratch_away(run)
    run.save()
