"""A session engine whose database has gone away."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.db import OperationalError


class SessionStore(DatabaseSessionStore):
    def load(self) -> dict:
        raise OperationalError("connection refused")
