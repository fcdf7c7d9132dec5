"""Gathers messages, stores them together, then acknowledges them.

One thread does it all in turn, so memory holds one group of messages: while the database is away, or the key is over
its limit, nothing is read, and the rest waits with the broker.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event

import structlog

from sensors.bridge.broker import Broker, BrokerAway, BrokerOptions
from sensors.bridge.groups import Gathering, Group
from sensors.bridge.messages import Message, PayloadKind
from sensors.bridge.payloads import miss_message, read_message
from sensors.bridge.sparkplug_nodes import SparkplugKind
from sensors.bridge.storing import DatabaseAway, NamingUnreadable, Storing, failed_message
from sensors.ingest.formats.sparkplug import rebirth_request
from sensors.ingest.naming import Template
from sensors.services.births import BIRTHS_KEPT
from sensors.services.metering import OverLimit

log = structlog.get_logger(__name__)

IDLE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
# A connection that lasted so long was a good one: longer than another bridge waits that takes our session over.
STEADY_SECONDS = 2 * LONGEST_PAUSE_SECONDS
MANY_SHORT_CONNECTIONS = 3


def pauses() -> Iterator[float]:
    """Seconds to wait before each new attempt: doubled up to half a minute."""
    pause = 0.25
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class Bridge:
    """One key's messages from one broker. `secret` is the key's; `template` goes before the key's own naming, `machine`
    gives the machine of events that name none.
    """

    def __init__(
        self,
        *,
        secret: str,
        options: BrokerOptions,
        kind: PayloadKind,
        template: Template | None = None,
        machine: Template | None = None,
        gathering: Gathering | None = None,
    ) -> None:
        self.stopping = Event()
        self._kind = kind
        self._session = options.client_id
        self.broker = Broker(options, self._take)
        self._storing = Storing(secret=secret, template=template, machine=machine, format=kind.name)
        self._gathering = gathering or Gathering()
        self._group = Group()

    def run(self) -> None:
        """Work until `stopping` is set; raises BridgeStopped when the key opens nothing (any more)."""
        self._wait_for(self._open)
        pause, short = pauses(), 0
        try:
            while not self.stopping.is_set():
                connected_at = None
                try:
                    self.broker.connect()
                    connected_at = time.monotonic()
                    self._go_on()
                    self._work()
                except BrokerAway as error:
                    if connected_at is not None:
                        short += 1
                        if time.monotonic() - connected_at >= STEADY_SECONDS:
                            pause, short = pauses(), 0
                    wait_s = next(pause)
                    log.warning("bridge.broker_away", reason=f"{error}{self._hint(short)}", wait_s=wait_s)
                    # What had come is stored all the same: a broker that was killed may not remember it.
                    self._store()
                    self.broker.leave()
                    self.stopping.wait(wait_s)
        finally:
            self.broker.disconnect()

    def _hint(self, short: int) -> str:
        """What it mostly means when connections that were good end again and again, as not every broker tells."""
        if short < MANY_SHORT_CONNECTIONS or not self.broker.is_subscribed:
            return ""
        return (
            f" {short} connections in a row lasted less than a minute: does another client use the client ID "
            f"{self._session!r}? Give each bridge a --client-id of its own."
        )

    def _wait_for(self, step: Callable[[], None]) -> None:
        """Take a step that needs the database and the key's naming, as soon as they are there; told to stop meanwhile,
        leave it. Raises BridgeStopped.
        """
        pause = pauses()
        while not self.stopping.is_set():
            try:
                step()
                return
            except DatabaseAway as error:
                log.warning("bridge.database_away", reason=str(error))
            except NamingUnreadable as error:
                log.error("bridge.naming_unreadable", reason=str(error))
            self.stopping.wait(next(pause))

    def _open(self) -> None:
        """Read in the database what is needed to begin."""
        self._storing.check_key()
        if isinstance(self._kind, SparkplugKind):
            # What nodes told an earlier run still holds for the messages that waited meanwhile.
            remembered = self._storing.births(self._session)
            self._kind.remember(remembered.births, remembered.next_seq)

    def _go_on(self) -> None:
        """After a new connection: what holds of the births that are known."""
        if not isinstance(self._kind, SparkplugKind):
            return
        if self.broker.has_session:
            self._kind.cut()
        else:
            # Births may have passed by: an alias may mean another metric by now.
            self._kind.forget()
            self._wait_for(self._keep_births)

    def _work(self) -> None:
        """Gather and store, until told to stop; then store what was gathered. Raises BrokerAway."""
        while not self.stopping.is_set():
            before = len(self._group)
            self.broker.turn(self._gathering.quiet_seconds if before else IDLE_SECONDS)
            is_quiet = before == len(self._group)
            if is_quiet or self._group.is_full(self._gathering):
                self._store()
            if self._storing.is_check_due:
                self._check_key()
                self._forget_silent_nodes()
        self._store()

    def _check_key(self) -> None:
        try:
            self._storing.check_key()
        except DatabaseAway as error:
            log.warning("bridge.database_away", reason=str(error))
        except NamingUnreadable:
            # What came is named as it was; what follows waits with the broker.
            self._store()
            self._wait_for(self._storing.check_key)

    def _forget_silent_nodes(self) -> None:
        """Or what is remembered would grow with every node that was ever named."""
        if isinstance(self._kind, SparkplugKind):
            now_us = time.time_ns() // 1000
            since_us = now_us - BIRTHS_KEPT // timedelta(microseconds=1)
            self._kind.forget_silent(since_us=since_us, now_us=now_us)

    def _take(self, message: Message) -> None:
        try:
            content = read_message(self._kind, message, self._storing.manners)
        except Exception:
            content = failed_message(message)
            miss_message(self._kind, message)
        self._group.add(message, content)

    def _store(self) -> None:
        """Store the group and acknowledge it. Waits as long as the database is away or the key is over its limit; when
        told to stop meanwhile, leaves it to the broker to send it again.
        """
        group, self._group = self._group, Group()
        if not len(group):
            return
        pause = pauses()
        is_charged = not group.received
        is_stored = False
        while not is_stored:
            try:
                if not is_charged:
                    self._storing.charge(group)
                    is_charged = True
                self._storing.store(group)
                self._keep_births()
                is_stored = True
            except OverLimit as error:
                log.info("bridge.over_limit", wait_s=error.retry_after_s)
                self.stopping.wait(error.retry_after_s)
            except DatabaseAway as error:
                log.warning("bridge.database_away", reason=str(error))
                self.stopping.wait(next(pause))
            if self.stopping.is_set() and not is_stored:
                return
        self._storing.count_refused(group)
        self.broker.acknowledge(group.messages)
        self._ask_for_rebirths()

    def _keep_births(self) -> None:
        """Between the commit of the readings and their acknowledgement: what comes again after a crash is older than
        what was kept, never younger.
        """
        if isinstance(self._kind, SparkplugKind) and (self._kind.born or self._kind.counted):
            self._storing.keep_births(self._session, self._kind.born, self._kind.next_numbers())
            self._kind.born = {}
            self._kind.counted.clear()

    def _ask_for_rebirths(self) -> None:
        if isinstance(self._kind, SparkplugKind):
            for topic in sorted(self._kind.rebirths):
                log.info("bridge.rebirth_requested", topic=topic)
                self.broker.publish(topic, rebirth_request(time.time_ns() // 1_000_000))
            self._kind.rebirths.clear()
