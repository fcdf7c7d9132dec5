"""A manager's replay: started with uploaded files, and taken away again."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath

from django.db import transaction

from maintenance.models import ReplayFile, ReplayRun
from maintenance.replay.mapping import Mapping as Names
from maintenance.replay.mapping import PastUnreadable, read_mapping
from maintenance.replay.past import Past, read_past
from maintenance.services.removing import remove_organizations
from smartmaint.accounts.models import Organization, User

MOST_FILES = 10
MOST_BYTES = 50 * 1024 * 1024
MOST_READINGS = 500_000


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
    with as_directory(files) as (past, _):
        if past.readings > MOST_READINGS:
            raise PastUnreadable(
                f"It holds {past.readings:,} readings. Up to {MOST_READINGS:,} can be replayed here; "
                "manage.py replay takes more."
            )
        return past


@contextmanager
def as_directory(files: Mapping[str, bytes]) -> Iterator[tuple[Past, Names]]:
    """The past that files hold and what they call things, for as long as the files stand; raises PastUnreadable."""
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


@transaction.atomic
def take_scratch_away(run: ReplayRun) -> None:
    """Remove the organisation that a replay works in, if there is one.

    Its row is asked: an agent may have begun with it since `run` was read.
    """
    locked = ReplayRun.objects.select_for_update(no_key=True, of=("self",)).filter(pk=run.pk)
    scratch = Organization.objects.filter(pk__in=list(locked.values_list("scratch", flat=True))).first()
    locked.update(scratch=None)
    run.scratch = None
    if scratch is not None:
        remove_organizations([scratch])
