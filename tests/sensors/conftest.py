"""A fixed moment, a gateway's key, and posting with it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.http import HttpResponse

from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import issue_api_key

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

Post = Callable[..., HttpResponse]


@pytest.fixture
def ten_o_clock():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def key(organization) -> tuple[ApiKey, str]:
    """One that may post, with its secret; it never expires."""
    return issue_api_key(organization=organization, name="gateway", scopes=[Scope.INGEST])


@pytest.fixture
def api_key(key) -> ApiKey:
    return key[0]


@pytest.fixture
def secret(key) -> str:
    return key[1]


@pytest.fixture
def post_to(secret, client) -> Post:
    """To any address."""

    def send(url, content_type, body, *, key=secret, **headers):
        headers = {"Authorization": f"Bearer {key}"} | headers
        return client.generic("POST", url, body, content_type=content_type, headers=headers)

    return send


@pytest.fixture
def post(post_to, request) -> Post:
    """To the `URL` of the test's module, as JSON unless it is bytes."""

    def send(body, *, query="", content_type="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return post_to(request.module.URL + query, content_type, body, **headers)

    return send
