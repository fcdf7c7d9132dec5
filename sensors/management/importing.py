"""What the commands that import files have in common: their options' meaning, their files, and the report."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sensors.ingest.parsed import MalformedBody
from smartmaint.accounts.models import Organization, validate_time_zone

REFUSALS_SHOWN = 20


@contextmanager
def opened(file: Path, errors: Path | None) -> Iterator[tuple[BinaryIO, TextIO | None]]:
    """The file to read, and the one that refused lines are written to; raises CommandError.

    Also for what is found, while it is read, not to be what its format says.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(file.open("rb"))
            report = errors and stack.enter_context(errors.open("w", encoding="utf-8", newline=""))
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        try:
            yield stream, report
        except MalformedBody as error:
            raise CommandError(f"{file}: {error.detail}") from error


def require_none_refused(rejected: int, errors: Path | None) -> None:
    """Raises CommandError that counts the refused lines and says where each one's reason is found."""
    if rejected:
        where = f"{errors} tells why" if errors else "--errors FILE writes down why"
        raise CommandError(f"Refused lines: {rejected:,}; {where}.")


def organization_named(slug: str) -> Organization:
    """The active organisation; raises CommandError that names those there are."""
    try:
        return Organization.objects.get(slug=slug, is_active=True)
    except Organization.DoesNotExist as error:
        known = ", ".join(Organization.objects.filter(is_active=True).values_list("slug", flat=True))
        raise CommandError(f"There is no organisation {slug!r}; there are: {known or 'none'}.") from error


def zone_named(name: str | None) -> ZoneInfo | None:
    """The time zone of an option; raises CommandError."""
    if name is None:
        return None
    try:
        validate_time_zone(name)
    except ValidationError as error:
        raise CommandError(f"--zone: {error.message}") from error
    return ZoneInfo(name)
