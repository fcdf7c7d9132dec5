"""Sparkplug B 3.0: topics `spBv1.0/GROUP/KIND/NODE[/DEVICE]`, births, and the metrics of payloads."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.message import DecodeError

from sensors.ingest import fields
from sensors.ingest.formats import sparkplug_messages
from sensors.ingest.parsed import (
    MAX_READINGS,
    MalformedBody,
    ParsedReadings,
    ReadingRows,
    RowProblem,
    TooManyReadings,
)

NAME = "Sparkplug B"
NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
MAX_TOPIC = 500
# A birth names all that a node has, in one message that cannot be cut.
MAX_METRICS = 20 * MAX_READINGS

_QUALITY = {0: fields.BAD, 192: fields.GOOD, 500: fields.UNCERTAIN}
# Bits of the signed datatypes Int8 to Int64: the wire carries them as unsigned numbers.
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED_BITS = {5: 8, 6: 16, 7: 32, 8: 64}
_FLOATS = {9, 10}
_BOOLEAN = 11
_NUMERIC = frozenset(_SIGNED_BITS) | frozenset(_UNSIGNED_BITS) | _FLOATS | {_BOOLEAN}
# What runs the node, not what it measures.
_CONTROL = ("Node Control/", "Device Control/")
_LATEST_MS = 2**53

_EARLIER = RowProblem(
    "earlier_birth",
    "The message came again, and may be older than the newest birth: what it means by its aliases is not known.",
)


@dataclass(frozen=True, slots=True)
class Topic:
    """Who speaks, and what kind of message it is: NBIRTH, DDATA, ..."""

    group: str
    kind: str
    node: str
    device: str | None

    @property
    def edge_node(self) -> str:
        """The node that numbers its messages, and its devices' too."""
        return f"{self.group}/{self.node}"

    @property
    def speaker(self) -> str:
        """The node, or the device of it, that has its own birth."""
        return self.edge_node if self.device is None else f"{self.edge_node}/{self.device}"

    @property
    def rebirth_topic(self) -> str:
        return f"{NAMESPACE}/{self.group}/NCMD/{self.node}"


def read_topic(topic: str) -> Topic | None:
    """None for a topic that tells of no node, such as a host's STATE; raises MalformedBody for any other."""
    if len(topic) > MAX_TOPIC:
        raise MalformedBody(f"A topic of more than {MAX_TOPIC} characters is too long for Sparkplug.")
    levels = topic.split("/")
    if levels[0] == NAMESPACE and levels[1:2] == ["STATE"]:
        return None
    if levels[0] == NAMESPACE and len(levels) in (4, 5) and all(levels):
        _, group, kind, node, *device = levels
        if kind[0] == ("D" if device else "N") and kind[1:] in {"BIRTH", "DATA", "DEATH", "CMD"}:
            return Topic(group, kind, node, device[0] if device else None)
    raise MalformedBody(
        f"The topic is not {NAMESPACE}/GROUP/KIND/NODE or {NAMESPACE}/GROUP/KIND/NODE/DEVICE."
    )


@dataclass(frozen=True)
class Birth:
    """What a birth told of each metric: names by alias, and datatypes by name.

    `since_ms` is the node's time, in milliseconds since 1970, of the first birth that told just this; None where it
    told no time. Births that tell the same are equal.
    """

    names: dict[int, str] = field(default_factory=dict)
    datatypes: dict[str, int] = field(default_factory=dict)
    since_ms: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, metrics: Iterable[tuple[str, int | None, int]], *, since_ms: int | None = None) -> "Birth":
        """From (name, alias or None, datatype) of each metric."""
        rows = list(metrics)
        return cls(
            {alias: name for name, alias, _ in rows if alias is not None},
            {name: datatype for name, _, datatype in rows},
            since_ms,
        )

    def explains(self, payload: "Payload") -> bool:
        """Whether the payload is certainly younger than this birth, by the node's own clock."""
        return (
            self.since_ms is not None
            and payload.timestamp_ms is not None
            and payload.timestamp_ms > self.since_ms
        )

    def metrics(self) -> list[tuple[str, int | None, int]]:
        """(name, alias or None, datatype) of each metric."""
        aliases = {name: alias for alias, name in self.names.items()}
        return [(name, aliases.get(name), datatype) for name, datatype in self.datatypes.items()]


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload whose metrics are still to be read; times in milliseconds since 1970."""

    timestamp_ms: int | None
    seq: int | None
    metrics: list[bytes]

    def parts(self) -> list["Payload"]:
        """The payload in pieces of at most `MAX_READINGS` metrics."""
        return [
            replace(self, metrics=self.metrics[first : first + MAX_READINGS])
            for first in range(0, len(self.metrics), MAX_READINGS)
        ]


def read_payload(body: bytes) -> Payload:
    """Raises MalformedBody, and TooManyReadings above `MAX_METRICS` metrics; nothing else, whatever the bytes."""
    try:
        payload = sparkplug_messages.Payload.FromString(body)
    except DecodeError as error:
        raise MalformedBody("The payload is not a Sparkplug B payload.") from error
    if len(payload.metrics) > MAX_METRICS:
        raise TooManyReadings(MAX_METRICS)
    return Payload(
        payload.timestamp if payload.HasField("timestamp") else None,
        payload.seq if payload.HasField("seq") else None,
        list(payload.metrics),
    )


def read_birth(payload: Payload) -> Birth:
    """The metrics that a birth announces; those that cannot be read announce nothing."""
    rows: list[tuple[str, int | None, int]] = []
    for raw in payload.metrics:
        try:
            metric = _read_metric(raw)
            name = _text(metric.name)
        except RowProblem:
            continue
        if name and "\0" not in name:
            rows.append((name, metric.alias if metric.HasField("alias") else None, metric.datatype))
    return Birth.of(
        rows, since_ms=None if payload.timestamp_ms is None else min(payload.timestamp_ms, _LATEST_MS)
    )


@dataclass(frozen=True, slots=True)
class SparkplugReadings:
    """The readings of one payload; `is_unborn` where a metric could not be understood without a (new) birth."""

    live: ParsedReadings
    historical: ParsedReadings
    is_unborn: bool


def parse(
    payload: Payload,
    *,
    birth: Birth | None,
    key_of: Callable[[str], str],
    arrived_us: int,
    leaves_out_text: bool = False,
) -> SparkplugReadings:
    """The metrics of a birth or a data message as readings; booleans are 1 or 0, a null is bad and has no value.

    `birth` is what the speaker told last (`no_birth` refuses what that does not explain), or None for a message that
    may be older than that (`earlier_birth` refuses what needs a birth). `key_of` gives the sensor's key of a metric's
    name (or raises RowProblem), `arrived_us` is the time of metrics whose payload tells none. What is not a number is
    refused (`invalid_value`) or left out. Index: the metric's place.
    """
    live, historical = ReadingRows(), ReadingRows()
    told = Birth() if birth is None else birth
    is_unborn = False
    for index, raw in enumerate(payload.metrics):
        rows = live
        try:
            metric = _read_metric(raw)
            rows = historical if metric.is_historical else live
            name = _metric_name(metric, told)
            if name == "bdSeq" or name.startswith(_CONTROL):
                continue
            datatype = metric.datatype or told.datatypes.get(name, 0)
            if leaves_out_text and not metric.is_null and _is_text(metric, datatype):
                continue
            value, quality = _value_and_quality(metric, datatype)
            rows.accept(index, key_of(name), _ts_us(metric, payload, arrived_us), value, quality, None)
        except RowProblem as problem:
            is_missing = problem.code == "no_birth"
            is_unborn |= is_missing and birth is not None
            rows.refuse(index, _EARLIER if is_missing and birth is None else problem, raw=raw)
    return SparkplugReadings(live.finish(historical=False), historical.finish(historical=True), is_unborn)


def rebirth_request(now_ms: int) -> bytes:
    """The payload of an NCMD that asks a node to tell everything anew."""
    metric = sparkplug_messages.Metric(
        name=REBIRTH.encode(), timestamp=now_ms, datatype=_BOOLEAN, boolean_value=True
    )
    payload: bytes = sparkplug_messages.Payload(
        timestamp=now_ms, metrics=[metric.SerializeToString()]
    ).SerializeToString()
    return payload


def _read_metric(raw: bytes) -> Any:
    try:
        return sparkplug_messages.Metric.FromString(raw)
    except DecodeError as error:
        raise RowProblem("invalid_row", "The metric is not a Sparkplug B metric.") from error


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RowProblem("invalid_sensor", "The metric's name is not UTF-8.") from error


def _metric_name(metric: Any, birth: Birth) -> str:
    if metric.name:
        return _text(metric.name)
    if not metric.HasField("alias"):
        raise RowProblem("invalid_sensor", "The metric has neither a name nor an alias.")
    name = birth.names.get(metric.alias)
    if name is None:
        raise RowProblem(
            "no_birth", f"No birth that holds has told which metric the alias {metric.alias} stands for."
        )
    return name


def _is_text(metric: Any, datatype: int) -> bool:
    """Whether it holds no number, by its datatype or, where that is not known, by its value."""
    return datatype not in _NUMERIC if datatype else metric.WhichOneof("value") in {"string_value", None}


def _value_and_quality(metric: Any, datatype: int) -> tuple[float, int]:
    quality = _quality(metric)
    if metric.is_null:
        return math.nan, fields.BAD
    value = _number(metric, datatype)
    if not math.isfinite(value):
        return fields.reading_value(None, quality=quality), quality
    return fields.reading_value(value, quality=quality), quality


def _number(metric: Any, datatype: int) -> int | float:
    if _is_text(metric, datatype):
        raise RowProblem("invalid_value", "The metric is not a number or a boolean.")
    held = metric.WhichOneof("value")
    match held:
        case "float_value" | "double_value":
            return float(getattr(metric, held))
        case "boolean_value":
            return int(metric.boolean_value)
        case "int_value" | "long_value":
            return _integer(getattr(metric, held), datatype)
    raise RowProblem("invalid_value", "The metric has no value, and is not marked as null.")


def _integer(raw: int, datatype: int) -> int:
    """The number of an integer field: some senders write an Int8 of -1 in 8 bits, some in 32."""
    if bits := _SIGNED_BITS.get(datatype):
        low = raw & ((1 << bits) - 1)
        return low - (1 << bits) if low >> (bits - 1) else low
    if not datatype:
        raise RowProblem(
            "no_birth", "Neither the metric nor a birth that holds has told the metric's datatype."
        )
    return raw


def _quality(metric: Any) -> int:
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key != b"Quality" or value.is_null:
            continue
        held = value.WhichOneof("value")
        number = getattr(value, held) if held in {"int_value", "long_value"} else None
        if number in _QUALITY:
            return _QUALITY[number]
        raise RowProblem("unknown_quality", "Sparkplug's quality is 0 (bad), 192 (good) or 500 (stale).")
    return fields.GOOD


def _ts_us(metric: Any, payload: Payload, arrived_us: int) -> int:
    ms = metric.timestamp if metric.HasField("timestamp") else payload.timestamp_ms
    if ms is None:
        return arrived_us
    if ms > _LATEST_MS:
        raise RowProblem("invalid_timestamp", "The timestamp is no number of milliseconds since 1970.")
    return int(ms) * 1000
