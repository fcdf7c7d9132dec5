"""A visit: one request as one person, undone afterwards, and what was wrong with its answer."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from smartmaint.accounts.middleware import SESSION_KEY
from smartmaint.accounts.models import User
from tests.walls.evidence import Evidence
from tests.walls.marks import FRAGMENT, leaks
from tests.walls.page_forms import Fields
from tests.walls.world import World

SENDS_TO_LOG_IN = "log-in"
READS = re.compile(
    r"\s*(SELECT|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT|SET CONSTRAINTS)\b", re.IGNORECASE
)


class Writes:
    """Notes whether anything but reading went to the database: only then it has to be looked at."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.seen = self.seen or not READS.match(sql)
        return execute(sql, *rest)


@contextmanager
def undone() -> Iterator[None]:
    """A transaction that never happened; the work engine's durable ones may run in it, as in any TestCase."""
    outermost = transaction.atomic()
    outermost._from_testcase = True
    with outermost:
        yield
        transaction.set_rollback(True)


@dataclass
class Visitor:
    """Somebody at the wall, with all that was found wrong."""

    name: str
    evidence: Evidence
    session: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def get(self, address: str, query: Fields | None = None) -> HttpResponse:
        asked = f"{address}?{urlencode(query or [])}"
        return self._visit(f"GET {asked}", lambda client: client.get(asked), [address, *values_of(query)])

    def post(self, address: str, body: Fields) -> HttpResponse:
        return self._visit(
            f"POST {address} {urlencode(body)}",
            lambda client: client.post(address, urlencode(body), "application/x-www-form-urlencoded"),
            [address, *values_of(body)],
        )

    def post_json(self, address: str, body: dict) -> HttpResponse:
        return self._visit(
            f"POST {address} {json.dumps(body)}",
            lambda client: client.post(address, body, "application/json"),
            [address, *re.findall(r'"([^"]+)"', json.dumps(body))],
        )

    def accuse(self, request: str, words: str) -> None:
        self.findings.append(f"{self.name}: {request}: {words}")

    def _visit(self, request: str, send: Callable[[Client], HttpResponse], asked: list[str]) -> HttpResponse:
        """Send, look at the answer and at the database, and undo."""
        before, writes = transaction.savepoint(), Writes()
        try:
            with connection.execute_wrapper(writes):
                response = send(self._client())
            self._look_at(request, response, asked)
            if writes.seen:
                self._look_behind(request, response)
        finally:
            transaction.savepoint_rollback(before)
            transaction.set_rollback(False)
        return response

    def _client(self) -> Client:
        """A new one each time: a log-out among the requests must not make the rest of them harmless."""
        client = Client(raise_request_exception=False, headers=self.headers)
        if self.session:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        return client

    def _look_at(self, request: str, response: HttpResponse, asked: list[str]) -> None:
        if response.status_code >= 500 and not request.endswith("/readyz?"):
            self.accuse(request, f"{response.status_code} {getattr(response, 'exc_info', '')}")
            return
        told = "" if response.streaming else response.content.decode()
        if found := leaks(told + response.headers.get("Location", ""), asked=asked):
            self.accuse(request, f"{response.status_code} shows {found[:5]}")

    def _look_behind(self, request: str, response: HttpResponse) -> None:
        for table in self.evidence.changed_tables():
            self.accuse(request, f"{response.status_code} changed {table}")
        for link in self.evidence.crossings():
            self.accuse(request, f"{response.status_code} linked {link}")


def person(user: User, *, evidence: Evidence, remembers: World) -> Visitor:
    """A logged-in person whose session names the foreign organisation, as if they had been in it."""
    client = Client()
    client.force_login(user)
    session = client.session
    session[SESSION_KEY] = remembers.organization.pk
    session.save()
    return Visitor(user.username, evidence, session=client.cookies[settings.SESSION_COOKIE_NAME].value)


def values_of(fields: Fields | None) -> list[str]:
    """What was sent, to be left out of sight where an answer repeats it."""
    return [value for _, value in fields or [] if len(value) >= len(FRAGMENT)]


def outcome(response: HttpResponse) -> int | str:
    """The status; a redirect to the log-in is told from others."""
    if response.headers.get("Location", "").startswith(f"{settings.LOGIN_URL}?next"):
        return SENDS_TO_LOG_IN
    return response.status_code
