"""A real Mosquitto of a test's own, publishers that send until they are answered, and bridges to it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from django.db import connection, connections
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from sensors.bridge.broker_options import BrokerOptions
from sensors.bridge.engine import Bridge
from sensors.bridge.payloads import KINDS
from sensors.bridge.topics import machine_template, topic_template
from sensors.models import Reading, ReadingBatch
from smartmaint.supervisor import PROJECT_DIRECTORY
from tests.brokers.installation import database_url

BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
PATIENCE_SECONDS = 60.0

CONFIGURATION = """
user root
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
log_type error
log_type warning
log_type notice
{settings}
"""

needs_mosquitto = pytest.mark.skipif(BINARY is None, reason="There is no mosquitto to run.")


def wait_until(is_so: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Look until it is so; `told` gives what to show when it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


class Mosquitto:
    """A broker that writes every change to its file, on a port of its own."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self.folder = folder
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mosquitto.conf").write_text(
            CONFIGURATION.format(port=self.port, folder=folder, settings=settings)
        )

    def start(self) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        wait_until(self._listens, self.log)

    def stop(self) -> None:
        """The orderly end: everything is in its file."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def kill(self) -> None:
        """kill -9: the last thing that it answered may not be in its file."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Gateway:
    """A publisher that keeps each message until the broker has taken it over."""

    def __init__(self, port: int, name: str = "gateway") -> None:
        self.sent = 0
        self.taken = 0
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        self.client.max_inflight_messages_set(20)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = self._when_taken
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, topic: str, payload: object, *, retain: bool = False) -> None:
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(topic, content, qos=1, retain=retain)
        self.sent += 1

    def wait_until_taken(self, but: int = 0) -> None:
        """Return once the broker has answered to all messages but so many."""
        wait_until(lambda: self.taken >= self.sent - but, lambda: f"{self.taken} of {self.sent} were taken.")

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _when_taken(self, *_: object) -> None:
        self.taken += 1


@contextmanager
def gateway(broker: Mosquitto, name: str = "gateway") -> Iterator[Gateway]:
    publisher = Gateway(broker.port, name)
    try:
        yield publisher
    finally:
        publisher.end()


def make_bridge(
    broker: Mosquitto,
    secret: str,
    *filters: str,
    payload: str = "json",
    sensor: str | None = None,
    machine: str | None = None,
    **options: object,
) -> Bridge:
    usual = {"host": "127.0.0.1", "port": broker.port, "client_id": "bridge", "keepalive_s": 5}
    return Bridge(
        secret=secret,
        options=BrokerOptions(**(usual | {"filters": filters or ("plant/#",)} | options)),
        kind=KINDS[payload](),
        template=topic_template(sensor) if sensor else None,
        machine=machine_template(machine) if machine else None,
    )


class Until(threading.Event):
    """Set as soon as it is so: a bridge that looks at it between two turns works in the test's own thread, and so in
    its transaction.
    """

    def __init__(self, is_so: Callable[[], bool], told: Callable[[], str]) -> None:
        super().__init__()
        self._is_so = is_so
        self._told = told
        self._deadline = time.monotonic() + PATIENCE_SECONDS

    def is_set(self) -> bool:
        if not super().is_set() and self._is_so():
            self.set()
        assert super().is_set() or time.monotonic() < self._deadline, self._told()
        return super().is_set()


class NoPauses(threading.Event):
    """Notes how long a bridge would wait, instead of waiting, and is set after so many pauses."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._after = after
        self._deadline = time.monotonic() + PATIENCE_SECONDS

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        if len(self.pauses) >= self._after:
            self.set()
        return self.is_set()

    def is_set(self) -> bool:
        assert super().is_set() or time.monotonic() < self._deadline, self.pauses
        return super().is_set()


def run_until(bridge: Bridge, is_so: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Let the bridge work here until it is so; `told` gives what to show when it never is."""
    bridge.stopping = Until(is_so, told)
    bridge.run()


def subscribe(broker: Mosquitto, secret: str, **options: object) -> None:
    """Let a bridge subscribe and go away again, so that the broker keeps what comes next."""
    bridge = make_bridge(broker, secret, **options)
    run_until(bridge, lambda: bridge.broker.is_subscribed, broker.log)


@contextmanager
def running(*bridges: Bridge) -> Iterator[None]:
    """The bridges at work, each in a thread with its own connection; in the end they stop in good order."""
    errors: list[BaseException] = []

    def run(bridge: Bridge) -> None:
        try:
            bridge.run()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[bridge], daemon=True) for bridge in bridges]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: bool(errors) or all(bridge.broker.is_subscribed for bridge in bridges))
        yield
    finally:
        for bridge in bridges:
            bridge.stopping.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)


class BridgeProcess:
    """`manage.py bridge_mqtt` on the tests' database."""

    def __init__(self, folder: Path, port: int, secret: str, *arguments: str, **environment: str) -> None:
        self.log_path = folder / "bridge.log"
        self.command = [
            sys.executable,
            "manage.py",
            "bridge_mqtt",
            "--host=localhost",
            f"--port={port}",
            *arguments,
        ]
        own = {"DATABASE_URL": database_url(), "SMARTMAINT_API_KEY": secret, "LOG_FORMAT": "console"}
        self.environment = os.environ | own | environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it is connected."""
        connections_before = self.log().count("bridge.connected")
        self.launch()
        wait_until(lambda: self.log().count("bridge.connected") > connections_before, self.log)

    def launch(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=PROJECT_DIRECTORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


def stored() -> int:
    return Reading.objects.count()


def batch_sum(field: str) -> int:
    return sum(ReadingBatch.objects.values_list(field, flat=True))


@contextmanager
def database_closed() -> Iterator[None]:
    """The tests' database takes no connection, and has ended all but the test's own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    name = connection.settings_dict["NAME"]
    settings = connection.get_connection_params() | {"dbname": "postgres"}
    settings.pop("cursor_factory", None)
    elsewhere = psycopg2.connect(**settings)
    elsewhere.autocommit = True
    try:
        with elsewhere.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                [name, own],
            )
        try:
            yield
        finally:
            with elsewhere.cursor() as cursor:
                cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    finally:
        elsewhere.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
