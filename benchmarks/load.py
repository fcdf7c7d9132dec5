"""Clients that post prepared requests as fast as they are answered, or at a given rate, in a process of their own."""

import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from math import ceil
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec

from smartmaint.supervisor import PROJECT_DIRECTORY

CONNECTIONS = 8
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Shape:
    """What a request holds: `readings` of `sensors`, so readings / sensors moments of each, a millisecond apart."""

    readings: int
    sensors: int
    path: str
    content_type: str
    body: Callable[["Shape", int, int], bytes]


def json_body(shape: Shape, client: int, first_us: int) -> bytes:
    rows = [
        {
            "sensor": key,
            "ts": datetime.fromtimestamp(ts_us / 1e6, UTC).isoformat(timespec="milliseconds"),
            "value": value,
        }
        for key, ts_us, value in _rows(shape, client, first_us)
    ]
    return msgspec.json.encode({"readings": rows})


def line_body(shape: Shape, client: int, first_us: int) -> bytes:
    lines = (
        f"vibration,machine=m{client},point={key.rpartition('/')[2]} rms={value} {ts_us * 1000}"
        for key, ts_us, value in _rows(shape, client, first_us)
    )
    return "\n".join(lines).encode()


def sensor_key(client: int, number: int) -> str:
    """What the template {measurement}/{machine}/{point} makes of a line: both formats name the same sensors."""
    return f"vibration/m{client}/{number}"


def _rows(shape: Shape, client: int, first_us: int) -> Iterator[tuple[str, int, float]]:
    for moment in range(ceil(shape.readings / shape.sensors)):
        for sensor in range(shape.sensors):
            yield (
                sensor_key(client, sensor),
                first_us + moment * 1000,
                20 + (sensor * 7 + moment * 13) % 100 / 100,
            )


@dataclass
class Outcome:
    """`seconds` is how long the clients were at it; `latencies_s` one for each request, in the order of sending."""

    requests: int = 0
    readings: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def readings_per_s(self) -> float:
        return self.readings / self.seconds

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.seconds

    def latency_s(self, share: float) -> float:
        return sorted(self.latencies_s)[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))]


def run_load(
    *,
    url: str,
    secret: str,
    shape: Shape,
    seconds: float,
    begin_us: int,
    connections: int = CONNECTIONS,
    requests_per_s: float | None = None,
    prepared: int | None = None,
) -> Outcome:
    """Post for `seconds` from a process of its own; every request has moments of its own from `begin_us` on.

    At most `prepared` requests are made before the clock starts (without a rate: what the machine may manage); with
    `requests_per_s` they are sent at that rate and made as they go.
    """
    work = pickle.dumps((url, secret, shape, seconds, begin_us, connections, requests_per_s, prepared))
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.load import answer; answer()"],
        cwd=PROJECT_DIRECTORY,
        input=work,
        stdout=subprocess.PIPE,
        check=True,
    )
    outcome: Outcome = pickle.loads(done.stdout)
    if outcome.wrong:
        raise RuntimeError(f"{len(outcome.wrong)} requests were not stored, the first: {outcome.wrong[0]}")
    return outcome


def answer() -> None:
    """What the clients' own process does: read what to send, send it, write what came of it."""
    sys.stdout.buffer.write(pickle.dumps(_send(*pickle.load(sys.stdin.buffer))))


def _send(
    url: str,
    secret: str,
    shape: Shape,
    seconds: float,
    begin_us: int,
    connections: int,
    requests_per_s: float | None,
    prepared: int | None,
) -> Outcome:
    clients = [
        _Client(url, secret, shape, number, begin_us, requests_per_s and requests_per_s / connections)
        for number in range(connections)
    ]
    if requests_per_s is None:
        for client in clients:
            client.prepare(ceil((prepared or 4000) / connections))
    barrier = threading.Barrier(connections + 1)
    # At a given rate the clients take turns: all at once, in each round, would be bursts and not a rate.
    threads = [
        threading.Thread(target=client.run, args=(barrier, seconds, client.number / connections))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    outcome = Outcome(seconds=time.monotonic() - began)
    for client in clients:
        outcome.requests += len(client.latencies_s)
        outcome.latencies_s += client.latencies_s
        outcome.wrong += client.wrong
    outcome.readings = outcome.requests * shape.readings
    return outcome


class _Client:
    """One kept-alive connection with sensors of its own."""

    def __init__(
        self, url: str, secret: str, shape: Shape, number: int, begin_us: int, requests_per_s: float | None
    ) -> None:
        address = urlsplit(url)
        self.address = (address.hostname or "", address.port or 80)
        self.head = (
            f"POST {shape.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Token {secret}\r\n"
            f"Content-Type: {shape.content_type}\r\nContent-Length: "
        ).encode()
        self.shape, self.number, self.begin_us, self.requests_per_s = shape, number, begin_us, requests_per_s
        self.made = (self._request(request) for request in count())
        self.prepared: list[bytes] = []
        self.latencies_s: list[float] = []
        self.wrong: list[str] = []

    def _request(self, request: int) -> bytes:
        moments = ceil(self.shape.readings / self.shape.sensors)
        body = self.shape.body(self.shape, self.number, self.begin_us + request * moments * 1000)
        return self.head + f"{len(body)}\r\n\r\n".encode() + body

    def prepare(self, requests: int) -> None:
        self.prepared = [next(self.made) for _ in range(requests)]

    def run(self, barrier: threading.Barrier, seconds: float, phase: float) -> None:
        """At a given rate the first request is sent `phase` of the time between two later."""
        with socket.create_connection(self.address, timeout=ANSWER_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = connection.makefile("rb")
            barrier.wait()
            began = time.monotonic()
            for sent, request in enumerate(self.prepared or self.made):
                due = began + (sent + phase) / self.requests_per_s if self.requests_per_s else 0.0
                time.sleep(max(0.0, due - time.monotonic()))
                # At a given rate the wait for an earlier answer counts too.
                start = due or time.monotonic()
                if time.monotonic() - began >= seconds:
                    return
                connection.sendall(request)
                status, body = _read_answer(answers)
                self.latencies_s.append(time.monotonic() - start)
                if status not in (200, 204):
                    self.wrong.append(f"{status}: {body[:300]!r}")
                    return


def _read_answer(answers: BinaryIO) -> tuple[int, bytes]:
    status = int(answers.readline().split()[1])
    length = 0
    while (line := answers.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, answers.read(length)
