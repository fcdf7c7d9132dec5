"""Worker and beat as processes on the tests' own database, with one broker; and that broker wiped."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from django.db import connection
from kombu import Connection
from redis import Redis

from smartmaint.supervisor import PROJECT_DIRECTORY
from smartmaint.supervisor.installation import empty_broker
from smartmaint.supervisor.product import service_commands


class Installation:
    """What the supervisor starts, without the web server: here each part is ended and started by hand."""

    def __init__(self, *, broker_url: str, folder: Path, queue: str) -> None:
        self.broker_url = broker_url
        self.folder = folder
        self.queue = queue
        self.log_path = folder / "installation.log"
        self.environment = os.environ | {
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": broker_url,
            "CELERY_QUEUE": queue,
            "BROKER_FOLDER": str(folder / "broker"),
            "SMARTMAINT_VAR": str(folder),
            "WORK_BACKOFF_SECONDS": "1",
            "FORECAST_LEASE_SECONDS": "1",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        empty_broker(folder)

    def start(self, name: str) -> None:
        """Start "worker" or "beat"."""
        module_and_arguments, _ = service_commands(host="127.0.0.1", port=0)[name]
        with self._log() as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module_and_arguments],
                cwd=PROJECT_DIRECTORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """Nothing of it is worth an orderly end."""
        for name in list(self.processes):
            self.kill(name)
        self.wipe_broker()

    def wipe_broker(self) -> None:
        """Lose all that the broker holds: its messages, and that there ever was such a queue."""
        scheme = self.broker_url.partition(":")[0]
        if scheme == "filesystem":
            empty_broker(self.folder)
        elif scheme == "redis":
            with Redis.from_url(self.broker_url) as redis:
                redis.flushdb()
        else:
            with Connection(self.broker_url) as broker:
                channel = broker.channel()
                channel.queue_delete(self.queue)
                channel.exchange_delete(self.queue)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def _log(self) -> BinaryIO:
        return self.log_path.open("ab")


def database_url() -> str:
    """DATABASE_URL of the tests' database, on the server that the environment names."""
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
