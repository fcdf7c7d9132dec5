"""Sparkplug B's nodes and devices: what their births told, and whether a message of theirs is missing. Pure."""

from dataclasses import dataclass, field

from sensors.bridge.messages import Manners, Message
from sensors.bridge.topics import TopicNaming
from sensors.ingest import fields
from sensors.ingest.formats import sparkplug
from sensors.ingest.parsed import ParsedReadings

REBIRTH_PAUSE_US = 10_000_000


@dataclass
class SparkplugKind:
    """Sparkplug B. Remembers births by speaker, and which sequence number each edge node comes to next.

    `born` and `rebirths` are for the engine: the births since they were last kept, and the NCMD topics of nodes that
    are to tell everything anew.
    """

    name = sparkplug.NAME
    births: dict[str, sparkplug.Birth] = field(default_factory=dict)
    born: dict[str, sparkplug.Birth | None] = field(default_factory=dict)
    rebirths: set[str] = field(default_factory=set)
    _next_seq: dict[str, int] = field(default_factory=dict)
    _asked_us: dict[str, int] = field(default_factory=dict)

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        topic = sparkplug.read_topic(message.topic)
        if topic is None or topic.kind[1:] in {"CMD", "DEATH"}:
            # A death is silence, which is noticed by itself; a device's is numbered like any other message.
            if topic is not None and topic.kind == "DDEATH":
                self._count(topic, sparkplug.read_payload(message.payload), message)
            return []
        payload = sparkplug.read_payload(message.payload)
        self._count(topic, payload, message)
        if topic.kind[1:] == "BIRTH":
            self._bear(topic, sparkplug.read_birth(payload))
        naming = TopicNaming(message.topic, manners.template)
        readings = sparkplug.parse(
            payload,
            birth=self.births.get(topic.speaker, sparkplug.Birth()),
            key_of=(
                naming.of_sensor
                if manners.template
                else lambda metric: fields.sensor_key(f"{topic.speaker}/{metric}")
            ),
            arrived_us=message.arrived_us,
            leaves_out_text=manners.leaves_out_text,
        )
        if readings.is_unborn:
            self._ask(topic, message)
        return [readings.live, readings.historical]

    def _bear(self, topic: sparkplug.Topic, birth: sparkplug.Birth) -> None:
        if topic.device is None:
            # A node's birth ends its devices': each is born anew after it, perhaps with other aliases.
            ended = [speaker for speaker in self.births if speaker.startswith(f"{topic.edge_node}/")]
            for speaker in ended:
                del self.births[speaker]
            self.born |= dict.fromkeys(ended)
            self._asked_us.pop(topic.edge_node, None)
        self.births[topic.speaker] = self.born[topic.speaker] = birth

    def _count(self, topic: sparkplug.Topic, payload: sparkplug.Payload, message: Message) -> None:
        """Notice a gap in the numbers. What the broker sends again was counted, or came before we did."""
        if payload.seq is None:
            return
        expected = self._next_seq.get(topic.edge_node)
        is_first = topic.kind == "NBIRTH" or message.is_redelivered or expected is None
        if not is_first and payload.seq != expected:
            self._ask(topic, message)
        self._next_seq[topic.edge_node] = (payload.seq + 1) % 256

    def _ask(self, topic: sparkplug.Topic, message: Message) -> None:
        """Ask for a rebirth, but not again while the last question may still be on its way."""
        asked_us = self._asked_us.get(topic.edge_node)
        if asked_us is None or message.arrived_us - asked_us >= REBIRTH_PAUSE_US:
            self._asked_us[topic.edge_node] = message.arrived_us
            self.rebirths.add(topic.rebirth_topic)
