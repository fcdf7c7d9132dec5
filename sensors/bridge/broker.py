"""The bridge's connection to an MQTT broker: one thread, one message read at a time, nothing acknowledged by itself."""

import select
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensors.bridge.broker_options import PROTOCOLS, BrokerOptions
from sensors.bridge.messages import Message
from sensors.bridge.topics import is_among

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 10.0
MOST_UNANSWERED = 200
UNUSED_FILTER = "smartmaint/nothing"
OF_READINGS, OF_EVENTS = 1, 2
# Larger than any body that is read, and the end of what one message can take of the memory.
LARGEST_PACKET_BYTES = 16 * 1024 * 1024


class BrokerAway(Exception):
    """There is no connection, or it broke; the text says why."""


class Broker:
    """A connection with a session that outlives it: what was not acknowledged comes again.

    paho itself writes before it reads, and gives up a connection that it cannot write to with all that it has not read.
    So here a turn reads before it writes: what a dying broker had sent is still taken. Only a broker that sends without
    a pause is answered in between.
    """

    def __init__(self, options: BrokerOptions, on_message: Callable[[Message], None]) -> None:
        self.options = options
        self._on_message = on_message
        self._client: mqtt.Client | None = None
        self._is_accepted = False
        self.is_subscribed = False
        self._unsubscribed: dict[
            int | None, tuple[str, ...]
        ] = {}  # filters that the broker has not answered for
        self._is_flushed = False
        self._refusal = ""
        self._unanswered = 0  # packets read since the last time that something was written
        # Messages that were stored, by number, for those that come again because the answer was lost.
        self._stored: OrderedDict[int, int] = OrderedDict()
        self.has_session = True

    def connect(self) -> None:
        """Connect, and return once the broker agrees, before it sends anything; raises BrokerAway."""
        self._is_accepted, self.is_subscribed, self._refusal = False, False, ""
        self._unsubscribed.clear()
        options = self.options
        try:
            self._client = self._make_client()
            if options.is_mqtt_5:
                self._client.connect(
                    options.host,
                    options.port,
                    options.keepalive_s,
                    clean_start=False,
                    properties=self._connect_properties(),
                )
            else:
                self._client.connect(options.host, options.port, options.keepalive_s)
        except (OSError, ValueError) as error:
            raise BrokerAway(f"{options.host}:{options.port} cannot be reached: {error}") from error
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._is_accepted:
            self.turn(0.1)
            if time.monotonic() > deadline:
                raise BrokerAway(f"{options.host}:{options.port} does not answer as an MQTT broker.")

    def turn(self, timeout_s: float) -> None:
        """Take one packet, or write what waits to be written, or wait so long; raises BrokerAway."""
        client = self._client
        sock = None if client is None else client.socket()
        if client is None or sock is None:
            raise BrokerAway(self._refusal or "The connection was lost.")
        has_rest = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        writers = [sock] if client.want_write() else []
        try:
            readable, writable, _ = select.select([sock], writers, [], 0 if has_rest else timeout_s)
        except (OSError, ValueError) as error:
            raise BrokerAway(f"The connection was lost: {error}") from error
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        if writable and (self._unanswered >= MOST_UNANSWERED or not (readable or has_rest)):
            self._unanswered = 0
            result = client.loop_write()
        elif readable or has_rest:
            self._unanswered += 1
            result = client.loop_read()
        client.loop_misc()
        if self._refusal or result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerAway(self._refusal or f"The connection was lost: {mqtt.error_string(result)}")

    def acknowledge(self, messages: list[Message]) -> None:
        """Tell the broker that these are stored; on a connection that is gone they only count as that."""
        for message in messages:
            if message.mid:
                self._stored[message.mid] = hash((message.topic, message.payload))
                self._stored.move_to_end(message.mid)
                self._acknowledge(message.mid)
        # No more can come again: the broker waits for so many answers at most, and its numbers go round in a circle.
        while len(self._stored) > self.options.inflight:
            self._stored.popitem(last=False)

    def _acknowledge(self, mid: int) -> None:
        if self._client is not None and self._client.socket() is not None:
            self._client.ack(mid, 1)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message that may be lost."""
        if self._client is not None:
            self._client.publish(topic, payload, qos=0)

    def disconnect(self) -> None:
        """Say goodbye once the broker has taken all acknowledgements; the session stays.

        A broker answers in order, so its answer to a harmless question tells that it has read what was before. Without
        that a bridge that starts at once would get again what the broker had not yet read of.
        """
        client = self._client
        if client is None or client.socket() is None:
            return
        self._is_flushed = False
        client.unsubscribe(UNUSED_FILTER)
        deadline = time.monotonic() + ANSWER_SECONDS
        with suppress(BrokerAway):
            while not self._is_flushed and time.monotonic() < deadline:
                self.turn(0.1)
            client.disconnect()
            while client.want_write() and time.monotonic() < deadline:
                self.turn(0.1)

    def leave(self) -> None:
        """Let go of a connection that is of no use, as far as there is one; the session stays."""
        client = self._client
        if client is not None and client.socket() is not None:
            client.disconnect()
            client.loop_write()

    def _make_client(self) -> mqtt.Client:
        options = self.options
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            options.client_id,
            clean_session=None if options.is_mqtt_5 else False,
            protocol=PROTOCOLS[options.protocol],
            manual_ack=True,
        )
        if options.username is not None:
            client.username_pw_set(options.username, options.password)
        if options.is_encrypted:
            client.tls_set(_text(options.ca_file), _text(options.certificate), _text(options.certificate_key))
        client.on_connect = self._when_connected
        client.on_subscribe = self._when_subscribed
        client.on_unsubscribe = self._when_flushed
        client.on_disconnect = self._when_disconnected
        client.on_message = self._when_message
        client.on_socket_open = _send_at_once
        # Being told is enough to keep paho from writing by itself: turns do it, after reading.
        client.on_socket_register_write = lambda *_: None
        return client

    def _connect_properties(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self.options.session_expiry_s
        properties.ReceiveMaximum = self.options.inflight
        properties.MaximumPacketSize = LARGEST_PACKET_BYTES
        return properties

    def _when_connected(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Any,
    ) -> None:
        if reason.is_failure:
            self._refusal = f"The broker refuses the connection: {reason}."
            return
        self._is_accepted, self.has_session = True, flags.session_present
        if not flags.session_present:
            self._stored.clear()  # a new session counts its messages anew
        log.info("bridge.connected", broker=self.options.host, has_session=flags.session_present)
        self._subscribe(client, numbers_them=getattr(properties, "SubscriptionIdentifierAvailable", 1) != 0)

    def _subscribe(self, client: mqtt.Client, *, numbers_them: bool) -> None:
        """Readings and events each by themselves, numbered where there are both, to know whose copy a message is."""
        options = self.options
        numbers_them = numbers_them and bool(options.filters and options.event_filters)
        for number, filters in ((OF_READINGS, options.filters), (OF_EVENTS, options.event_filters)):
            if not filters:
                continue
            if options.is_mqtt_5:
                # A retained message is an old one: the broker's memory, not a measurement.
                wanted = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
                properties = Properties(PacketTypes.SUBSCRIBE)
                if numbers_them:
                    properties.SubscriptionIdentifier = number
                _, mid = client.subscribe([(name, wanted) for name in filters], properties=properties)
            else:
                _, mid = client.subscribe([(name, 1) for name in filters])
            self._unsubscribed[mid] = filters

    def _when_subscribed(
        self, client: mqtt.Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Any
    ) -> None:
        filters = self._unsubscribed.pop(mid, ())
        refused = [
            f"{name} ({reason})" for name, reason in zip(filters, reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self._refusal = (
                f"The broker refuses the subscription to {', '.join(refused)}: let the bridge's user read that, or "
                f"subscribe to another {'--topic' if filters == self.options.filters else '--events-topic'}."
            )
        self.is_subscribed = not (self._refusal or self._unsubscribed)

    def _when_flushed(self, *_: Any) -> None:
        self._is_flushed = True

    def _when_disconnected(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Any,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._refusal = f"The broker ended the connection: {reason}."

    def _when_message(self, client: mqtt.Client, userdata: Any, received: mqtt.MQTTMessage) -> None:
        try:
            topic = received.topic
        except UnicodeDecodeError:
            log.warning("bridge.topic_unreadable", mid=received.mid)
            self._acknowledge(received.mid)
            return
        mid = received.mid if received.qos else 0
        is_stored = received.dup and self._stored.get(mid) == hash((topic, bytes(received.payload)))
        is_event = is_among(topic, self.options.event_filters)
        numbers = getattr(received.properties, "SubscriptionIdentifier", ())
        # Some brokers send a message once for each filter that it matches.
        is_copy = is_event and bool(numbers) and OF_EVENTS not in numbers
        if is_stored or received.retain or is_copy:
            if mid:
                self._acknowledge(mid)
            return
        self._on_message(
            Message(
                topic=topic,
                payload=bytes(received.payload),
                arrived_us=time.time_ns() // 1_000,
                mid=mid,
                is_redelivered=received.dup,
                is_event=is_event,
            )
        )


def _send_at_once(client: mqtt.Client, userdata: Any, sock: Any) -> None:
    """Acknowledgements are a few bytes each: without this they wait for each other's arrival."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
