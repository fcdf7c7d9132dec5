"""Lines of CSV and their fields, the same in long and wide files; a line that cannot be read raises `RowProblem`."""

import csv
import re
from typing import BinaryIO

from sensors.ingest.parsed import RowProblem

SEPARATORS = ",;\t"
MAX_DIGITS = 40

_WHOLE_NUMBER = re.compile(r"[+-]?\d+", re.ASCII).fullmatch
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch


def read_line(stream: BinaryIO, *, limit: int) -> bytes:
    """The next line; of one longer than `limit` bytes only its first `limit + 1` bytes, and its rest is skipped."""
    line = stream.readline(limit + 1)
    rest = line
    while len(rest) > limit and not rest.endswith(b"\n"):
        rest = stream.readline(limit + 1)
    return line


def line_text(line: bytes, *, limit: int) -> str:
    """The line as text (`invalid_row`)."""
    if len(line) > limit:
        raise RowProblem("invalid_row", f"The line is longer than {limit // 1024} KiB.")
    if b"\0" in line:
        raise RowProblem("invalid_row", "The line contains a NUL byte.")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise RowProblem(
            "invalid_row", f"The line is not UTF-8: {error.reason} at byte {error.start}."
        ) from error


def line_fields(text: str, separator: str) -> list[str]:
    """The fields without the blanks around them (`invalid_row`); a quoted one may hold the separator."""
    if '"' not in text:
        return [field.strip() for field in text.split(separator)]
    try:
        (fields,) = csv.reader([text.rstrip("\r\n")], delimiter=separator, strict=True)
    except (csv.Error, ValueError) as error:
        raise RowProblem("invalid_row", f"The quotes of the line do not fit: {error}.") from error
    return [field.strip() for field in fields]


def timestamp_field(text: str) -> str | int | float:
    """Epoch numbers as numbers, whole ones to the last digit; anything else as it is."""
    if len(text) > MAX_DIGITS:
        return text
    if _WHOLE_NUMBER(text):
        return int(text)
    return float(text) if _NUMBER(text) else text


def value_field(text: str) -> float | str | None:
    """The number; None for an empty field, and anything else as it is, so that it is refused by its own rule."""
    if _NUMBER(text):
        return float(text)
    if "," in text:
        raise RowProblem("invalid_value", "The value has a comma: write it with a decimal point.")
    return text or None
