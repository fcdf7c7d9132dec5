"""Runs the whole product on one machine: database, web, worker and beat under one command.

`python -m smartmaint.supervisor run` owns them; settings and Django start nothing. This module is what
others may import from here, so it imports nothing but the standard library's lightest parts.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

PROJECT_DIRECTORY = Path(__file__).resolve().parents[2]


def var_directory() -> Path:
    """The folder of everything this installation writes: database, logs, keys, messages."""
    return Path(os.environ.get("SMARTMAINT_VAR") or PROJECT_DIRECTORY / "var").absolute()


def database_url() -> str | None:
    """The URL of the embedded database that a running supervisor owns, None when none runs."""
    return _content_of(var_directory() / "database_url")


def web_address() -> str | None:
    """The URL of the web server that a running supervisor owns, None when none runs."""
    return _content_of(var_directory() / "address")


def installation_environment() -> dict[str, str]:
    """The settings of this one-machine installation: what its processes get where the environment is silent.

    Empty until the first run has made a secret key.
    """
    var = var_directory()
    secret_key = _content_of(var / "secret_key")
    if secret_key is None:
        return {}
    settings = {
        "SECRET_KEY": secret_key,
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "COOKIE_SECURE": "0",  # plain http on localhost: a secure cookie would never come back
        "CELERY_BROKER_URL": "filesystem://",
        "SMARTMAINT_VAR": str(var),
    }
    url = database_url()
    if url is not None:
        settings["DATABASE_URL"] = url
    return settings


def adopt_running_environment(environment: MutableMapping[str, str]) -> None:
    """Completes `environment` for a command in a second terminal, unless it names a database of its own."""
    if environment.get("DATABASE_URL"):
        return
    for name, value in installation_environment().items():
        environment.setdefault(name, value)


def _content_of(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
