"""Imports readings from a CSV file, long or wide, however large, with a report of the lines that were refused."""

import csv
import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from sensors.ingest.formats import csv as long_csv
from sensors.ingest.formats import wide_csv
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.ingest.repeated_hour import RepeatedHour
from sensors.management.importing import (
    REFUSALS_SHOWN,
    opened,
    organization_named,
    require_none_refused,
    zone_named,
)
from sensors.services.ingest import ingest_readings
from smartmaint.accounts.models import Organization

COUNTED = ("received", "inserted", "updated", "unchanged", "held", "rejected")
# A transaction's fixed costs are spread over many rows, and one that is cut short costs seconds only.
LINES_AT_ONCE = 50_000


class Command(BaseCommand):
    help = (
        "Imports readings from a CSV file with a header and one reading a line: sensor, ts, value and, where there "
        "are such columns, quality and unit; or, with --wide, with a column of times and one for each sensor. The "
        "file's value replaces another one that is stored for the same moment; an import that was cut short is simply "
        "started again. Exit status 1 when a line was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file, in UTF-8")
        parser.add_argument("--organization", required=True, metavar="SLUG", help="whose sensors these are")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument(
            "--historical", action="store_true", default=True, help="old data, pages nobody (default)"
        )
        kind.add_argument(
            "--live", action="store_false", dest="historical", help="as if a gateway had posted it"
        )
        parser.add_argument("--zone", metavar="ZONE", help="time zone of timestamps without an offset")
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="write every refused line's number and reason"
        )
        parser.add_argument(
            "--wide",
            action="store_true",
            help="one column of times, and one for each sensor, named by its key, such as 'pump-7/flow [m3/h]'",
        )
        parser.add_argument(
            "--prefix",
            default="",
            metavar="TEXT",
            help="with --wide: what stands before the name of every column",
        )
        for column in long_csv.Columns.__dataclass_fields__:
            name = "time" if column == "ts" else column
            parser.add_argument(
                f"--{name}-column", default=column, dest=column, metavar="NAME", help=f"default: {column}"
            )

    def handle(self, *args: object, file: Path, **options: Any) -> None:
        organization = organization_named(options["organization"])
        options["zone"] = zone_named(options["zone"])
        if options["prefix"] and not options["wide"]:
            raise CommandError("--prefix is for --wide: in a long file the keys stand in the lines.")
        with opened(file, options["errors"]) as (stream, report), ExitStack() as stack:
            parts = _blocks(stream, options)
            parts = map(RepeatedHour().resolve if options["zone"] else _asking_for_zone, parts)
            name = wide_csv.NAME if options["wide"] else long_csv.NAME
            try:
                blocks = stack.enter_context(closing(_one_ahead(parts)))
                counts = self._import(organization, stream, blocks, report, name)
            except KeyboardInterrupt as error:
                raise CommandError(
                    "Stopped; the same command goes on where it was.", returncode=130
                ) from error
        self._conclude(counts, options["errors"])

    def _import(
        self,
        organization: Organization,
        stream: BinaryIO,
        blocks: Iterable[ParsedReadings],
        report: TextIO | None,
        format: str,
    ) -> Counter[str]:
        """Store block by block; returns how many lines were received, inserted, updated, unchanged, rejected."""
        counts: Counter[str] = Counter()
        if report:
            csv.writer(report).writerow(["line", "code", "detail"])
        size = os.fstat(stream.fileno()).st_size
        with tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
            for parsed in blocks:
                receipt = ingest_readings(organization=organization, parsed=parsed, format=format)
                if report:
                    rows = ((one.index, one.code, one.detail) for one in receipt.refusals)
                    csv.writer(report).writerows(rows)
                else:
                    self._show(receipt.refusals[: max(0, REFUSALS_SHOWN - counts["rejected"])])
                counts.update({name: getattr(receipt, name) for name in COUNTED})
                bar.update(stream.tell() - bar.n)
        return counts

    def _show(self, refusals: list[Refusal]) -> None:
        for refusal in refusals:
            self.stdout.write(f"line {refusal.index}: {refusal.code}: {refusal.detail}")

    def _conclude(self, counts: Counter[str], errors: Path | None) -> None:
        told = ", ".join(f"{counts[name]:,} {name}" for name in COUNTED[1:] if name != "held" or counts[name])
        self.stdout.write(f"{counts['received']:,} readings: {told}")
        require_none_refused(counts["rejected"], errors)


def _blocks(stream: BinaryIO, options: dict[str, Any]) -> Iterator[ParsedReadings]:
    names = {column: options[column] for column in long_csv.Columns.__dataclass_fields__}
    how = {"zone": options["zone"], "historical": options["historical"], "block_size": LINES_AT_ONCE}
    if options["wide"]:
        is_named = names["ts"] != long_csv.Columns().ts
        time_column = names["ts"] if is_named else None
        return wide_csv.read_blocks(stream, time_column=time_column, prefix=options["prefix"], **how)
    return long_csv.read_blocks(stream, columns=long_csv.Columns(**names), **how)


def _asking_for_zone(parsed: ParsedReadings) -> ParsedReadings:
    """Of times without an offset, tell what to do about them here: there is no key whose zone could be set."""
    words = "The timestamp has no offset from UTC: give --zone, such as --zone Europe/Berlin, or write Z or +01:00."
    return replace(
        parsed,
        refusals=[
            replace(refusal, detail=words) if refusal.code == "timestamp_naive" else refusal
            for refusal in parsed.refusals
        ],
    )


def _one_ahead(blocks: Iterator[ParsedReadings]) -> Generator[ParsedReadings]:
    """Each block is parsed in a thread while the one before it is stored, which is waiting for the most part."""
    with ThreadPoolExecutor(max_workers=1) as parser:
        following = parser.submit(next, blocks, None)
        while (parsed := following.result()) is not None:
            following = parser.submit(next, blocks, None)
            yield parsed
