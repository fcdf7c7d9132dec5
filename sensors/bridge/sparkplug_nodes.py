"""Sparkplug B's nodes and devices: what their births told, and whether a message of theirs is missing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from sensors.bridge.messages import Manners, Message
from sensors.bridge.topics import TopicNaming
from sensors.ingest import fields
from sensors.ingest.formats import sparkplug
from sensors.ingest.parsed import MalformedBody, ParsedReadings

REBIRTH_PAUSE_US = 10_000_000


@dataclass
class _Numbering:
    """Where an edge node is in its sequence numbers, which its devices' messages share.

    `is_in_step` while each of its messages was seen in its turn, so that the births that are known are those that it
    speaks by; not while the broker sends messages again that may be older. `is_cut` from the loss of the connection to
    the node's next message: what was published with QoS 0 meanwhile, as the specification has it, nobody kept.
    """

    next_seq: int | None = None
    is_in_step: bool = True
    is_cut: bool = False
    asked_us: int | None = None
    heard_us: int | None = None


@dataclass
class SparkplugKind:
    """Sparkplug B. Remembers births by speaker, and which sequence number each edge node comes to next.

    An alias is read only by the birth that it was sent by. After a gap in the numbers a birth may have been missed: the
    node's births are forgotten, and it is asked for new ones. A Reorder Timeout of 0, in the specification's words: one
    connection to one broker delivers in order.

    `born`, `counted` and `rebirths` are for the engine: the births, and the nodes whose numbers went on, since they
    were last kept, and the NCMD topics of nodes that are to tell everything anew.
    """

    name = sparkplug.NAME
    births: dict[str, sparkplug.Birth] = field(default_factory=dict)
    born: dict[str, sparkplug.Birth | None] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    rebirths: set[str] = field(default_factory=set)
    _nodes: dict[str, _Numbering] = field(default_factory=dict)

    def read(self, message: Message, manners: Manners) -> list[ParsedReadings]:
        topic = sparkplug.read_topic(message.topic)
        if not _is_numbered(topic):
            return []
        payload = sparkplug.read_payload(message.payload)
        self._node(topic).heard_us = message.arrived_us
        is_in_step = self._count(topic, payload, message)
        if topic.kind == "DDEATH":
            # A death is silence, which is noticed by itself.
            return []
        birth: sparkplug.Birth | None
        if topic.kind[1:] == "BIRTH":
            birth = self._bear(topic, sparkplug.read_birth(payload))
        else:
            birth = self.births.get(topic.speaker, sparkplug.Birth())
            if birth.datatypes and not is_in_step and not birth.explains(payload):
                birth = None
        naming = TopicNaming(message.topic, manners.template)
        parts = []
        for part in payload.parts():
            readings = sparkplug.parse(
                part,
                birth=birth,
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
            parts += [readings.live, readings.historical]
        return parts

    def miss(self, message: Message) -> None:
        """A message that could not be read: whatever it told is missing."""
        try:
            topic = sparkplug.read_topic(message.topic)
        except MalformedBody:
            return
        if _is_numbered(topic):
            self._lose(topic, message)
            self._node(topic).next_seq = None

    def remember(self, births: Mapping[str, sparkplug.Birth], next_seq: Mapping[str, int]) -> None:
        """Go on where an earlier run was: by its births by speaker, and the numbers that its nodes came to next."""
        self.births = dict(births)
        nodes = {"/".join(speaker.split("/")[:2]) for speaker in births}
        self._nodes = {node: _Numbering(next_seq.get(node)) for node in nodes}
        self.cut()

    def forget(self) -> None:
        """Births may have passed by unseen."""
        self.born |= dict.fromkeys(self.births)
        self.births.clear()
        self.counted.clear()
        self._nodes.clear()

    def forget_silent(self, *, since_us: int, now_us: int) -> None:
        """Forget nodes that said nothing since then. One of an earlier run counts as heard when this is first asked."""
        for name, node in list(self._nodes.items()):
            if node.heard_us is None:
                node.heard_us = now_us
            elif node.heard_us < since_us:
                self._end(name)
                self.counted.discard(name)
                del self._nodes[name]

    def cut(self) -> None:
        """The connection was away: what the broker kept of the nodes' messages comes now, some of it again."""
        for node in self._nodes.values():
            node.is_in_step, node.is_cut = False, True

    def next_numbers(self) -> dict[str, int]:
        """The number that each node comes to next, of those in `counted`."""
        numbers = {node: self._nodes[node].next_seq for node in self.counted if node in self._nodes}
        return {node: number for node, number in numbers.items() if number is not None}

    def _node(self, topic: sparkplug.Topic) -> _Numbering:
        return self._nodes.setdefault(topic.edge_node, _Numbering())

    def _bear(self, topic: sparkplug.Topic, birth: sparkplug.Birth) -> sparkplug.Birth:
        known = self.births.get(topic.speaker)
        if topic.device is None:
            # A node's birth ends its devices': each is born anew after it, perhaps with other aliases.
            self._end(topic.edge_node)
            self._node(topic).asked_us = None
        if birth == known:
            birth = known  # it holds since it was first told
        self.births[topic.speaker] = self.born[topic.speaker] = birth
        return birth

    def _end(self, node: str) -> None:
        """End the births of the node and its devices."""
        ended = [speaker for speaker in self.births if speaker == node or speaker.startswith(f"{node}/")]
        for speaker in ended:
            del self.births[speaker]
        self.born |= dict.fromkeys(ended)

    def _count(self, topic: sparkplug.Topic, payload: sparkplug.Payload, message: Message) -> bool:
        """Notice a gap in the numbers; returns whether the node is in step."""
        node = self._node(topic)
        expected, is_cut = node.next_seq, node.is_cut and not message.mid
        node.is_cut = False
        if topic.kind == "NBIRTH":
            node.is_in_step = True
        elif message.is_redelivered:
            # It was counted, or came before we did. Only a birth, or the first new message in its turn, tells surely
            # that the messages that come again have caught up.
            node.is_in_step = node.is_in_step and payload.seq == expected
        elif is_cut or self._is_gap(node, payload):
            self._lose(topic, message)
        elif payload.seq is not None:
            node.is_in_step = True
        if payload.seq is not None:
            node.next_seq = (payload.seq + 1) % 256
            self.counted.add(topic.edge_node)
        return node.is_in_step

    def _is_gap(self, node: _Numbering, payload: sparkplug.Payload) -> bool:
        if payload.seq is None:
            return False
        return not node.is_in_step if node.next_seq is None else payload.seq != node.next_seq

    def _lose(self, topic: sparkplug.Topic, message: Message) -> None:
        """Something is missing, perhaps a birth."""
        self._end(topic.edge_node)
        self._node(topic).is_in_step = True
        self._ask(topic, message)

    def _ask(self, topic: sparkplug.Topic, message: Message) -> None:
        """Ask for a rebirth, but not again while the last question may still be on its way."""
        node = self._node(topic)
        if node.asked_us is None or message.arrived_us - node.asked_us >= REBIRTH_PAUSE_US:
            node.asked_us = message.arrived_us
            self.rebirths.add(topic.rebirth_topic)


def _is_numbered(topic: sparkplug.Topic | None) -> TypeGuard[sparkplug.Topic]:
    """Whether it is a birth, data or a device's death, which carry the node's sequence numbers."""
    return topic is not None and topic.kind in {"NBIRTH", "NDATA", "DBIRTH", "DDATA", "DDEATH"}
