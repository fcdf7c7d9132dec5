"""From a message's topic, and the names in its payload, to the key of a sensor, or the tag of a machine."""

from collections.abc import Iterable
from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from sensors.ingest import fields
from sensors.ingest.naming import BadTemplate, Template
from sensors.ingest.parsed import RowProblem

MAX_TOPIC_BYTES = 65_535
TOPIC, NAME, FIELD = "topic", "name", "field"


def topic_template(source: str) -> Template:
    """A template of `{1}`, `{2}`, ... for the levels of the topic, counted from 1, `{topic}` for all of it, and
    `{name}` or `{field}` for what the payload calls the value. Raises BadTemplate.
    """
    template = Template.of(source)
    for name in template.names:
        is_level = name.isascii() and name.isdigit() and name[0] != "0"
        if not is_level and name not in {TOPIC, NAME, FIELD}:
            raise BadTemplate(
                f"A topic has no {{{name}}}: its levels are {{1}}, {{2}} and so on, all of it is {{topic}}, and what "
                "the payload calls the value is {name}."
            )
    return template


def machine_template(source: str) -> Template:
    """A template of a machine's tag: as of a sensor, but an event's payload names no value. Raises BadTemplate."""
    template = topic_template(source)
    if named := {NAME, FIELD}.intersection(template.names):
        raise BadTemplate(f"A machine's tag comes from the topic alone, and has no {{{named.pop()}}}.")
    return template


@dataclass(frozen=True, slots=True)
class TopicNaming:
    """The keys of one message's readings. Without a template they follow from what the payload is.

    Each method raises RowProblem: `missing_tag` where template and message do not fit, or `invalid_sensor`.
    """

    topic: str
    template: Template | None = None

    def of_sensor(self, name: str) -> str:
        """The key of a value whose payload names the whole sensor."""
        return self._key(name, default=name)

    def of_field(self, name: str) -> str:
        """The key of one of several values that came under a topic."""
        return self._key(name, default=f"{self.topic}/{name}")

    def of_topic(self) -> str:
        """The key of a value that came alone."""
        return self._key(None, default=self.topic)

    def of_machine(self) -> str | None:
        """What the template makes of the topic, for whoever knows what a tag may be; None without a template."""
        return None if self.template is None else self._filled(self.template, None)

    def _key(self, name: str | None, *, default: str) -> str:
        return fields.sensor_key(default if self.template is None else self._filled(self.template, name))

    def _filled(self, template: Template, name: str | None) -> str:
        levels = {str(number): level for number, level in enumerate(self.topic.split("/"), start=1)}
        names = {} if name is None else {NAME: name, FIELD: name}
        if name is not None and names.keys().isdisjoint(template.names):
            # Several values of one message would come to one key.
            raise RowProblem(
                "missing_tag",
                f'The payload names its value "{name}", and the bridge\'s template has no {{name}}.',
            )
        values = {TOPIC: self.topic, **levels, **names}
        words = [template.texts[0]]
        for wanted, text in zip(template.names, template.texts[1:], strict=True):
            if wanted not in values:
                missing = "name in the payload" if wanted in {NAME, FIELD} else f"level {wanted}"
                raise RowProblem(
                    "missing_tag", f"The message has no {missing}, which the bridge's template needs."
                )
            words += (values[wanted], text)
        return "".join(words)


def check_filter(topic: str) -> str:
    """A subscription's topic filter as it stands; raises ValueError where MQTT has no such filter."""
    levels = topic.split("/")
    if not 1 <= len(topic.encode(errors="replace")) <= MAX_TOPIC_BYTES or "\0" in topic:
        raise ValueError(f"A topic has 1 to {MAX_TOPIC_BYTES:,} bytes, none of them NUL.")
    if any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        raise ValueError(f"{topic!r}: # stands alone, as the last level.")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"{topic!r}: + stands alone between slashes.")
    return topic


def shared_filter(topic: str, group: str) -> str:
    """The filter under which the bridges of one group share a topic's messages; raises ValueError."""
    if not group or set(group) & set("/+#\0"):
        raise ValueError(f"{group!r}: the name of a shared subscription has no /, + or #.")
    return f"$share/{group}/{check_filter(topic)}"


def is_among(topic: str, subscribed: Iterable[str]) -> bool:
    """Whether a topic is one of those that the filters, shared ones too, ask for."""
    return any(
        topic_matches_sub(name.split("/", 2)[2] if name.startswith("$share/") else name, topic)
        for name in subscribed
    )
