"""Long CSV: one reading a line, with a header that names the columns; read in blocks, so that its length does not matter.

Encoding UTF-8 with or without a byte order mark; separated by comma, semicolon or tab, whichever the header uses;
quoted as RFC 4180 says. `index` of a row or a refusal is its line number in the file, the header being line 1.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO
from zoneinfo import ZoneInfo

from sensors.ingest.fields import quality_code, reading_value, sensor_key, unit_code
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, ReadingRows, RowProblem
from sensors.ingest.timestamps import timestamp_us

SEPARATORS = ",;\t"
MAX_LINE_BYTES = 64 * 1024

_NUMERIC = frozenset("0123456789+-.eE")


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called; those of quality and unit may be missing."""

    sensor: str = "sensor"
    ts: str = "ts"
    value: str = "value"
    quality: str = "quality"
    unit: str = "unit"


OPTIONAL = frozenset({"quality", "unit"})


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each column is, from 0; None for one that is not there."""

    sensor: int
    ts: int
    value: int
    quality: int | None
    unit: int | None
    width: int
