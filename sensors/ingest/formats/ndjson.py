"""NDJSON: one reading of the native JSON a line. `index` is the line's number, from 1; empty lines do not count."""

import codecs
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from sensors.ingest.formats import json
from sensors.ingest.json_text import decode_leniently
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    Refusal,
    TooManyReadings,
    readable,
)

NAME = "NDJSON"
MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")

_decode = msgspec.json.Decoder(msgspec.Raw).decode


def parse(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """Read a request body; timestamps without an offset are taken in `zone`.

    A line that cannot be accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where no line can be
    read and `TooManyReadings` above `MAX_READINGS`; nothing else, whatever the bytes.
    """
    if body.count(b"\n") > 2 * MAX_READINGS:  # empty lines among them
        raise TooManyReadings
    numbers: list[int] = []
    lines: list[bytes] = []
    refusals: list[Refusal] = []
    for number, line in _lines(body):
        if len(lines) + len(refusals) == MAX_READINGS:
            raise TooManyReadings
        if problem := _problem(line):
            refusals.append(Refusal(number, "invalid_row", problem, raw=readable(line)))
        else:
            numbers.append(number)
            lines.append(line)
    if not lines:
        raise MalformedBody("No line of the body is JSON.")
    # Every line is one JSON value by itself, so that together they are a list of as many.
    parsed = json.parse(b'{"readings":[' + b",".join(lines) + b"]}", zone=zone)
    refusals += [
        replace(refusal, index=numbers[refusal.index], raw=refusal.raw or readable(lines[refusal.index]))
        for refusal in parsed.refusals
    ]
    return replace(
        parsed,
        index=np.array(numbers, dtype=np.int64)[parsed.index],
        refusals=sorted(refusals, key=lambda refusal: refusal.index),
    )


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    for number, line in enumerate(body.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if stripped := line.strip():
            yield number, stripped


def _problem(line: bytes) -> str | None:
    """Why a line is no JSON value, if so."""
    try:
        line.decode()
        decode_leniently(_decode, line)
    except UnicodeDecodeError as error:
        return f"The line is not UTF-8: {error.reason} at byte {error.start}."
    except RecursionError:
        return "The line is nested too deeply."
    except msgspec.DecodeError as error:
        return f"The line is not JSON: {error}."
    return None
