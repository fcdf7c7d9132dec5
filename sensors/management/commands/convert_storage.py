"""Moves all readings to another kind of storage, and tells which one there is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from sensors.storage.kinds import Facts, Hypertable, NativePartitions, kind
from sensors.storage.kinds.conversion import create_timescale, to_hypertable, to_partitions

KINDS = {"timescale": Hypertable, "partitions": NativePartitions}


class Command(BaseCommand):
    help = (
        "Moves all readings to another kind of storage; without an argument, says where they are. Stop the product "
        "before: readings are locked until the move is done, and every process has to look anew for the kind."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("to", nargs="?", choices=KINDS, help="the kind to move them to")

    def handle(self, *args: object, to: str | None, **options: Any) -> None:
        if to is not None and not isinstance(kind(), KINDS[to]):
            with transaction.atomic():
                self._convert(to)
        self.stdout.write(_in_words(kind().facts()))

    def _convert(self, to: str) -> None:
        if to == "partitions":
            to_partitions(connection)
            return
        if obstacle := create_timescale(connection):
            raise CommandError(f"Nothing was changed: {obstacle}.")
        to_hypertable(connection)


def _in_words(facts: Facts) -> str:
    span = f"from {facts.oldest_at:%Y-%m-%d} to {facts.newest_at:%Y-%m-%d}, " if facts.parts else ""
    compressed = f" {facts.compressed_parts} compressed, {facts.saved:,} bytes saved." if facts.saved else ""
    return f"{facts.name}: {facts.parts} parts {span}{facts.size:,} bytes.{compressed}"
