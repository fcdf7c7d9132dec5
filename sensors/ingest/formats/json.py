"""The native JSON body: {"readings": [{"sensor", "ts", "value", "quality"?, "unit"?}, ...], "historical"?:
false}.

Keys that are not known are ignored, so that a client may send more than this version reads.
"""

import codecs
from zoneinfo import ZoneInfo

import msgspec

from sensors.ingest.fields import quality_code, reading_value, sensor_key, unit_code
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)
from sensors.ingest.timestamps import timestamp_us

# Far beyond what 10,000 readings need: refused before millions of tiny elements fill the memory.
_MAX_COMMAS = 100 * MAX_READINGS

_NULL = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    readings: list[msgspec.Raw]
    historical: bool = False


class _Row(msgspec.Struct, gc=False):
    # Raw, so that each field is judged by itself. Decoding all rows at once into types saved a tenth of
    # the time only, and would have asked for this path beside it: one bad row must not fail the others.
    sensor: msgspec.Raw = _NULL
    ts: msgspec.Raw = _NULL
    value: msgspec.Raw = _NULL
    quality: msgspec.Raw = _NULL
    unit: msgspec.Raw = _NULL


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_row = msgspec.json.Decoder(_Row).decode
_decode_field = msgspec.json.Decoder().decode


def parse(body: bytes, *, zone: ZoneInfo | None = None) -> ParsedReadings:
    """Read a request body; timestamps without an offset are taken in `zone`.

    A row that cannot be accepted becomes a `Refusal` and stops no other. Raises `MalformedBody` where the
    body as a whole cannot be read and `TooManyReadings` above `MAX_READINGS`; nothing else, whatever the
    bytes.
    """
    request = _decode(_checked(body))
    if len(request.readings) > MAX_READINGS:
        raise TooManyReadings
    rows = ReadingRows()
    for index, raw in enumerate(request.readings):
        try:
            _accept(rows, index, raw, zone)
        except RowProblem as problem:
            rows.refuse(index, problem)
    return rows.finish(historical=request.historical)


def _checked(body: bytes) -> bytes:
    body = body.removeprefix(codecs.BOM_UTF8)
    if b"\0" in body:
        raise MalformedBody("The body contains a NUL byte.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    if body.count(b",") > _MAX_COMMAS:
        raise TooManyReadings
    return body


def _decode(body: bytes) -> _Body:
    try:
        return _decode_body(body)
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
