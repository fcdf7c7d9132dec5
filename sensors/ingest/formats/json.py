"""The native JSON body: {"readings": [{"sensor", "ts", "value", "quality"?, "unit"?}, ...], "historical"?:
false}.

Keys that are not known are ignored, so that a client may send more than this version reads.
"""

from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from sensors.ingest.columns import parse_columns
from sensors.ingest.fields import quality_code, reading_value, sensor_key, unit_code
from sensors.ingest.json_text import checked_text, decode_leniently
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)
from sensors.ingest.timestamps import timestamp_us

NAME = "JSON"
MEDIA_TYPES = ("application/json",)

# The few readings of a shorter body are read faster one by one.
_SHORT = 600

_NULL = msgspec.Raw(b"null")


class _Reading(msgspec.Struct, gc=False):
    """A reading as most are; what is legal and rare, such as "NaN" for a value, is left to the other way."""

    sensor: str
    ts: str | int | float
    value: float | None = None
    quality: str | None = None
    unit: str | None = None


class _Readings(msgspec.Struct):
    readings: list[_Reading]
    historical: bool = False


class _Body(msgspec.Struct):
    readings: list[msgspec.Raw]
    historical: bool = False


class _Row(msgspec.Struct, gc=False):
    # Raw, so that each field is judged by itself.
    sensor: msgspec.Raw = _NULL
    ts: msgspec.Raw = _NULL
    value: msgspec.Raw = _NULL
    quality: msgspec.Raw = _NULL
    unit: msgspec.Raw = _NULL


_decode_readings = msgspec.json.Decoder(_Readings).decode
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_row = msgspec.json.Decoder(_Row).decode
_decode_field = msgspec.json.Decoder().decode


def parse(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """Read a request body; timestamps without an offset are taken in `zone`.

    A row that cannot be accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where the
    body as a whole cannot be read and `TooManyReadings` above `MAX_READINGS`; nothing else, whatever the
    bytes.
    """
    body = checked_text(body)
    if len(body) > _SHORT:
        try:
            return _by_column(body, zone)
        except (msgspec.DecodeError, RecursionError, RowProblem):
            pass  # row by row it is found out what is wrong, and where
    return by_row(body, zone=zone)


def _by_column(body: bytes, zone: ZoneInfo | None) -> ParsedReadings:
    """Raises where any reading is not as it should be, in one of many ways."""
    request = _decode_readings(body)
    readings = request.readings
    if len(readings) > MAX_READINGS:
        raise TooManyReadings
    return parse_columns(
        keys=[reading.sensor for reading in readings],
        timestamps=[reading.ts for reading in readings],
        values=np.array([reading.value for reading in readings], dtype=np.float64),
        qualities=[reading.quality for reading in readings],
        units=[reading.unit for reading in readings],
        zone=zone,
        historical=request.historical,
    )


def by_row(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """As `parse`, of a body that is text, a reading at a time."""
    request = _decode(body)
    if len(request.readings) > MAX_READINGS:
        raise TooManyReadings
    rows = ReadingRows()
    for index, raw in enumerate(request.readings):
        try:
            _accept(rows, index, raw, zone)
        except RowProblem as problem:
            rows.refuse(index, problem, raw=bytes(raw))
    return rows.finish(historical=request.historical)


def _decode(body: bytes) -> _Body:
    try:
        return decode_leniently(_decode_body, body)
    except RecursionError as error:
        raise MalformedBody("The body is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not readings in JSON: {error}.") from error


def _accept(rows: ReadingRows, index: int, raw: msgspec.Raw, zone: ZoneInfo | None) -> None:
    try:
        row = _decode_row(raw)
    except msgspec.ValidationError as error:
        raise RowProblem("invalid_row", "A reading is an object with sensor, ts and value.") from error
    quality = quality_code(_field(row.quality, "unknown_quality"))
    rows.accept(
        index,
        sensor_key(_field(row.sensor, "invalid_sensor")),
        timestamp_us(_field(row.ts, "invalid_timestamp"), zone=zone),
        reading_value(_field(row.value, "invalid_value"), quality=quality),
        quality,
        unit_code(_field(row.unit, "unknown_unit")),
    )


def _field(raw: msgspec.Raw, code: str) -> object:
    try:
        return _decode_field(raw)
    except msgspec.ValidationError as error:  # a number that no float or integer can hold
        raise RowProblem(code, f"{error}.") from error
