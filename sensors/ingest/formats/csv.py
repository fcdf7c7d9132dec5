"""Long CSV: one reading a line, under a header that names the columns; read in blocks, however long it is.

UTF-8 with or without a byte order mark, separated by comma, semicolon or tab (the header tells), fields quoted or not.
A reading never spans two lines: an open quote spoils its own line only. `index` of a row or a refusal is its line
number in the file, counted from 1 with the header.
"""

import codecs
import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, pairwise
from typing import BinaryIO
from zoneinfo import ZoneInfo

import numpy as np

from sensors.ingest.columns import joined, parse_columns
from sensors.ingest.csv_lines import (
    SEPARATORS,
    line_fields,
    line_text,
    read_line,
    timestamp_field,
    value_field,
)
from sensors.ingest.fields import quality_code, reading_value, sensor_key, unit_code
from sensors.ingest.formats import wide_csv
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)
from sensors.ingest.timestamps import timestamp_us

NAME = "CSV"
MEDIA_TYPES = ("text/csv",)

MAX_LINE_BYTES = 64 * 1024

_CHUNK_BYTES = 1024 * 1024
_MAX_BLOCK_BYTES = 16 * 1024 * 1024
# Lines that hold anything odd are looked at in this many parts, to find those that do; fewer lines one by one.
_PARTS = 8
_FEW = 32

_LINE_FEED = ord("\n")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANKS = (b" ", b"\t", b"\r", b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
# Of a text of these alone, float() reads exactly what `value_field` takes for a number.
_OF_NUMBERS = b"0123456789+-.eE"


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called, in whatever case; those of quality and unit may be missing."""

    sensor: str = "sensor"
    ts: str = "ts"
    value: str = "value"
    quality: str = "quality"
    unit: str = "unit"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the lines are cut, and where each column is (from 0; None where there is none)."""

    separator: str
    width: int
    sensor: int
    ts: int
    value: int
    quality: int | None
    unit: int | None


def parse(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """Read a request body, long or wide; timestamps without an offset are taken in `zone`.

    A line that cannot be accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where the header
    cannot be used and `TooManyReadings` above `MAX_READINGS`; nothing else, whatever the bytes.
    """
    stream = BytesIO(body)
    if wide_csv.is_wide(read_line(stream, limit=wide_csv.MAX_LINE_BYTES)):
        return wide_csv.parse(body, zone=zone)
    if body.count(b"\n") > 2 * MAX_READINGS:  # empty lines among them
        raise TooManyReadings
    stream.seek(0)
    parsed = joined(list(read_blocks(stream, zone=zone, historical=False, block_size=len(body) + 1)))
    if parsed.received > MAX_READINGS:
        raise TooManyReadings
    return parsed


def read_blocks(
    stream: BinaryIO,
    *,
    columns: Columns | None = None,
    zone: ZoneInfo | None = None,
    historical: bool = True,
    block_size: int = MAX_READINGS,
) -> Iterator[ParsedReadings]:
    """Yield the readings of a file, up to `block_size` lines at a time; empty lines are no readings.

    Timestamps are ISO 8601 or epoch numbers; those without an offset are taken in `zone`. A line that cannot be
    accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where the header cannot be used.
    """
    layout = _read_header(read_line(stream, limit=MAX_LINE_BYTES), columns or Columns())
    reader = _Reader(layout, zone, historical)
    number = 2
    for lines in _line_blocks(stream, block_size):
        parsed = reader.read(lines, number)
        number += lines.count(b"\n")
        if parsed.received:
            yield parsed


def _line_blocks(stream: BinaryIO, most: int) -> Iterator[bytes]:
    """Whole lines, at most so many at a time, or fewer where they are long."""
    waiting = b""
    while chunk := stream.read(_CHUNK_BYTES):
        waiting += chunk if chunk.endswith(b"\n") else chunk + _rest_of_line(stream)
        begin = 0
        for end in _line_ends(waiting)[most - 1 :: most]:
            yield waiting[begin:end]
            begin = end
        waiting = waiting[begin:]
        if len(waiting) > _MAX_BLOCK_BYTES:
            yield waiting
            waiting = b""
    if waiting:
        yield waiting


def _rest_of_line(stream: BinaryIO) -> bytes:
    """Of a line that is too long not all, but enough to make it so."""
    rest = read_line(stream, limit=MAX_LINE_BYTES)
    return rest if len(rest) <= MAX_LINE_BYTES or rest.endswith(b"\n") else rest + b"\n"


def _line_ends(lines: bytes) -> list[int]:
    """The places after the line feeds."""
    return (np.flatnonzero(np.frombuffer(lines, np.uint8) == _LINE_FEED) + 1).tolist()


def _read_header(line: bytes, columns: Columns) -> _Layout:
    if line.startswith(_UTF_16):
        raise MalformedBody("The file is UTF-16: save it as UTF-8.")
    try:
        text = line_text(line.removeprefix(codecs.BOM_UTF8), limit=MAX_LINE_BYTES)
        separator = max(SEPARATORS, key=text.count)
        names = [name.lower() for name in line_fields(text, separator)]
    except RowProblem as problem:
        raise MalformedBody(f"The header cannot be read. {problem.detail}") from problem
    return _Layout(
        separator=separator,
        width=len(names),
        sensor=_required(names, columns.sensor),
        ts=_required(names, columns.ts),
        value=_required(names, columns.value),
        quality=_position(names, columns.quality),
        unit=_position(names, columns.unit),
    )


def _required(names: list[str], name: str) -> int:
    position = _position(names, name)
    if position is None:
        found = ", ".join(repr(one) for one in names[:20])
        raise MalformedBody(f"The header has no column {name!r}. It has: {found}.")
    return position


def _position(names: list[str], name: str) -> int | None:
    if names.count(name.lower()) > 1:
        raise MalformedBody(f"The header has the column {name!r} more than once.")
    return names.index(name.lower()) if name.lower() in names else None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads lines under a header. `first` is the number of the first of them."""

    layout: _Layout
    zone: ZoneInfo | None
    historical: bool

    def read(self, lines: bytes, first: int) -> ParsedReadings:
        ends = _line_ends(lines)
        if len(ends) < _FEW:
            return self.by_row(lines, first)
        try:
            return self.by_column(lines, first)
        except (ValueError, csv.Error):
            step = -(-len(ends) // _PARTS)
            borders = [0, *ends[step - 1 : -1 : step], len(lines)]
            parts = [lines[begin:end] for begin, end in pairwise(borders)]
            return joined([self.read(part, first + step * place) for place, part in enumerate(parts)])

    def by_column(self, lines: bytes, first: int) -> ParsedReadings:
        """Raises ValueError or csv.Error where any line is not as it should be, in one of many ways."""
        fields, layout = self._fields(lines), self.layout
        keys, times, values = (fields[at :: layout.width] for at in (layout.sensor, layout.ts, layout.value))
        if "".join(values).encode().translate(None, _OF_NUMBERS):
            raise ValueError("One of the values is no number.")
        return parse_columns(
            keys=keys,
            timestamps=times if ":" in times[0] else [timestamp_field(text) for text in times],
            values=np.array([float(text) if text else math.nan for text in values], dtype=np.float64),
            qualities=self._optional(fields, layout.quality),
            units=self._optional(fields, layout.unit),
            zone=self.zone,
            index=np.arange(first, first + len(keys)),
            historical=self.historical,
        )

    def _fields(self, lines: bytes) -> list[str]:
        """The fields of all lines, one after the other."""
        if not lines.endswith(b"\n"):
            lines += b"\n"
        if b"\0" in lines or np.diff(_line_ends(lines), prepend=0).max() > MAX_LINE_BYTES:
            raise ValueError("One of the lines cannot be read.")
        lines = lines.replace(b"\r\n", b"\n")
        separator, width = self.layout.separator, self.layout.width
        text = lines.decode().removesuffix("\n")
        if '"' in text:
            rows = list(csv.reader(text.split("\n"), delimiter=separator, strict=True))
            is_cut_well = len(rows) == text.count("\n") + 1 and set(map(len, rows)) == {width}
            fields = list(chain.from_iterable(rows))
        else:
            characters = np.frombuffer(lines, np.uint8)
            borders = characters[(characters == ord(separator)) | (characters == _LINE_FEED)]
            is_cut_well = borders.tobytes() == lines.count(b"\n") * (separator * (width - 1) + "\n").encode()
            fields = text.replace("\n", separator).split(separator)
        if not is_cut_well:
            raise ValueError("One of the lines has more or fewer fields than the header.")
        if lines.isascii() and not any(blank in lines for blank in _BLANKS):
            return fields
        return [field.strip() for field in fields]

    def _optional(self, fields: list[str], position: int | None) -> list[str | None]:
        if position is None:
            return [None] * (len(fields) // self.layout.width)
        return [field or None for field in fields[position :: self.layout.width]]

    def by_row(self, lines: bytes, first: int) -> ParsedReadings:
        rows, number = ReadingRows(), first
        stream = BytesIO(lines)
        while line := read_line(stream, limit=MAX_LINE_BYTES):
            if line.strip():
                try:
                    self._accept(rows, number, line)
                except RowProblem as problem:
                    rows.refuse(number, problem, raw=line)
            number += 1
        return rows.finish(historical=self.historical)

    def _accept(self, rows: ReadingRows, number: int, line: bytes) -> None:
        layout = self.layout
        fields = line_fields(line_text(line, limit=MAX_LINE_BYTES), layout.separator)
        if len(fields) != layout.width:
            raise RowProblem("invalid_row", f"The line has {len(fields)} fields, the header {layout.width}.")
        quality = quality_code(None if layout.quality is None else fields[layout.quality] or None)
        rows.accept(
            number,
            sensor_key(fields[layout.sensor]),
            timestamp_us(timestamp_field(fields[layout.ts]), zone=self.zone),
            reading_value(value_field(fields[layout.value]), quality=quality),
            quality,
            unit_code(None if layout.unit is None else fields[layout.unit] or None),
        )
