"""From one message to machine events. Pure: no database, no network."""

from collections.abc import Callable
from typing import Any

from sensors.bridge.messages import Content, Manners, Message
from sensors.bridge.topics import TopicNaming
from sensors.ingest.body import MAX_BODY_BYTES
from sensors.ingest.events import ParsedEvents, parse_any_json
from sensors.ingest.parsed import MalformedBody, Refusal, TooManyReadings, readable


def read_events(message: Message, manners: Manners) -> Content:
    """The message's events; what has no machine is of the topic's, what has no time of the moment it came. One that
    cannot be read at all is one refusal.
    """
    naming = TopicNaming(message.topic, manners.machine)
    usual: dict[str, Callable[[], Any]] = {
        "equipment": naming.of_machine,
        "ts": lambda: message.arrived_us,
    }
    try:
        if len(message.payload) > MAX_BODY_BYTES:
            raise TooManyReadings
        return Content([], events=parse_any_json(message.payload, usual=usual, zone=manners.zone))
    except (MalformedBody, TooManyReadings) as problem:
        code = problem.code if isinstance(problem, TooManyReadings) else "malformed"
        return refused_events(message, code, problem.detail)


def refused_events(message: Message, code: str, detail: str) -> Content:
    """The message as one refusal."""
    refusal = Refusal(0, code, detail, raw=readable(message.payload))
    return Content([], refused=code, events=ParsedEvents(refusals=[refusal]))
