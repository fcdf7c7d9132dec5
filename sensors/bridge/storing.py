"""A group of messages on its way into the database, with the rights of one key."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import psycopg2
import structlog
from django.db import (
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
)

from sensors.bridge.event_payloads import refused_events
from sensors.bridge.groups import Group
from sensors.bridge.joining import events_joined, joined, shared_out
from sensors.bridge.messages import Content, Manners, Message
from sensors.bridge.payloads import refused_message
from sensors.bridge.topics import topic_template
from sensors.ingest.formats.sparkplug import Birth
from sensors.ingest.naming import BadTemplate, Template
from sensors.ingest.parsed import Refusal, readable
from sensors.models import SensorNaming
from sensors.services.births import Remembered, births_of_session, keep_births
from sensors.services.events import record_events
from sensors.services.ingest import ingest_readings
from sensors.services.metering import OverLimit, charge, count_refused_request
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import ApiKeyError, authenticate_api_key

log = structlog.get_logger(__name__)

KEY_CHECK_SECONDS = 60.0
TELL_SECONDS = 60.0
NOT_STORED = "not_stored"

_AWAY = (
    OperationalError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    ProgrammingError,
    # COPY is psycopg2's own, and so are its errors.
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.InternalError,
    psycopg2.NotSupportedError,
    psycopg2.ProgrammingError,
)


class BridgeStopped(Exception):
    """The bridge may not go on; the text tells a person why."""


class NamingUnreadable(Exception):
    """The key's naming gives no sensor's key of a topic; the text tells a person why, and how to mend it."""


class DatabaseAway(Exception):
    """The database does not answer, or is in no state to take anything: no message's fault."""


class Storing:
    """Stores under the key of `secret`; `template` goes before the key's own naming, `machine` gives the machine of
    events. `format` names it on receipts.
    """

    def __init__(
        self, *, secret: str, template: Template | None, format: str, machine: Template | None = None
    ) -> None:
        self.manners = Manners(template=template, machine=machine)
        self._secret = secret
        self._template = template
        self._machine = machine
        self._format = format
        self._api_key: ApiKey | None = None
        self._checked_at = float("-inf")
        self._stored: Counter[str] = Counter()
        self._told_at = float("-inf")

    @property
    def api_key(self) -> ApiKey:
        """Raises DatabaseAway before the database has told of the key."""
        if self._api_key is None:
            raise DatabaseAway("The key was not read yet.")
        return self._api_key

    @property
    def is_check_due(self) -> bool:
        return time.monotonic() - self._checked_at >= KEY_CHECK_SECONDS

    def check_key(self) -> None:
        """Look whether the key still opens, and how its payloads are named.

        Raises BridgeStopped, NamingUnreadable and DatabaseAway.
        """
        with _answering():
            try:
                api_key = authenticate_api_key(self._secret)
            except ApiKeyError as error:
                raise BridgeStopped(f"The API key is refused. {error}") from error
            naming = SensorNaming.objects.filter(api_key=api_key).first()
        if Scope.INGEST not in api_key.scopes:
            raise BridgeStopped(f"The API key {api_key} has not the scope {Scope.INGEST.value!r}.")
        template = _template_of(naming) if self._template is None else self._template
        self._api_key = api_key
        self._checked_at = time.monotonic()
        self.manners = Manners(
            template=template,
            machine=self._machine,
            zone=ZoneInfo(api_key.time_zone) if api_key.time_zone else None,
            leaves_out_text=naming is not None and naming.text_fields == SensorNaming.TextFields.IGNORE,
        )

    def charge(self, group: Group) -> None:
        """Count the group against the key's limits; raises OverLimit and DatabaseAway."""
        with _answering():
            try:
                charge(self.api_key, readings=group.received)
            except OverLimit as error:
                count_refused_request(self.api_key, error.code)
                raise

    def store(self, group: Group) -> None:
        """Store all that can be stored and keep the rest as rejected; raises DatabaseAway."""
        with _answering():
            self._store(group.messages, group.contents)

    def count_refused(self, group: Group) -> None:
        """Count the messages that were refused as a whole, once they are kept."""
        for code, times in group.refused.items():
            count_refused_request(self.api_key, code, times=times)

    def births(self, session: str) -> Remembered:
        """What Sparkplug nodes told an earlier run of this session; raises DatabaseAway."""
        with _answering():
            return births_of_session(organization=self.api_key.organization, session=session)

    def keep_births(
        self, session: str, births: Mapping[str, Birth | None], next_seq: Mapping[str, int]
    ) -> None:
        """Raises DatabaseAway."""
        with _answering():
            keep_births(
                organization=self.api_key.organization, session=session, births=births, next_seq=next_seq
            )

    def _store(self, messages: list[Message], contents: list[Content]) -> None:
        """A transaction for the readings of all, seldom a few, and one for all events. Where one fails by what it is
        given, each half is tried, so that in the end one message alone is refused.

        Readings that were stored are taken out of `contents`: whatever fails later, they are not stored again. Events
        that come twice are one.
        """
        try:
            self._put(messages, contents)
        except _AWAY:
            raise
        except Exception:
            if len(messages) == 1:
                self._put(messages, [failed_message(messages[0])])
                contents[0].parts.clear()
                count_refused_request(self.api_key, NOT_STORED)
                return
            half = len(messages) // 2
            self._store(messages[:half], contents[:half])
            self._store(messages[half:], contents[half:])

    def _put(self, messages: list[Message], contents: list[Content]) -> None:
        organization, api_key = self.api_key.organization, self.api_key
        parts = ((number, part) for number, content in enumerate(contents) for part in content.parts)
        for these in shared_out(parts):
            receipt = ingest_readings(
                organization=organization, parsed=joined(these), api_key=api_key, format=self._format
            )
            self._stored["readings"] += receipt.accepted
            for number, part in these:
                contents[number].parts.remove(part)
            _log_refusals("bridge.refused", receipt.refusals, messages)
        events = events_joined(content.events for content in contents)
        if events.received:
            recorded = record_events(organization=organization, parsed=events, api_key=api_key)
            self._stored["events"] += recorded.accepted
            _log_refusals("bridge.events_refused", recorded.refusals, messages)
        self._tell_stored()

    def _tell_stored(self) -> None:
        """The first that is stored, and then what came each minute: who connects it wants to see that it works."""
        if self._stored.total() and time.monotonic() - self._told_at >= TELL_SECONDS:
            log.info("bridge.stored", **self._stored)
            self._stored.clear()
            self._told_at = time.monotonic()


def _log_refusals(event: str, refusals: list[Refusal], messages: list[Message]) -> None:
    if refusals:
        first = refusals[0]
        log.warning(
            event,
            codes=dict(Counter(refusal.code for refusal in refusals)),
            topic=messages[first.index].topic,
            detail=first.detail,
            raw=first.raw or readable(messages[first.index].payload),
        )


def failed_message(message: Message) -> Content:
    """A message that met a defect, and must not come again and again: logged whole, and one refusal."""
    log.exception("bridge.message_failed", topic=message.topic, payload=message.payload)
    detail = "This message failed in the bridge; its log tells why."
    if message.is_event:
        return refused_events(message, NOT_STORED, detail)
    return Content([refused_message(message, NOT_STORED, detail)], NOT_STORED)


@contextmanager
def _answering() -> Iterator[None]:
    """A block that needs the database; raises DatabaseAway."""
    try:
        if not connection.in_atomic_block:  # else it is the caller's to close
            connection.close_if_unusable_or_obsolete()
        yield
    except _AWAY as error:
        connection.close()
        raise DatabaseAway(str(error).strip() or type(error).__name__) from error


def _template_of(naming: SensorNaming | None) -> Template | None:
    """The key's template; raises NamingUnreadable for one that is broken, or made for other clients than a bridge."""
    if naming is None:
        return None
    try:
        return topic_template(naming.template)
    except BadTemplate as error:
        raise NamingUnreadable(
            f"The naming {naming.template!r} of this key does not suit a bridge, so nothing is taken from the broker: "
            f"change it in the admin, or start the bridge with a --sensor of its own. {error}"
        ) from error
