"""The telemetry of ThingsBoard's devices and gateways, as ThingsBoard reads it.

A device sends `{"temperature": 21.5}`, or with a time `{"ts": 1795341600000, "values": {"temperature": 21.5}}`, or a
list of such objects; a gateway sends them by device: `{"Pump 7": [...], "Fan 4": [...]}`. The sensor's key is
"Pump 7/temperature". Each name with a value is one reading, and `index` counts them through the body, from 0.

Text that ThingsBoard takes for a number (digits, a minus, a point; no exponent) is one, true and false are 1 and 0, and
null is left out. Other text, lists and objects are refused: ThingsBoard stores them, but they are no readings.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sensors.ingest.fields import GOOD, reading_value, sensor_key
from sensors.ingest.json_text import body_list_or_object, body_object, checked_text, elements, members, plain
from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, ReadingRows, RowProblem, TooManyReadings
from sensors.ingest.timestamps import timestamp_us
from smartmaint import clock

NAME = "ThingsBoard"
MEDIA_TYPES: tuple[
    str, ...
] = ()  # it has addresses of its own: the type is application/json like that of other bodies

_NULL = msgspec.Raw(b"null")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII).fullmatch
_WHOLE_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII).fullmatch


def parse(
    body: bytes, *, zone: ZoneInfo | None = None, device: str = "", now_us: int | None = None
) -> ParsedReadings:
    """Read what one device sent; without its name the keys are the names of the values alone.

    Values without a time are of `now_us` (microseconds since 1970; the domain clock's). A reading that cannot be
    accepted becomes a `Refusal`. Raises `MalformedBody` and `TooManyReadings`; nothing else, whatever the bytes.
    """
    telemetry = _Telemetry(zone, now_us)
    match body_list_or_object(checked_text(body)):
        case list() as entries:
            for entry in entries:
                telemetry.take(device, entry)
        case values:
            telemetry.take_members(device, values)
    return telemetry.rows.finish(historical=False)


def parse_gateway(body: bytes, *, zone: ZoneInfo | None = None, now_us: int | None = None) -> ParsedReadings:
    """Read what a gateway sent for its devices; otherwise as `parse`."""
    telemetry = _Telemetry(zone, now_us)
    for device, raw in body_object(checked_text(body)).items():
        entries = elements(raw)
        for entry in [raw] if entries is None else entries:
            telemetry.take(device, entry)
    return telemetry.rows.finish(historical=False)


class _Telemetry:
    """Collects the readings of a body."""

    def __init__(self, zone: ZoneInfo | None, now_us: int | None) -> None:
        self.zone = zone
        self.now_us = round(clock.now().timestamp() * 1_000_000) if now_us is None else now_us
        self.rows = ReadingRows()

    def take(self, device: str, entry: msgspec.Raw) -> None:
        """One element of a list; `take_members` where it is known for an object."""
        values = members(entry)
        if values is None:
            self._refuse(
                RowProblem("invalid_row", "Telemetry is an object of names and values."), bytes(entry)
            )
        else:
            self.take_members(device, values)

    def take_members(self, device: str, entry: dict[str, msgspec.Raw]) -> None:
        if "ts" not in entry:
            self._take_values(device, entry, self.now_us)
            return
        values = members(entry.get("values", _NULL))
        if values is None:
            # ThingsBoard would store a value called ts, and the others at the time of arrival.
            self._refuse(
                RowProblem("invalid_row", 'An object with "ts" has its readings in the object "values".'),
                b",".join(b'"%b":%b' % (name.encode(), raw) for name, raw in entry.items()),
            )
            return
        try:
            self._take_values(device, values, _timestamp(plain(entry["ts"]), self.zone))
        except RowProblem as problem:
            for name, raw in values.items():
                self._refuse(problem, b'"%b":%b' % (name.encode(), raw))

    def _take_values(self, device: str, values: dict[str, msgspec.Raw], ts_us: int) -> None:
        for name, raw in values.items():
            try:
                value = _value(plain(raw))
                if value is not None:
                    key = sensor_key(f"{device}/{name}" if device else name)
                    self.rows.accept(self._next_index(), key, ts_us, value, GOOD, None)
            except RowProblem as problem:
                self._refuse(problem, b'"%b":%b' % (name.encode(), raw))

    def _refuse(self, problem: RowProblem, raw: bytes) -> None:
        self.rows.refuse(self._next_index(), problem, raw=raw)

    def _next_index(self) -> int:
        if len(self.rows) == MAX_READINGS:
            raise TooManyReadings
        return len(self.rows)


def _timestamp(raw: Any, zone: ZoneInfo | None) -> int:
    """ThingsBoard takes milliseconds, as text too; what else `timestamp_us` reads is welcome."""
    return timestamp_us(int(raw) if isinstance(raw, str) and _WHOLE_NUMBER(raw) else raw, zone=zone)


def _value(raw: Any) -> float | None:
    """The value, None for null."""
    if raw is None:
        return None
    if isinstance(raw, bool):
        return float(raw)
    if isinstance(raw, str) and _NUMBER(raw):
        return reading_value(float(raw), quality=GOOD)
    return reading_value(raw, quality=GOOD)
