"""Machine events as they are posted: what a controller reported, of which machine, when.

JSON: {"events": [{"equipment", "code", "ts", "kind"?, "message"?}, ...]}; keys that are not known are ignored. CSV: one
event a line under a header with the same names. A row that cannot be accepted becomes a `Refusal` and stops no other.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import msgspec

from sensors.ingest.csv_lines import SEPARATORS, line_fields, line_text, read_line, timestamp_field
from sensors.ingest.json_text import (
    body_list_or_object,
    body_object,
    checked_text,
    elements,
    members,
    plain,
)
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    Refusal,
    RowProblem,
    TooManyReadings,
    readable,
)
from sensors.ingest.timestamps import timestamp_us

KINDS = ("fault", "error", "warning", "state", "other")
USUAL_KIND = "error"
MAX_TAG = 50
MAX_CODE = 100
MAX_MESSAGE = 1_000
MAX_LINE_BYTES = 64 * 1024

_FIELDS = ("equipment", "code", "ts", "kind", "message")
_REQUIRED = ("equipment", "code", "ts")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event: its place in the request, the machine's tag, the controller's code, microseconds since 1970 in UTC."""

    index: int
    equipment: str
    code: str
    ts_us: int
    kind: str
    message: str


@dataclass(slots=True)
class ParsedEvents:
    """The events of one request, in its order, and what was refused."""

    rows: list[EventRow] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def received(self) -> int:
        return len(self.rows) + len(self.refusals)

    def add(self, index: int, read: Callable[[str], Any], *, zone: ZoneInfo | None, raw: str | bytes) -> None:
        """Take one row, whose fields `read` returns by name (None: absent)."""
        try:
            self.rows.append(_event(index, read, zone))
        except RowProblem as problem:
            self.refusals.append(Refusal(index, problem.code, problem.detail, raw=readable(raw)))


def parse_json(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedEvents:
    """Read a request body; timestamps without an offset are taken in `zone`, the first time of an hour that repeats.

    Raises `MalformedBody` where the body as a whole cannot be read, and `TooManyReadings` above `MAX_READINGS` events.
    """
    return _parse_rows(_posted(body_object(checked_text(body), is_strict=True)), {}, zone)


def parse_any_json(
    body: bytes, *, usual: Mapping[str, Callable[[], Any]], zone: ZoneInfo | None = None
) -> ParsedEvents:
    """As `parse_json`, of what a request's body holds, a list of events, or one event; what an event does not say
    itself is asked of `usual`, by the field's name.
    """
    content = body_list_or_object(checked_text(body), is_strict=True)
    if isinstance(content, dict):
        content = _posted(content) if "events" in content else [msgspec.Raw(msgspec.json.encode(content))]
    return _parse_rows(content, usual, zone)


def _posted(content: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    raws = elements(content["events"]) if "events" in content else None
    if raws is None:
        raise MalformedBody('The body is an object with a list of "events".')
    return raws


def _parse_rows(
    raws: Sequence[msgspec.Raw], usual: Mapping[str, Callable[[], Any]], zone: ZoneInfo | None
) -> ParsedEvents:
    if len(raws) > MAX_READINGS:
        raise TooManyReadings
    parsed = ParsedEvents()
    for index, raw in enumerate(raws):
        parsed.add(index, _reader_of(members(raw), usual), zone=zone, raw=bytes(raw))
    return parsed


def _reader_of(
    row: Mapping[str, msgspec.Raw] | None, usual: Mapping[str, Callable[[], Any]]
) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        if row is None:
            raise RowProblem("invalid_row", "An event is an object with equipment, code and ts.")
        told = plain(row[name]) if name in row else None
        return usual[name]() if told is None and name in usual else told

    return read


def parse_csv(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedEvents:
    """As `parse_json`, of CSV; `index` is the line's number, from 1 with the header."""
    whole = ParsedEvents()
    for parsed in read_csv(BytesIO(body), zone=zone):
        whole.rows += parsed.rows
        whole.refusals += parsed.refusals
        if whole.received > MAX_READINGS:
            raise TooManyReadings
    return whole


def read_csv(
    stream: BinaryIO,
    *,
    columns: Mapping[str, str] | None = None,
    zone: ZoneInfo | None = None,
    block_size: int = MAX_READINGS,
) -> Iterator[ParsedEvents]:
    """Yield the events of a file, up to `block_size` lines at a time; empty lines are none.

    `columns` says what columns are called that are not called as the fields. Raises `MalformedBody` where the header
    cannot be used.
    """
    names = {name: (columns or {}).get(name, name).lower() for name in _FIELDS}
    separator, header = _header(read_line(stream, limit=MAX_LINE_BYTES), names)
    parsed, number = ParsedEvents(), 1
    while line := read_line(stream, limit=MAX_LINE_BYTES):
        number += 1
        if line.strip():
            parsed.add(number, _LineReader(line, separator, header, names), zone=zone, raw=line)
        if parsed.received == block_size:
            yield parsed
            parsed = ParsedEvents()
    if parsed.received:
        yield parsed


def _header(line: bytes, names: Mapping[str, str]) -> tuple[str, list[str]]:
    try:
        text = line_text(line.removeprefix(codecs.BOM_UTF8), limit=MAX_LINE_BYTES)
        separator = max(SEPARATORS, key=text.count)
        header = [name.lower() for name in line_fields(text, separator)]
    except RowProblem as problem:
        raise MalformedBody(f"The header cannot be read. {problem.detail}") from problem
    for name in _FIELDS:
        if header.count(names[name]) > 1:
            raise MalformedBody(f"The header has the column {names[name]!r} more than once.")
        if name in _REQUIRED and names[name] not in header:
            found = ", ".join(map(repr, header[:20]))
            raise MalformedBody(f"The header has no column {names[name]!r}. It has: {found}.")
    return separator, header


class _LineReader:
    """Reads the fields of one line by name, when they are asked for."""

    def __init__(self, line: bytes, separator: str, header: list[str], names: Mapping[str, str]) -> None:
        self.line, self.separator, self.header, self.names = line, separator, header, names
        self.values: list[str] | None = None

    def __call__(self, name: str) -> Any:
        if self.values is None:
            self.values = line_fields(line_text(self.line, limit=MAX_LINE_BYTES), self.separator)
        if len(self.values) != len(self.header):
            raise RowProblem(
                "invalid_row", f"The line has {len(self.values)} fields, the header {len(self.header)}."
            )
        if self.names[name] not in self.header:
            return None
        text = self.values[self.header.index(self.names[name])]
        return (timestamp_field(text) if name == "ts" else text) or None


def _event(index: int, read: Callable[[str], Any], zone: ZoneInfo | None) -> EventRow:
    return EventRow(
        index=index,
        equipment=_word(read("equipment"), "invalid_equipment", MAX_TAG, "the tag of its machine"),
        code=_word(read("code"), "invalid_code", MAX_CODE, "the code that the controller gave"),
        ts_us=int(timestamp_us(read("ts"), zone=zone)),
        kind=_kind(read("kind")),
        message=_message(read("message")),
    )


def _word(raw: Any, code: str, most: int, what: str) -> str:
    """Controllers send codes as numbers too."""
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= most or _CONTROL_CHARACTER(text):
        raise RowProblem(code, f"Every event has {what}: 1 to {most} characters without control characters.")
    return text.strip()


def _kind(raw: Any) -> str:
    if raw is None:
        return USUAL_KIND
    if isinstance(raw, str) and raw.lower() in KINDS:
        return raw.lower()
    raise RowProblem("unknown_kind", f"The kind is one of {', '.join(KINDS)}.")


def _message(raw: Any) -> str:
    """What is too long is cut: an event is not lost for its words."""
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise RowProblem("invalid_message", "The message is text.")
    text = raw.replace("\0", "�").encode("utf-8", "replace").decode().strip()
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
