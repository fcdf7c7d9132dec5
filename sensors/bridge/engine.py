"""Gathers messages, stores them in one transaction, then acknowledges them.

One thread does it all in turn, so memory holds one group of messages: while the database is away, or the key is over
its limit, nothing is read, and the rest waits with the broker.
"""

import time
from collections.abc import Iterator
from threading import Event

import structlog

from sensors.bridge.broker import Broker, BrokerAway, BrokerOptions
from sensors.bridge.groups import Gathering, Group
from sensors.bridge.messages import Message, PayloadKind
from sensors.bridge.payloads import read_message
from sensors.bridge.sparkplug_nodes import SparkplugKind
from sensors.bridge.storing import DatabaseAway, Storing, failed_message
from sensors.ingest.formats.sparkplug import rebirth_request
from sensors.ingest.naming import Template
from sensors.services.metering import OverLimit

log = structlog.get_logger(__name__)

IDLE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0


def pauses() -> Iterator[float]:
    """Seconds to wait before each new attempt: doubled up to half a minute."""
    pause = 0.25
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class Bridge:
    """One key's messages from one broker. `secret` is the key's; `template` goes before the key's own naming."""

    def __init__(
        self,
        *,
        secret: str,
        options: BrokerOptions,
        kind: PayloadKind,
        template: Template | None = None,
        gathering: Gathering | None = None,
    ) -> None:
        self.stopping = Event()
        self._kind = kind
        self._session = options.client_id
        self.broker = Broker(options, self._take)
        self._storing = Storing(secret=secret, template=template, format=kind.name)
        self._gathering = gathering or Gathering()
        self._group = Group()

    def run(self) -> None:
        """Work until `stopping` is set; raises BridgeStopped when the key opens nothing (any more)."""
        self._open()
        pause = pauses()
        try:
            while not self.stopping.is_set():
                try:
                    self.broker.connect()
                    if not self.broker.has_session:
                        self._forget_births()
                    pause = pauses()
                    self._work()
                except BrokerAway as error:
                    log.warning("bridge.broker_away", reason=str(error))
                    # What had come is stored all the same: a broker that was killed may not remember it.
                    self._store()
                    self.stopping.wait(next(pause))
        finally:
            self.broker.disconnect()

    def _open(self) -> None:
        """Wait for the database, and read there what is needed to begin."""
        pause = pauses()
        while not self.stopping.is_set():
            try:
                self._storing.check_key()
                if isinstance(self._kind, SparkplugKind):
                    # What nodes told an earlier run still holds for the messages that waited meanwhile.
                    self._kind.births = self._storing.births(self._session)
                return
            except DatabaseAway as error:
                log.warning("bridge.database_away", reason=str(error))
                self.stopping.wait(next(pause))

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
        self._store()

    def _check_key(self) -> None:
        try:
            self._storing.check_key()
        except DatabaseAway as error:
            log.warning("bridge.database_away", reason=str(error))

    def _take(self, message: Message) -> None:
        try:
            readings = read_message(self._kind, message, self._storing.manners)
        except Exception:
            readings = [failed_message(message)]
        self._group.add(message, readings)

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
        self.broker.acknowledge(group.messages)
        self._ask_for_rebirths()

    def _keep_births(self) -> None:
        """Between the commit of the readings and their acknowledgement: messages that come again after a crash find
        the births that they found the first time.
        """
        if isinstance(self._kind, SparkplugKind) and self._kind.born:
            self._storing.keep_births(self._session, self._kind.born)
            self._kind.born = {}

    def _forget_births(self) -> None:
        """Without a session births may have passed by: an alias may mean another metric by now."""
        if isinstance(self._kind, SparkplugKind) and self._kind.births:
            self._kind.born = dict.fromkeys(self._kind.births)
            self._kind.births.clear()
            self._keep_births()

    def _ask_for_rebirths(self) -> None:
        if isinstance(self._kind, SparkplugKind):
            for topic in sorted(self._kind.rebirths):
                log.info("bridge.rebirth_requested", topic=topic)
                self.broker.publish(topic, rebirth_request(time.time_ns() // 1_000_000))
            self._kind.rebirths.clear()
