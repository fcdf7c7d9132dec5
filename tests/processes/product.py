"""The whole product under its supervisor, in a folder of its own: the database, web, worker and beat, for real."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests

from smartmaint.supervisor import PROJECT_DIRECTORY
from smartmaint.supervisor.processes import MARK

START_SECONDS = 120.0
STOP_SECONDS = 30.0
RESTART_SECONDS = 60.0
COMMAND_SECONDS = 120.0

# What the surroundings say of their own installation must not reach this one.
FOREIGN = {
    "DATABASE_URL",
    "SECRET_KEY",
    "DEBUG",
    "ALLOWED_HOSTS",
    "COOKIE_SECURE",
    "SSL_REDIRECT",
    "CELERY_BROKER_URL",
    "BROKER_FOLDER",
    MARK,
}
# A word of each process' command line that no other has.
WORDS = {"web": "gunicorn", "worker": "worker", "beat": "beat"}


class RunningProduct:
    """One run of `python -m smartmaint.supervisor run` without the demo."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "supervisor.log"
        own = {"SMARTMAINT_VAR": str(folder / "var"), "SMARTMAINT_DEMO": "0", "PORT": str(self.port)}
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self.environment = inherited | own | {"HOST": "127.0.0.1"} | settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once web, worker and beat do their work."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "smartmaint.supervisor", "run"],
                cwd=PROJECT_DIRECTORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready(START_SECONDS)

    def wait_until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            assert self.process is not None
            assert self.process.poll() is None, f"The supervisor ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"Not ready after {seconds:g} s:\n{self.log()}"
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        """The orderly end, as by Ctrl-C."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def abandon(self) -> None:
        """Stop it when nobody needs what it would still do: web, worker and beat take most of an orderly end."""
        if self.process is not None and self.process.poll() is None:
            for name in WORDS:
                if service := self.find(name):
                    with suppress(psutil.NoSuchProcess):
                        service.kill()
        self.stop()

    def kill(self, name: str) -> int:
        """kill -9 of web, worker, beat or database; returns the number of the killed process."""
        victim = self.find(name)
        assert victim is not None, f"{name} does not run:\n{self.log()}"
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        return victim.pid

    def find(self, name: str) -> psutil.Process | None:
        """The leading process of a service, None while there is none."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() == psutil.STATUS_ZOMBIE:
                    continue
                if name == "database" and child.name() == "postgres":
                    return child
                if name != "database" and WORDS[name] in child.cmdline():
                    return child
        return None

    def wait_for_another(self, name: str, killed_pid: int) -> None:
        """Return once the supervisor has put another process in the place of the killed one."""
        deadline = time.monotonic() + RESTART_SECONDS
        while (found := self.find(name)) is None or found.pid == killed_pid:
            assert time.monotonic() < deadline, f"{name} was not started again:\n{self.log()}"
            time.sleep(0.1)

    def ask(self, question: str) -> Any:
        """Call a function of `rows` where Django is set up on this product's database; returns its answer."""
        code = f"import json, sys; from tests.processes import rows; json.dump(rows.{question}, sys.stdout)"
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "--no-imports", "--command", code],
            cwd=PROJECT_DIRECTORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"{done.stderr}\n{self.log()}"
        return json.loads(done.stdout)

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of this product's database."""
        url = (self.folder / "var" / "database_url").read_text().strip()
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def log(self) -> str:
        """The end of what the supervisor and its children said."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-60:])


@contextmanager
def running_product(folder: Path, **settings: str) -> Iterator[RunningProduct]:
    """Start a product, and stop it whatever happens."""
    product = RunningProduct(folder, **settings)
    try:
        product.start()
        yield product
    finally:
        product.abandon()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
