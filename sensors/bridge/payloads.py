"""From one message to readings, by the kind of payload that the bridge was told of. Pure: no database, no network."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from sensors.bridge.joining import renamed
from sensors.bridge.messages import Manners, Message, PayloadKind
from sensors.bridge.sparkplug_nodes import SparkplugKind
from sensors.bridge.topics import TopicNaming
from sensors.ingest import fields
from sensors.ingest.body import MAX_BODY_BYTES
from sensors.ingest.formats import json as json_format
from sensors.ingest.formats import senml, thingsboard
from sensors.ingest.json_text import checked_text, members, plain
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    Refusal,
    RowProblem,
    TooManyReadings,
    from_columns,
    readable,
)
from sensors.ingest.repeated_hour import RepeatedHour
from sensors.ingest.timestamps import timestamp_us

_decode_any = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw] | float | bool).decode
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?").fullmatch
_SWITCH = {b"true": 1.0, b"false": 0.0}
# A member of an object as a refusal shows it: its value is text, a list or an object.
_TEXT_MEMBER = re.compile(r'"(?:[^"\\]|\\.)*":\s*["\[{]', re.DOTALL).match


def read_message(kind: PayloadKind, message: Message, manners: Manners) -> list[ParsedReadings]:
    """The message's readings; one that cannot be read at all is one refusal, with the beginning of what came."""
    try:
        if len(message.payload) > MAX_BODY_BYTES:
            raise TooManyReadings
        return kind.read(message, manners)
    except (MalformedBody, TooManyReadings) as problem:
        code = problem.code if isinstance(problem, TooManyReadings) else "malformed"
        return [refused_message(message, code, problem.detail)]


def refused_message(message: Message, code: str, detail: str) -> ParsedReadings:
    """The message as one refusal."""
    raw = f"{message.topic}: {readable(message.payload)}"
    return from_columns(keys=[], ts_us=[], values=[], refusals=[Refusal(0, code, detail, raw=readable(raw))])


class ValueKind:
    """A bare number, or true or false, of the moment it came."""

    name = "MQTT value"

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        text = message.payload.strip()
        value = _SWITCH.get(text.lower())
        if value is None:
            if not _NUMBER(text[:400]):
                raise MalformedBody("The payload is not a number, true or false.")
            value = float(text[:400])
        return [_one_row(message, lambda: _value_of_topic(message, manners, value))]


def _resolved(parsed: ParsedReadings, message: Message) -> ParsedReadings:
    return RepeatedHour().resolve(parsed, arrived_us=message.arrived_us)


class JsonKind:
    """The native body, one reading or a list of them without a sensor or a time, a number, or values by name."""

    name = "MQTT JSON"

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        naming = TopicNaming(message.topic, manners.template)
        body = checked_text(message.payload)
        try:
            content = _decode_any(body)
        except RecursionError as error:
            raise MalformedBody("The payload is nested too deeply.") from error
        except msgspec.ValidationError as error:
            raise MalformedBody("The payload is not a number, an object or a list.") from error
        except msgspec.DecodeError as error:
            raise MalformedBody(f"The payload is not JSON: {error}.") from error
        match content:
            case float() | bool():
                value = float(content)
                return [_one_row(message, lambda: _value_of_topic(message, manners, value))]
            case dict() if "readings" in content:
                parsed = json_format.parse(body, zone=manners.zone)
                return [renamed(_resolved(parsed, message), naming.of_sensor)]
            case dict() if "value" in content:
                return [self._rows([msgspec.Raw(body)], message, manners)]
            case list() if content and "value" in (members(content[0]) or ()):
                return [self._rows(content, message, manners)]
        parsed = thingsboard.parse(body, zone=manners.zone, now_us=message.arrived_us)
        if manners.leaves_out_text:
            told = [refusal for refusal in parsed.refusals if not _TEXT_MEMBER(refusal.raw)]
            parsed = replace(parsed, refusals=told)
        return [renamed(_resolved(parsed, message), naming.of_field)]

    def _rows(self, content: Sequence[msgspec.Raw], message: Message, manners: Manners) -> ParsedReadings:
        if len(content) > MAX_READINGS:
            raise TooManyReadings
        rows = ReadingRows()
        for index, raw in enumerate(content):
            try:
                rows.accept(index, *self._row(members(raw), message, manners))
            except RowProblem as problem:
                rows.refuse(index, problem, raw=bytes(raw))
        return _resolved(rows.finish(historical=False), message)

    def _row(
        self, row: Mapping[str, msgspec.Raw] | None, message: Message, manners: Manners
    ) -> tuple[str, int, float, int, str | None]:
        if row is None:
            raise RowProblem("invalid_row", 'A reading is an object with "value".')
        naming = TopicNaming(message.topic, manners.template)
        key = (
            naming.of_topic()
            if "sensor" not in row
            else naming.of_sensor(fields.sensor_key(plain(row["sensor"])))
        )
        ts_us = message.arrived_us
        if "ts" in row:
            ts_us = timestamp_us(plain(row["ts"]), zone=manners.zone)
        quality = fields.quality_code(plain(row["quality"])) if "quality" in row else fields.GOOD
        raw = plain(row.get("value", msgspec.Raw(b"null")))
        value = fields.reading_value(int(raw) if isinstance(raw, bool) else raw, quality=quality)
        return key, ts_us, value, quality, fields.unit_code(plain(row["unit"])) if "unit" in row else None


class SenmlKind:
    """SenML in JSON; the names are the sensors'."""

    name = "MQTT SenML"

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        parsed = senml.parse(message.payload, now_us=message.arrived_us)
        return [renamed(parsed, TopicNaming(message.topic, manners.template).of_sensor)]


KINDS: dict[str, Callable[[], PayloadKind]] = {
    "json": JsonKind,
    "senml": SenmlKind,
    "sparkplug": SparkplugKind,
    "value": ValueKind,
}


def _value_of_topic(
    message: Message, manners: Manners, value: float
) -> tuple[str, int, float, int, str | None]:
    key = TopicNaming(message.topic, manners.template).of_topic()
    return key, message.arrived_us, fields.reading_value(value, quality=fields.GOOD), fields.GOOD, None


def _one_row(message: Message, row: Callable[[], tuple[str, int, float, int, str | None]]) -> ParsedReadings:
    rows = ReadingRows()
    try:
        rows.accept(0, *row())
    except RowProblem as problem:
        rows.refuse(0, problem, raw=f"{message.topic}: {readable(message.payload)}")
    return rows.finish(historical=False)
