"""Imports machine events from a CSV file, however large, with a report of the lines that were refused."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from sensors.ingest import events
from sensors.management.importing import (
    REFUSALS_SHOWN,
    opened,
    organization_named,
    require_none_refused,
    zone_named,
)
from sensors.services.events import record_events
from smartmaint.accounts.models import Organization

COUNTED = ("received", "inserted", "updated", "unchanged")
FIELDS = ("equipment", "code", "ts", "kind", "message")


class Command(BaseCommand):
    help = (
        "Imports what controllers reported from a CSV file with a header and one event a line: equipment (the tag of "
        "the machine), code, ts and, where there are such columns, kind and message. An import that was cut short is "
        "simply started again. Exit status 1 when a line was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file, in UTF-8")
        parser.add_argument("--organization", required=True, metavar="SLUG", help="whose machines these are")
        parser.add_argument("--zone", metavar="ZONE", help="time zone of timestamps without an offset")
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="write every refused line's number and reason"
        )
        for name in FIELDS:
            option = "time" if name == "ts" else name
            parser.add_argument(
                f"--{option}-column", default=name, dest=name, metavar="NAME", help=f"default: {name}"
            )

    def handle(self, *args: object, file: Path, **options: Any) -> None:
        organization = organization_named(options["organization"])
        options["zone"] = zone_named(options["zone"])
        with opened(file, options["errors"]) as (stream, report):
            counts = self._import(organization, stream, report, options)
        told = ", ".join(f"{counts[name]:,} {name}" for name in (*COUNTED[1:], "rejected"))
        self.stdout.write(f"{counts['received']:,} events: {told}")
        require_none_refused(counts["rejected"], options["errors"])

    def _import(
        self, organization: Organization, stream: BinaryIO, report: TextIO | None, options: dict[str, Any]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        if report:
            csv.writer(report).writerow(["line", "code", "detail"])
        columns = {name: options[name] for name in FIELDS}
        size = os.fstat(stream.fileno()).st_size
        with tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
            for parsed in events.read_csv(stream, columns=columns, zone=options["zone"]):
                receipt = record_events(organization=organization, parsed=parsed)
                shown = receipt.refusals[: max(0, REFUSALS_SHOWN - counts["rejected"])]
                for refusal in () if report else shown:
                    self.stdout.write(f"line {refusal.index}: {refusal.code}: {refusal.detail}")
                if report:
                    rows = ((one.index, one.code, one.detail) for one in receipt.refusals)
                    csv.writer(report).writerows(rows)
                counts.update({name: getattr(receipt, name) for name in COUNTED})
                counts["rejected"] += len(receipt.refusals)
                bar.update(stream.tell() - bar.n)
        return counts
