"""Wide CSV, as historians and spreadsheets write it: one column of times, and one for each sensor, named by its key.

    timestamp,pump-7/temperature [Cel],pump-7/pressure [bar]
    2026-11-22T10:00:00Z,71.5,4.02
    2026-11-22T10:01:00Z,71.6,

A unit may follow the key in brackets, after a blank. An empty cell is no reading, and every other cell is one, of good
quality. Text, separators and times are those of long files. `index` of a reading is the number of its line, from 1 with
the header; a line whose time cannot be read is one refusal.
"""

import codecs
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sensors.ingest.csv_lines import (
    SEPARATORS,
    line_fields,
    line_text,
    read_line,
    timestamp_field,
    value_field,
)
from sensors.ingest.fields import GOOD, LARGEST, reading_value, sensor_key, unit_code
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)
from sensors.ingest.timestamps import timestamp_us, timestamps_us

NAME = "wide CSV"
MEDIA_TYPES: tuple[str, ...] = ()  # text/csv is the long form's, which hands wide bodies on

TIME_COLUMNS = ("ts", "time", "timestamp")
MAX_LINE_BYTES = 1024 * 1024
MAX_BLOCK_BYTES = 8 * 1024 * 1024

# Far beyond what 10,000 readings need, empty cells among them: refused before they fill the memory.
_MAX_CELLS = 30 * MAX_READINGS

_SEPARATORS = [separator.encode() for separator in SEPARATORS]
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Lines of these alone are cut and read together; in numbers of these characters float() is as strict as `value_field`.
_PLAIN = b"0123456789.+-eE:TZ \r\n"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the lines are cut: what each column holds, and where the time is (from 0)."""

    separator: str
    time: int
    keys: list[str]  # of the columns of sensors; "" where a column has no name
    units: list[str | None]

    @property
    def width(self) -> int:
        return len(self.keys) + 1


class _Line(NamedTuple):
    number: int
    written: bytes


def is_wide(header: bytes) -> bool:
    """Whether a header (the first line of a body) is a wide file's: with a column of times, and none called sensor or
    value.
    """
    try:
        names = [name.lower() for name in _header_fields(header)[1]]
    except MalformedBody:
        return False
    return not {"sensor", "value"} & set(names) and any(name in names for name in TIME_COLUMNS)


def parse(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """Read a request body; timestamps without an offset are taken in `zone`.

    Raises `MalformedBody` where the header cannot be used and `TooManyReadings` above `MAX_READINGS`; nothing else,
    whatever the bytes.
    """
    if body.count(b"\n") > 2 * MAX_READINGS or sum(map(body.count, _SEPARATORS)) > _MAX_CELLS:
        raise TooManyReadings
    stream = BytesIO(body)
    layout = _read_header(read_line(stream, limit=MAX_LINE_BYTES), None, "")
    parsed = _read_lines(list(_lines(stream)), layout, zone, historical=False)
    if parsed.received > MAX_READINGS:
        raise TooManyReadings
    return parsed


def read_blocks(
    stream: BinaryIO,
    *,
    time_column: str | None = None,
    prefix: str = "",
    zone: ZoneInfo | None = None,
    historical: bool = True,
    block_size: int = MAX_READINGS,
) -> Iterator[ParsedReadings]:
    """Yield the readings of a file by whole lines, of at most about `block_size` cells at a time.

    `time_column` is the header of the times, in whatever case; without it one of `TIME_COLUMNS`. `prefix` is put before
    the name of every other column. Raises `MalformedBody` where the header cannot be used.
    """
    layout = _read_header(read_line(stream, limit=MAX_LINE_BYTES), time_column, prefix)
    lines: list[_Line] = []
    size = 0
    for line in _lines(stream):
        lines.append(line)
        size += len(line.written)
        if len(lines) * len(layout.keys) >= block_size or size >= MAX_BLOCK_BYTES:
            yield _read_lines(lines, layout, zone, historical)
            lines, size = [], 0
    if lines:
        yield _read_lines(lines, layout, zone, historical)


def _lines(stream: BinaryIO) -> Iterator[_Line]:
    """The lines after the header that are not empty."""
    number = 1
    while written := read_line(stream, limit=MAX_LINE_BYTES):
        number += 1
        if not written.isspace():
            yield _Line(number, written)


def _header_fields(header: bytes) -> tuple[str, list[str]]:
    """The separator and the names; raises MalformedBody."""
    if header.startswith(_UTF_16):
        raise MalformedBody("The file is UTF-16: save it as UTF-8.")
    try:
        text = line_text(header.removeprefix(codecs.BOM_UTF8), limit=MAX_LINE_BYTES)
        separator = max(SEPARATORS, key=text.count)
        return separator, line_fields(text, separator)
    except RowProblem as problem:
        raise MalformedBody(f"The header cannot be read. {problem.detail}") from problem


def _read_header(header: bytes, time_column: str | None, prefix: str) -> _Layout:
    separator, names = _header_fields(header)
    time = _time_position(names, TIME_COLUMNS if time_column is None else (time_column.lower(),))
    columns = [_sensor_column(name, prefix) for place, name in enumerate(names) if place != time]
    keys = [key for key, _ in columns]
    if not any(keys):
        raise MalformedBody("The header has no column of a sensor beside the time.")
    if twice := [key for key, count in Counter(keys).items() if key and count > 1]:
        raise MalformedBody(f"The header has the column {twice[0]!r} more than once.")
    return _Layout(separator, time, keys, [unit for _, unit in columns])


def _time_position(names: list[str], wanted: tuple[str, ...]) -> int:
    found = [place for place, name in enumerate(names) if name.lower() in wanted]
    if len(found) > 1:
        raise MalformedBody(f"The header has more than one column of times: {_told(names, found)}.")
    if not found:
        raise MalformedBody(
            f"The header has no column {' or '.join(map(repr, wanted))}. "
            f"It has: {_told(names, range(min(20, len(names))))}."
        )
    return found[0]


def _told(names: list[str], places: list[int] | range) -> str:
    return ", ".join(repr(names[place]) for place in places)


def _sensor_column(name: str, prefix: str) -> tuple[str, str | None]:
    """The sensor's key and the unit in brackets; a column without a name has neither."""
    if not name:
        return "", None
    key, blank, unit = name.rpartition(" [")
    try:
        if blank and unit.endswith("]"):
            return sensor_key(prefix + key.rstrip()), unit_code(unit[:-1])
        return sensor_key(prefix + name), None
    except RowProblem as problem:
        raise MalformedBody(f"The header has the column {name[:60]!r}. {problem.detail}") from problem


def _read_lines(
    lines: list[_Line], layout: _Layout, zone: ZoneInfo | None, historical: bool
) -> ParsedReadings:
    parsed = _read_together(lines, layout, zone, historical) if lines else None
    return _read_one_by_one(lines, layout, zone, historical) if parsed is None else parsed


def _read_together(
    lines: list[_Line], layout: _Layout, zone: ZoneInfo | None, historical: bool
) -> ParsedReadings | None:
    """The readings of lines that hold nothing but numbers and times; None where one holds anything else."""
    separator = layout.separator.encode()
    written = [line.written for line in lines]
    if any(line.count(separator) != layout.width - 1 or len(line) > MAX_LINE_BYTES for line in written):
        return None
    joined = separator.join(written)
    if joined.translate(None, _PLAIN + separator):
        return None
    text = joined.decode().replace("\r\n", "").replace("\n", "")
    if "\r" in text:
        return None
    cells = text.split(layout.separator)
    times = [text.strip() for text in cells[layout.time :: layout.width]]
    del cells[layout.time :: layout.width]
    try:
        ts_us = timestamps_us([timestamp_field(text) for text in times], zone=zone)
        values = np.array([float(cell) if cell else math.nan for cell in cells])
    except (RowProblem, ValueError):
        return None
    return _of_cells(
        np.array([line.number for line in lines]),
        ts_us,
        values.reshape(len(lines), layout.width - 1),
        layout,
        historical,
    )


def _of_cells(
    numbers: npt.NDArray[np.int64],
    ts_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    layout: _Layout,
    historical: bool,
) -> ParsedReadings | None:
    """`values` have shape (lines, sensors), NaN for an empty cell; None where one is not to be accepted."""
    is_there = ~np.isnan(values)
    used = np.flatnonzero(is_there.any(axis=0))
    if (np.abs(values[is_there]) > LARGEST).any() or not all(layout.keys[column] for column in used):
        return None
    row, column = np.nonzero(is_there[:, used])
    units = list(dict.fromkeys(layout.units[place] for place in used))
    unit_of_column = np.array([units.index(layout.units[place]) for place in used], dtype=np.int64)
    return ParsedReadings(
        index=numbers[row],
        keys=[layout.keys[place] for place in used],
        key_of_row=column,
        ts_us=ts_us[row],
        values=values[is_there],
        quality=np.zeros(len(row), dtype=np.int8),
        units=units,
        unit_of_row=unit_of_column[column],
        historical=historical,
    )


def _read_one_by_one(
    lines: list[_Line], layout: _Layout, zone: ZoneInfo | None, historical: bool
) -> ParsedReadings:
    rows = ReadingRows()
    for line in lines:
        try:
            cells = line_fields(line_text(line.written, limit=MAX_LINE_BYTES), layout.separator)
            if len(cells) != layout.width:
                raise RowProblem(
                    "invalid_row", f"The line has {len(cells)} fields, the header {layout.width}."
                )
            ts_us = timestamp_us(timestamp_field(cells.pop(layout.time)), zone=zone)
        except RowProblem as problem:
            rows.refuse(line.number, problem, raw=line.written.rstrip(b"\r\n"))
            continue
        for key, unit, cell in zip(layout.keys, layout.units, cells, strict=True):
            if cell:
                _accept(rows, line.number, key, unit, cell, ts_us)
    return rows.finish(historical=historical)


def _accept(rows: ReadingRows, number: int, key: str, unit: str | None, cell: str, ts_us: int) -> None:
    try:
        if not key:
            raise RowProblem("invalid_sensor", "The column has no name.")
        rows.accept(number, key, ts_us, reading_value(value_field(cell), quality=GOOD), GOOD, unit)
    except RowProblem as problem:
        told = RowProblem(problem.code, f"{key}: {problem.detail}" if key else problem.detail)
        rows.refuse(number, told, raw=f"{key}: {cell}")
