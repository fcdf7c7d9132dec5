"""The pieces of a line of InfluxDB's line protocol: names with their escapes, values and timestamps.

Values and timestamps are read one by one, or many at once where they are written as almost every client does.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.ingest.fields import GOOD, LARGEST, reading_value
from sensors.ingest.parsed import MAX_READINGS, RowProblem, TooManyReadings
from sensors.ingest.timestamps import EPOCH_UNITS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Number = TypeVar("Number", int, float)

MICROSECONDS = {"us": 1, "ms": 1_000, "s": 1_000_000}
PRECISIONS = ("ns", *MICROSECONDS)

# Microseconds; some 3,000 years from 1970. No clock goes so far astray: the unit is another one.
_FARTHEST = 10**17

NEWLINE, SPACE, COMMA, EQUALS = b"\n ,="

# A separator right behind a backslash is text. The quantifiers are possessive: nothing is walked over twice.
_MEASUREMENT = rb"(?:[^\\, \n]++|\\[, ]?+)++"
_NAME = rb"(?:[^\\,= \n]++|\\[,= ]?+)++"
_HEAD = rb"(?:[^\\ \n]++|\\[,= ]?+)++"
_VALUE = rb'(?:"(?:[^"\\]++|\\.)*+"|[^, \n"]++)'
_FIELDS = rb"%b=%b(?:,%b=%b)*+" % (_NAME, _VALUE, _NAME, _VALUE)

match_line = re.compile(rb"[ \t]*+(%b) ++(%b)(?: ++([^ \n]++))?+ *+" % (_HEAD, _FIELDS), re.DOTALL).match
find_fields = re.compile(rb"(%b)=(%b)" % (_NAME, _VALUE), re.DOTALL).findall
_match_head = re.compile(rb"(%b)((?:,%b=%b)*+)" % (_MEASUREMENT, _NAME, _NAME)).fullmatch
_find_tags = re.compile(rb",(%b)=(%b)" % (_NAME, _NAME)).findall
_ESCAPED_IN_MEASUREMENT = re.compile(rb"\\([, ])")
_ESCAPED = re.compile(rb"\\([,= ])")

_match_float = re.compile(rb"-?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?").fullmatch
_match_integer = re.compile(rb"(-?\d{1,19})i|(\d{1,20})u").fullmatch
_match_timestamp = re.compile(rb"-?\d{1,19}").fullmatch
_TRUE = frozenset((b"t", b"T", b"true", b"True", b"TRUE"))
_FALSE = frozenset((b"f", b"F", b"false", b"False", b"FALSE"))

# A JSON decoder reads numbers as exactly as float() does, three times as fast.
_decode_floats = msgspec.json.Decoder(list[float]).decode
_decode_ints = msgspec.json.Decoder(list[int]).decode


def unescaped(raw: bytes, escaped: re.Pattern[bytes] = _ESCAPED) -> str:
    """Raises RowProblem."""
    try:
        return (escaped.sub(rb"\1", raw) if b"\\" in raw else raw).decode()
    except UnicodeDecodeError as error:
        raise RowProblem("invalid_row", "The line is not UTF-8.") from error


def measurement_and_tags(head: bytes) -> tuple[str, dict[str, str]]:
    """Raises RowProblem."""
    match = _match_head(head)
    if match is None:
        raise RowProblem(
            "invalid_row", "A line begins with its measurement and tags: pump,site=north,line=2 ..."
        )
    measurement, tags = match.groups()
    if b"\\" in tags:
        pairs = [(unescaped(name), unescaped(value)) for name, value in _find_tags(tags)]
    else:
        words = unescaped(tags).replace("=", ",").split(",")
        pairs = list(zip(words[1::2], words[2::2], strict=True))
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        raise RowProblem("invalid_row", "A tag is there twice.")
    return unescaped(measurement, _ESCAPED_IN_MEASUREMENT), by_name


def read_number(raw: bytes) -> float:
    """One field's value; raises RowProblem."""
    if _match_float(raw):
        return reading_value(float(raw), quality=GOOD)
    if raw in _TRUE or raw in _FALSE:
        return float(raw in _TRUE)
    if match := _match_integer(raw):
        signed, unsigned = match.groups()
        whole = int(signed or unsigned)
        if -(2**63) <= whole < (2**63 if signed else 2**64):
            return float(whole)
        raise RowProblem("invalid_value", "The integer does not fit into 64 bits.")
    raise RowProblem("invalid_value", "The value must be a number like 4.2, 4i or 4u, or true or false.")


def read_numbers(raw: Sequence[bytes]) -> Floats | None:
    """Many fields' values; None where one of them asks for `read_number`."""
    try:
        values = _floats(raw)
    except msgspec.DecodeError:
        try:
            values = _floats_and_integers(raw)
        except (msgspec.DecodeError, OverflowError, RowProblem):
            return None
    return values if (np.abs(values) <= LARGEST).all() else None


def _floats(raw: Sequence[bytes]) -> Floats:
    """Raises msgspec.DecodeError."""
    return np.array(_of_list(_decode_floats, raw), dtype=np.float64)


def _whole_numbers(raw: Sequence[bytes]) -> Ints:
    """Raises msgspec.DecodeError, and OverflowError beyond 64 bits."""
    return np.array(_of_list(_decode_ints, raw), dtype=np.int64)


def _of_list(decode: Callable[[bytes], list[Number]], raw: Sequence[bytes]) -> list[Number]:
    numbers = decode(b"[%b]" % b",".join(raw))
    if len(numbers) != len(raw):  # a single one that is empty
        raise msgspec.DecodeError
    return numbers


def _floats_and_integers(raw: Sequence[bytes]) -> Floats:
    """Raises msgspec.DecodeError, OverflowError or RowProblem."""
    is_integer = np.array([value.endswith(b"i") for value in raw])
    others = [value for value in raw if not value.endswith(b"i")]
    values = np.empty(len(raw))
    values[is_integer] = _whole_numbers([value[:-1] for value in raw if value.endswith(b"i")])
    try:
        values[~is_integer] = _floats(others)
    except msgspec.DecodeError:
        values[~is_integer] = [read_number(value) for value in others]
    return values


def plain_pieces(block: bytes) -> tuple[list[bytes], list[bytes], list[bytes]] | None:
    """Heads, fields and timestamps (none, or one for each); None unless all lines have the same single spaces."""
    characters = np.frombuffer(block, np.uint8)
    blanks = np.append(characters[characters <= SPACE], np.uint8(NEWLINE))
    words = block.replace(b"\n", b" ").split(b" ")
    for wanted in ([SPACE, SPACE, NEWLINE], [SPACE, NEWLINE]):
        width = len(wanted)
        if len(blanks) % width == 0 and (blanks.reshape(-1, width) == wanted).all():
            return words[0::width], words[1::width], words[2::width] if width == 3 else []
    return None


def line_of_field(listed: bytes) -> Ints | None:
    """Where each field stands, lines counted from 0; None unless all are name=value, with a comma between two."""
    signs = np.frombuffer(listed, np.uint8)
    signs = signs[(signs == EQUALS) | (signs == COMMA) | (signs == NEWLINE)]
    if len(signs) % 2 == 0 or (signs[0::2] != EQUALS).any() or (signs[1::2] == EQUALS).any():
        return None
    if len(signs) >= 2 * MAX_READINGS:
        raise TooManyReadings
    return np.concatenate([[0], np.cumsum(signs[1::2] == NEWLINE)])


def read_timestamp(raw: bytes, precision: str) -> int:
    """One timestamp in microseconds since 1970; digits beyond them are cut off. Raises RowProblem."""
    if not _match_timestamp(raw):
        raise RowProblem(
            "invalid_timestamp", "The timestamp must be a whole number, counted from 1970 in UTC."
        )
    number = int(raw)
    ts_us = number // 1_000 if precision == "ns" else number * MICROSECONDS[precision]
    if abs(ts_us) >= _FARTHEST:
        likely = likely_precision(ts_us, precision)
        raise RowProblem(
            "invalid_timestamp",
            f"The timestamp is too large for precision={precision}: is precision={likely} meant?",
        )
    return ts_us


def likely_precision(ts_us: int, precision: str) -> str:
    """The unit of a timestamp that reads as `ts_us` in `precision`, by how large it was written.

    As for epoch numbers elsewhere: each unit's numbers from 1973 to the year 5138 are no other's.
    """
    number = abs(ts_us * 1_000 if precision == "ns" else ts_us // MICROSECONDS[precision])
    return next((unit for unit, below in EPOCH_UNITS.items() if number < below), "ns")


def read_timestamps(raw: Sequence[bytes], precision: str) -> Ints | None:
    """Many timestamps; None where one of them asks for `read_timestamp`."""
    try:
        numbers = _whole_numbers(raw)
    except (msgspec.DecodeError, OverflowError):
        return None
    if precision == "ns":
        return numbers // 1_000
    factor = MICROSECONDS[precision]
    is_far = (numbers >= _FARTHEST // factor) | (numbers <= -_FARTHEST // factor)
    return None if is_far.any() else numbers * factor
