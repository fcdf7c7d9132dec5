"""SenML (RFC 8428) in JSON: a list of records, where base fields hold for the records after them too.

A boolean value is 1 or 0. Times below 2**28 seconds are relative to the moment of arrival. A record with base fields
alone sets them and is no reading, although the RFC asks for a value: widespread gateways send it so. `index` is a
record's place in the list, from 0.
"""

import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sensors.ingest.fields import GOOD, LARGEST, reading_value, sensor_key, unit_code
from sensors.ingest.json_text import body_list, checked_text, members, plain
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)
from smartmaint import clock

NAME = "SenML"
MEDIA_TYPES = ("application/senml+json",)

VERSIONS = (*range(1, 11), 26)
"""10 is RFC 8428; 26 is the same with the secondary units of RFC 8798 (RFC 9100, features as bits)."""

ABSOLUTE_FROM_S = 2**28
_LATEST_S = 10**11  # the year 5138, as for every epoch number

# Where the names of the SenML units registries (RFC 8428, section 12.1; RFC 8798) and the UCUM codes of `units` differ.
# Coulomb, farad and byte stand here because plants write C, F and B for other things.
UCUM_CODES = {
    "/": "1",
    "%RH": "%",
    "%EL": "%",
    "/100": "%",
    "/1000": "[ppth]",
    "count": "1",
    "beats": "1",
    "EL": "s",
    "lat": "deg",
    "lon": "deg",
    "C": "A.s",
    "F": "A.s/V",
    "B": "By",
    "KiB": "KiBy",
    "GB": "GBy",
    "B/s": "By/s",
    "MB/s": "MBy/s",
    "VA": "V.A",
    "kVA": "kV.A",
    "Wh": "W.h",
    "kWh": "kW.h",
    "Ah": "A.h",
    "Bspl": "B[SPL]",
    "dBW": "dB[W]",
    "dBm": "dB[mW]",
}

_VALUES = ("v", "vb", "vs", "vd")
_BASE_FIELDS = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_OWN_FIELDS = frozenset({"n", "u", "t", "ut", "s", *_VALUES})
_MUST_UNDERSTAND = re.compile(rb'(?:_|\\u005[fF])"\s*:').search


@dataclass(slots=True)
class _Base:
    """The base fields in force."""

    name: str = ""
    time_us: int = 0
    unit: str | None = None
    value: int | float | None = None

    def take(self, index: int, record: dict[str, msgspec.Raw]) -> None:
        """Raises MalformedBody for a field of the wrong kind: what it was meant for cannot be told any more."""
        try:
            self._take(record)
        except RowProblem as problem:
            raise MalformedBody(
                f"The base fields of record {index} cannot be read. {problem.detail}"
            ) from problem

    def _take(self, record: dict[str, msgspec.Raw]) -> None:
        if "bver" in record and plain(record["bver"]) not in VERSIONS:
            raise RowProblem("invalid_row", "This version of SenML is not understood; send 10.")
        if "bn" in record:
            name = plain(record["bn"])
            if not isinstance(name, str):
                raise RowProblem("invalid_sensor", "The base name must be text.")
            self.name = name
        if "bt" in record:
            self.time_us = _seconds_as_us(plain(record["bt"]))
        if "bu" in record:
            self.unit = unit_code(plain(record["bu"]))
        if "bv" in record:
            self.value = _number(plain(record["bv"]))


def parse(body: bytes, *, zone: ZoneInfo | None = None, now_us: int | None = None) -> ParsedReadings:
    """Read a request body; `now_us` is what relative times count from (microseconds since 1970; the domain clock's).

    SenML has no local times: `zone` is not needed. A record that cannot be accepted becomes a `Refusal`. Raises
    `MalformedBody` where the list or its base fields cannot be read, or a field must be understood and is not, and
    `TooManyReadings`; nothing else, whatever the bytes.
    """
    body = checked_text(body)
    records = body_list(body)
    if len(records) > MAX_READINGS:
        raise TooManyReadings
    if now_us is None:
        now_us = round(clock.now().timestamp() * 1_000_000)
    has_demands = bool(_MUST_UNDERSTAND(body))
    rows, base = ReadingRows(), _Base()
    for index, raw in enumerate(records):
        record = members(raw)
        if record is None:
            rows.refuse(index, RowProblem("invalid_row", "A record is an object."), raw=bytes(raw))
            continue
        if has_demands:
            _refuse_demands(index, record)
        if not _BASE_FIELDS.isdisjoint(record):
            base.take(index, record)
            if _OWN_FIELDS.isdisjoint(record):
                continue
        try:
            _accept(rows, index, record, base, now_us)
        except RowProblem as problem:
            rows.refuse(index, problem, raw=bytes(raw))
    return rows.finish(historical=False)


def _refuse_demands(index: int, record: dict[str, msgspec.Raw]) -> None:
    """A label that ends in an underscore changes the meaning of the whole list for who does not understand it."""
    for label in record:
        if label.endswith("_"):
            raise MalformedBody(
                f'Record {index} has the field "{label[:40]}", which must be understood and is not.'
            )


def _accept(rows: ReadingRows, index: int, record: dict[str, msgspec.Raw], base: _Base, now_us: int) -> None:
    name = plain(record["n"]) if "n" in record else ""
    if not isinstance(name, str):
        raise RowProblem("invalid_sensor", "The name must be text.")
    unit = unit_code(plain(record["u"])) if "u" in record else base.unit
    rows.accept(
        index,
        sensor_key(base.name + name),
        _resolved_time(record, base, now_us),
        _value(record, base),
        GOOD,
        None if unit is None else UCUM_CODES.get(unit, unit),
    )


def _resolved_time(record: dict[str, msgspec.Raw], base: _Base, now_us: int) -> int:
    ts_us = base.time_us + (_seconds_as_us(plain(record["t"])) if "t" in record else 0)
    return ts_us if ts_us >= ABSOLUTE_FROM_S * 1_000_000 else now_us + ts_us


def _seconds_as_us(seconds: Any) -> int:
    # abs of an integer of any size compares exactly.
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not abs(seconds) < _LATEST_S:
        raise RowProblem("invalid_timestamp", "Times are numbers of seconds.")
    return round(seconds * 1_000_000)


def _value(record: dict[str, msgspec.Raw], base: _Base) -> float:
    given = [label for label in _VALUES if label in record]
    if len(given) > 1:
        raise RowProblem("invalid_row", f"A record has one value, this one has {' and '.join(given)}.")
    match given:
        case ["v"]:
            value = _number(plain(record["v"]))
            return reading_value(value if base.value is None else base.value + value, quality=GOOD)
        case ["vb"]:
            flag = plain(record["vb"])
            if not isinstance(flag, bool):
                raise RowProblem("invalid_value", "A boolean value is true or false.")
            return float(flag)
        case [_]:
            raise RowProblem("invalid_value", "Values of text or binary data are not stored: send v or vb.")
    if "s" in record:
        raise RowProblem("invalid_value", "Sums are not stored: send the value v.")
    if base.value is None:
        raise RowProblem("invalid_value", "The record has no value.")
    return float(base.value)


def _number(raw: Any) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise RowProblem("invalid_value", "The value must be a number.")
    if not abs(raw) <= LARGEST:
        raise RowProblem("invalid_value", f"The value must lie between {-LARGEST:g} and {LARGEST:g}.")
    return raw
