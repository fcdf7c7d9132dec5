"""From one message to readings, by the kind of payload that the bridge was told of. Pure: no database, no network."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import msgspec

from sensors.bridge.event_payloads import read_events
from sensors.bridge.joining import renamed
from sensors.bridge.messages import Content, Manners, Message, PayloadKind
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
from sensors.ingest.repeated_hour import resolve_request
from sensors.ingest.timestamps import timestamp_us

_decode_any = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw] | float | bool).decode
_OF_A_READING = {"sensor", "ts", "value", "quality", "unit"}
_TELEMETRY = {"ts", "values"}
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?").fullmatch
_SWITCH = {b"true": 1.0, b"false": 0.0}
# A member of an object as a refusal shows it: its value is text, a list or an object.
_TEXT_MEMBER = re.compile(r'"(?:[^"\\]|\\.)*":\s*["\[{]', re.DOTALL).match


def read_message(kind: PayloadKind, message: Message, manners: Manners) -> Content:
    """Read a message; one that cannot be read at all is one refusal, with the beginning of what came."""
    if message.is_event:
        return read_events(message, manners)
    try:
        if len(message.payload) > MAX_BODY_BYTES:
            raise TooManyReadings
        return Content([_with_topic(part, message.topic) for part in kind.read(message, manners)])
    except (MalformedBody, TooManyReadings) as problem:
        code = problem.code if isinstance(problem, TooManyReadings) else "malformed"
        miss_message(kind, message)
        return Content([refused_message(message, code, problem.detail)], code)


def miss_message(kind: PayloadKind, message: Message) -> None:
    """A message was refused as a whole: what it would have told is missing."""
    if isinstance(kind, SparkplugKind) and not message.is_event:
        kind.miss(message)


def refused_message(message: Message, code: str, detail: str) -> ParsedReadings:
    """The message as one refusal."""
    refusal = Refusal(0, code, detail, raw=readable(message.payload))
    return _with_topic(from_columns(keys=[], ts_us=[], values=[], refusals=[refusal]), message.topic)


def _with_topic(parsed: ParsedReadings, topic: str) -> ParsedReadings:
    """What could not be read, behind its topic: most payloads do not say whose they are."""
    return replace(
        parsed,
        refusals=[
            refusal if refusal.row >= 0 else replace(refusal, raw=readable(f"{topic}: {refusal.raw}"))
            for refusal in parsed.refusals
        ],
    )


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
    return resolve_request(parsed, arrived_us=message.arrived_us)


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
                return self._rows([msgspec.Raw(body)], message, manners)
            case list() if content and "value" in (members(content[0]) or ()):
                return self._rows(content, message, manners)
        parsed = renamed(_values_by_name(body, message, manners), naming.of_field)
        beside = _beside_values(content)
        return [parsed, beside] if beside.refusals else [parsed]

    def _rows(
        self, content: Sequence[msgspec.Raw], message: Message, manners: Manners
    ) -> list[ParsedReadings]:
        """The readings, and as values by name what stands beside them: the topic's, or of the sensor that is named."""
        if len(content) > MAX_READINGS:
            raise TooManyReadings
        rows = ReadingRows()
        beside: dict[bool, list[dict[str, object]]] = {False: [], True: []}
        for index, raw in enumerate(content):
            row = members(raw)
            try:
                rows.accept(index, *self._row(row, message, manners))
            except RowProblem as problem:
                rows.refuse(index, problem, raw=bytes(raw))
            if row is not None and "value" in row and not row.keys() <= _OF_A_READING:
                with suppress(RowProblem):  # then the whole row was refused for its sensor
                    beside["sensor" in row].append(_named_values(row))
        naming = TopicNaming(message.topic, manners.template)
        parts = [_resolved(rows.finish(historical=False), message)]
        for entries, key_of in ((beside[False], naming.of_field), (beside[True], naming.of_sensor)):
            if entries:
                parts.append(renamed(_values_by_name(msgspec.json.encode(entries), message, manners), key_of))
        return parts

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


def _values_by_name(body: bytes, message: Message, manners: Manners) -> ParsedReadings:
    parsed = _resolved(thingsboard.parse(body, zone=manners.zone, now_us=message.arrived_us), message)
    if not manners.leaves_out_text:
        return parsed
    return replace(parsed, refusals=[refusal for refusal in parsed.refusals if not _TEXT_MEMBER(refusal.raw)])


def _named_values(row: Mapping[str, msgspec.Raw]) -> dict[str, object]:
    """What stands beside the value of a reading, as telemetry; raises RowProblem for a sensor that is none."""
    prefix = f"{fields.sensor_key(plain(row['sensor']))}/" if "sensor" in row else ""
    values: dict[str, object] = {
        f"{prefix}{name}": raw for name, raw in row.items() if name not in _OF_A_READING
    }
    return {"ts": row["ts"], "values": values} if "ts" in row else values


def _beside_values(content: Sequence[msgspec.Raw] | Mapping[str, msgspec.Raw]) -> ParsedReadings:
    """Refusals of what stands beside "ts" and "values", where nothing is read."""
    rows = ReadingRows()
    for entry in [content] if isinstance(content, Mapping) else map(members, content):
        if entry is None or not entry.keys() >= _TELEMETRY or members(entry["values"]) is None:
            continue
        for name in (name for name in entry if name not in _TELEMETRY):
            problem = RowProblem(
                "invalid_row", f'"{name}" stands beside "ts" and "values": put it among the values.'
            )
            rows.refuse(len(rows), problem, raw=b'"%b":%b' % (name.encode(), entry[name]))
    return rows.finish(historical=False)


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
        rows.refuse(0, problem, raw=message.payload)
    return rows.finish(historical=False)
