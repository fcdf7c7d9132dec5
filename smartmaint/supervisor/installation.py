"""The folder of one installation: who may use it, its secrets, its broker's messages, and its address."""

import errno
import fcntl
import os
import secrets
import shutil
import socket
from pathlib import Path
from typing import IO

from smartmaint.supervisor.errors import StartRefusedError


def take_lock(var: Path) -> IO[str]:
    """Claims the folder for as long as the returned file is open; the kernel frees it at our death.

    Raises StartRefusedError when another process holds it.
    """
    lock = (var / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise StartRefusedError(
            f"Smart Maintenance already runs on {var} (process {owner}): "
            f"stop it with Ctrl-C in its terminal, or with kill {owner}."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def ensure_secret_key(var: Path) -> None:
    """Makes the key once: sessions survive restarts."""
    path = var / "secret_key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(50))


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    unfinished.replace(path)


def empty_broker(var: Path) -> None:
    """Old messages are worth nothing: rows hold the work, messages are ticks of a clock."""
    shutil.rmtree(var / "broker", ignore_errors=True)
    for folder in ("messages", "control"):
        (var / "broker" / folder).mkdir(parents=True)


def check_port(host: str, port: int) -> None:
    """Raises StartRefusedError for an address that the web server could not listen on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} on {host} is taken by another program: stop it, or choose another"
        else:
            reason = f"Cannot listen on port {port} of {host} ({error.strerror}): choose another"
        raise StartRefusedError(f"{reason}, for example HOST=127.0.0.1 PORT=8765 make run") from None
