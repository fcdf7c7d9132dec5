"""Long CSV: one reading a line, under a header that names the columns; read in blocks, however long it is.

UTF-8 with or without a byte order mark, separated by comma, semicolon or tab (the header tells), fields quoted or not.
A reading never spans two lines: an open quote spoils its own line only. `index` of a row or a refusal is its line
number in the file, counted from 1 with the header.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from zoneinfo import ZoneInfo

from sensors.ingest.fields import quality_code, reading_value, sensor_key, unit_code
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, ReadingRows, RowProblem
from sensors.ingest.timestamps import timestamp_us

SEPARATORS = ",;\t"
MAX_LINE_BYTES = 64 * 1024
MAX_DIGITS = 40

_WHOLE_NUMBER = re.compile(r"[+-]?\d+", re.ASCII).fullmatch
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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


def read_blocks(
    stream: BinaryIO,
    *,
    columns: Columns | None = None,
    zone: ZoneInfo | None = None,
    historical: bool = True,
    block_size: int = MAX_READINGS,
) -> Iterator[ParsedReadings]:
    """Yield the readings of a file, up to `block_size` lines at a time; empty lines do not count.

    Timestamps are ISO 8601 or epoch numbers; those without an offset are taken in `zone`. A line that cannot be
    accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where the header cannot be used.
    """
    layout = _read_header(_read_line(stream), columns or Columns())
    rows, number = ReadingRows(), 1
    while line := _read_line(stream):
        number += 1
        if line.strip():
            try:
                _accept(rows, number, _cut(line, layout), layout, zone)
            except RowProblem as problem:
                rows.refuse(number, problem)
            if len(rows.index) + len(rows.refusals) >= block_size:
                yield rows.finish(historical=historical)
                rows = ReadingRows()
    if rows.index or rows.refusals:
        yield rows.finish(historical=historical)


def _read_line(stream: BinaryIO) -> bytes:
    """The next line; of one that is too long the beginning only, longer than the limit, and its rest is skipped."""
    line = stream.readline(MAX_LINE_BYTES + 1)
    rest = line
    while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_LINE_BYTES + 1)
    return line


def _read_header(line: bytes, columns: Columns) -> _Layout:
    if line.startswith(_UTF_16):
        raise MalformedBody("The file is UTF-16: save it as UTF-8.")
    try:
        text = _text(line.removeprefix(codecs.BOM_UTF8))
        separator = max(SEPARATORS, key=text.count)
        names = [name.lower() for name in _fields(text, separator)]
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


def _cut(line: bytes, layout: _Layout) -> list[str]:
    fields = _fields(_text(line), layout.separator)
    if len(fields) != layout.width:
        raise RowProblem("invalid_row", f"The line has {len(fields)} fields, the header {layout.width}.")
    return fields


def _text(line: bytes) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise RowProblem("invalid_row", f"The line is longer than {MAX_LINE_BYTES // 1024} KiB.")
    if b"\0" in line:
        raise RowProblem("invalid_row", "The line contains a NUL byte.")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise RowProblem(
            "invalid_row", f"The line is not UTF-8: {error.reason} at byte {error.start}."
        ) from error


def _fields(text: str, separator: str) -> list[str]:
    if '"' not in text:
        return [field.strip() for field in text.split(separator)]
    try:
        (fields,) = csv.reader([text.rstrip("\r\n")], delimiter=separator, strict=True)
    except (csv.Error, ValueError) as error:
        raise RowProblem("invalid_row", f"The quotes of the line do not fit: {error}.") from error
    return [field.strip() for field in fields]


def _accept(
    rows: ReadingRows, number: int, fields: list[str], layout: _Layout, zone: ZoneInfo | None
) -> None:
    quality = quality_code(_optional(fields, layout.quality))
    rows.accept(
        number,
        sensor_key(fields[layout.sensor]),
        timestamp_us(_timestamp(fields[layout.ts]), zone=zone),
        reading_value(_value(fields[layout.value]), quality=quality),
        quality,
        unit_code(_optional(fields, layout.unit)),
    )


def _optional(fields: list[str], position: int | None) -> str | None:
    return None if position is None else fields[position] or None


def _timestamp(text: str) -> str | int | float:
    """Epoch numbers as numbers, whole ones to the last digit; anything else as it is."""
    if len(text) > MAX_DIGITS:
        return text
    if _WHOLE_NUMBER(text):
        return int(text)
    return float(text) if _NUMBER(text) else text


def _value(text: str) -> float | str | None:
    """The number; None for an empty field, and anything else as it is, so that it is refused by its own rule."""
    if _NUMBER(text):
        return float(text)
    if "," in text:
        raise RowProblem("invalid_value", "The value has a comma: write it with a decimal point.")
    return text or None
