"""InfluxDB's line protocol, version 2: `measurement,tag=value,... field=value,... [timestamp]`, a point a line.

Each field that is a number is a reading; a boolean is 1 or 0. Almost every client writes almost every line in the plain
form, without escapes, quotes or doubled spaces: such lines are read all together, column by column, and the others one
by one. Both ways take the same text and refuse the same text.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sensors.ingest.fields import GOOD
from sensors.ingest.line_grammar import (
    EQUALS,
    NEWLINE,
    PRECISIONS,
    Floats,
    Ints,
    find_fields,
    line_of_field,
    match_line,
    plain_pieces,
    read_number,
    read_numbers,
    read_timestamp,
    read_timestamps,
)
from sensors.ingest.naming import Naming
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    Refusal,
    RowProblem,
    TooManyReadings,
    readable,
)
from sensors.ingest.series import Series

NAME = "line protocol"
MEDIA_TYPES = ()
"""No content type tells it: it has an address of its own."""

__all__ = ["MEDIA_TYPES", "NAME", "PRECISIONS", "parse"]

Row = tuple[int, int, int, float]
"""Number of the line, number of the sensor, microseconds since 1970, value."""
Columns = tuple[Ints, Ints, Ints, Floats]

# Far beyond what 10,000 readings need: refused before lists of millions of pieces fill the memory.
_MOST_PIECES = 50 * MAX_READINGS
# Fewer lines than these are read sooner one by one.
_FEW_LINES = 30
# A text may go on over several lines, so one without its closing quote could be sought up to the end of the body, from
# each line anew.
_LONGEST_TEXT = 64 * 1024
_MOST_UNCLOSED_TEXTS = 100


def parse(body: bytes, *, precision: str = "ns", naming: Naming, now_us: int) -> ParsedReadings:
    """Read a request body; the `index` of a reading is its line, from 1.

    `precision` is the unit of the timestamps, one of `PRECISIONS`; digits beyond the microsecond are cut off. A point
    without a timestamp is of `now_us` (microseconds since 1970). A line or a field that cannot be accepted becomes a
    `Refusal` and stops no other. Raises `MalformedBody` where there is nothing in the body and `TooManyReadings` above
    `MAX_READINGS`; nothing else, whatever the bytes.
    """
    if not body.strip():
        raise MalformedBody("The body is empty: send one line or more.")
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    if len(body) > _MOST_PIECES:
        characters = np.frombuffer(body, np.uint8)
        if max(np.count_nonzero(characters == sign) for sign in (NEWLINE, EQUALS)) > _MOST_PIECES:
            raise TooManyReadings
    reader = _Reader(precision, Series(naming), now_us)
    reader.read(body.removesuffix(b"\n"))
    return reader.finish()


class Line(NamedTuple):
    number: int
    text: bytes

    @property
    def is_plain(self) -> bool:
        """Whether it looks as almost every client writes it, with a timestamp."""
        text = self.text
        return text.count(b" ") == 2 and b"\\" not in text and b'"' not in text and text[:1] not in b"# \t\r"

    @property
    def says_something(self) -> bool:
        """Whether it is neither empty nor a comment."""
        text = self.text.lstrip(b" \t\r")
        return text[:1] not in b"#"


@dataclass(slots=True)
class _Reader:
    """Reads the lines of one body: the plain ones into `columns`, the others into `rows`."""

    precision: str
    series: Series
    now_us: int
    columns: list[Columns] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unclosed_texts: int = 0

    def read(self, body: bytes) -> None:
        """`body` without a newline at its end."""
        takes_columns = body.count(b"\n") >= _FEW_LINES
        if takes_columns and self._read_plain(body):
            return
        plain: list[Line] = []
        start, number = 0, 1
        while start < len(body):
            end = body.find(b"\n", start)
            end = len(body) if end < 0 else end
            line = Line(number, body[start:end])
            if takes_columns and line.is_plain:
                plain.append(line)
            elif line.says_something:
                end = self._read_line(line, body, start)
            if len(plain) + len(self.rows) + len(self.refusals) > MAX_READINGS:
                raise TooManyReadings
            number += 1 + body.count(b"\n", start, end)
            start = end + 1
        self._read_in_parts(plain)

    def _read_in_parts(self, lines: list[Line]) -> None:
        """Read lines that look plain: those around one that is not are still read together."""
        if len(lines) < _FEW_LINES:
            for line in lines:
                self._read_line(line, line.text, 0)
        elif not self._read_plain(b"\n".join(line.text for line in lines), lines):
            middle = len(lines) // 2
            self._read_in_parts(lines[:middle])
            self._read_in_parts(lines[middle:])

    def _read_plain(self, block: bytes, lines: list[Line] | None = None) -> bool:
        """Read lines that are all plain, with a timestamp each or none at all; False, and nothing, if one is not."""
        # A # is sought by itself first: that is many times quicker than seeking two characters.
        has_comments = b"#" in block and (block.startswith(b"#") or b"\n#" in block)
        pieces = None if has_comments or b'"' in block or b"\\" in block else plain_pieces(block)
        if pieces is None:
            return False
        heads, fields, written = pieces
        if len(heads) > MAX_READINGS:
            raise TooManyReadings
        listed = b"\n".join(fields)
        at = line_of_field(listed)
        if at is None or (len(at) > len(heads) and not self.series.naming.tells_fields_apart):
            return False
        words = listed.replace(b"\n", b",").replace(b"=", b",").split(b",")
        names, values = words[0::2], read_numbers(words[1::2])
        ts_us = read_timestamps(written, self.precision) if written else np.full(len(heads), self.now_us)
        if values is None or ts_us is None or b"" in names or b"" in heads:
            return False
        sensors = self.series.numbers(heads, at, names)
        numbers = np.array([line.number for line in lines]) if lines else np.arange(1, len(heads) + 1)
        good = sensors >= 0
        self.columns.append((numbers[at[good]], sensors[good], ts_us[at[good]], values[good]))
        if not good.all():
            texts = block.split(b"\n")
            for row in np.flatnonzero(~good).tolist():
                line = Line(int(numbers[at[row]]), texts[at[row]])
                self._refuse(line, self.series.problems[~sensors[row]])
        return True

    def _read_line(self, line: Line, body: bytes, start: int) -> int:
        """Read the line that begins at `start` of the body. Returns its end: a text may go on over several lines."""
        end = start + len(line.text)
        match = match_line(body, start, end)
        if b'"' in line.text and (match is None or match.end() < end):
            match = self._match_long_line(body, start, end)
        if match is None or match.end() < end:
            words = "The line is not: measurement,tag=value,... field=value,... timestamp."
            self._refuse(line, RowProblem("invalid_row", words))
            return end
        try:
            self._read_point(line, *match.groups(b""))
        except RowProblem as problem:
            self._refuse(line, problem)
        return match.end()

    def _match_long_line(self, body: bytes, start: int, end: int) -> re.Match[bytes] | None:
        if self.unclosed_texts >= _MOST_UNCLOSED_TEXTS:
            return None
        match = match_line(body, start, end + _LONGEST_TEXT)
        if match is not None and match.end() > end and body[match.end() : match.end() + 1] in (b"", b"\n"):
            return match
        self.unclosed_texts += 1
        return None

    def _read_point(self, line: Line, head: bytes, fields: bytes, written: bytes) -> None:
        """Raises RowProblem where the whole line is refused."""
        ts_us = read_timestamp(written, self.precision) if written else self.now_us
        by_name = find_fields(fields)
        numeric = [(name, raw) for name, raw in by_name if not raw.startswith(b'"')]
        if len(numeric) > 1 and not self.series.naming.tells_fields_apart:
            words = "The line has several numbers, and the naming of this key does not tell them apart by {field}."
            raise RowProblem("ambiguous_field", words)
        if len(self.rows) + len(numeric) > MAX_READINGS:
            raise TooManyReadings
        for name, raw in numeric:
            self._read_field(line, head, name, raw, ts_us)
        if not self.series.naming.ignores_text:
            for _ in range(len(by_name) - len(numeric)):
                self._refuse(
                    line, RowProblem("invalid_value", "The field is text, and a reading is a number.")
                )

    def _read_field(self, line: Line, head: bytes, name: bytes, raw: bytes, ts_us: int) -> None:
        try:
            value = read_number(raw)
        except RowProblem as problem:
            self._refuse(line, problem)
            return
        sensor = self.series.number(head, name)
        if sensor < 0:
            self._refuse(line, self.series.problems[~sensor])
        else:
            self.rows.append((line.number, sensor, ts_us, value))

    def _refuse(self, line: Line, problem: RowProblem) -> None:
        if len(self.refusals) >= MAX_READINGS:
            raise TooManyReadings
        self.refusals.append(Refusal(line.number, problem.code, problem.detail, raw=readable(line.text)))

    def finish(self) -> ParsedReadings:
        """The readings in the order of the body; raises TooManyReadings."""
        parts = [*self.columns, _columns(self.rows)]
        index, sensors, ts_us, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.argsort(index, kind="stable")
        if len(index) + len(self.refusals) > MAX_READINGS:
            raise TooManyReadings
        return ParsedReadings(
            index=index[order],
            keys=list(self.series.keys),
            key_of_row=sensors[order],
            ts_us=ts_us[order],
            values=values[order],
            quality=np.full(len(index), GOOD, dtype=np.int8),
            units=[None],
            unit_of_row=np.zeros(len(index), dtype=np.int64),
            refusals=sorted(self.refusals, key=lambda refusal: refusal.index),
            precision=self.precision,
        )


def _columns(rows: list[Row]) -> Columns:
    """Rows as columns: line number, number of the sensor, microseconds since 1970, value."""
    index, sensors, ts_us, values = zip(*rows, strict=True) if rows else ((),) * 4
    return (
        np.array(index, dtype=np.int64),
        np.array(sensors, dtype=np.int64),
        np.array(ts_us, dtype=np.int64),
        np.array(values, dtype=np.float64),
    )
