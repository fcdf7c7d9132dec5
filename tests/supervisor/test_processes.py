"""Services, for real: what dies is started again, what is ended is ended whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from smartmaint.supervisor.console import Console
from smartmaint.supervisor.processes import MARK, Service, Watch, end_leftovers

# A leader that says the pid of its child, and pays no attention to SIGTERM when told so.
FAMILY = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def make_service(
    *arguments: str, stop_seconds: float = 5.0, environment: dict[str, str] | None = None
) -> Service:
    return Service(
        name="family",
        command=[sys.executable, "-c", FAMILY, *arguments],
        environment={**os.environ, **(environment or {})},
        stop_seconds=stop_seconds,
        console=Console(),
    )


def printed_number(capfdbinary: pytest.CaptureFixture[bytes], service: Service) -> int:
    deadline = time.monotonic() + 10
    printed = b""
    while b"\n" not in printed:
        assert time.monotonic() < deadline
        service.console.pump(0.05)
        printed += capfdbinary.readouterr().out
    name, number = printed.decode().split("|")
    assert name == "family   "
    return int(number)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stopping_a_service_ends_its_children_too(capfdbinary):
    service = make_service()
    service.launch()
    child = printed_number(capfdbinary, service)
    service.stop()
    assert not service.is_alive()
    wait_until_gone(child)


def test_a_service_that_ignores_the_stop_signal_is_killed_when_its_time_is_over(capfdbinary):
    service = make_service("stubborn", stop_seconds=0.1)
    service.launch()
    printed_number(capfdbinary, service)
    service.stop()
    assert not service.is_alive()
    assert service.exit_status() == -9


def test_children_of_a_killed_service_are_ended_before_its_replacement_starts(capfdbinary):
    service = make_service()
    service.launch()
    child = printed_number(capfdbinary, service)
    service.process.kill()
    service.process.wait()
    assert is_running(child)
    service.launch()
    wait_until_gone(child)
    assert service.is_alive()
    service.stop()


def test_pauses_between_restarts_double_to_half_a_minute_and_are_forgotten_after_a_steady_minute():
    class Dying:
        name = "web"

        def launch(self) -> None: ...

        def is_alive(self) -> bool:
            return False

        def stop(self) -> None: ...

    watch = Watch(Dying())
    now = time.monotonic()
    pauses = []
    for _ in range(7):
        words = watch.look(now)
        pauses.append(words.removeprefix("web died; it is started again in "))
        now += 30
        assert watch.look(now) == "web is started again"
    assert pauses == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]
    assert watch.look(now + 60) == "web died; it is started again in 1 s"


def test_a_service_does_not_outlive_a_killed_supervisor(tmp_path: Path):
    program = (
        "import os, sys, time\n"
        "from smartmaint.supervisor.console import Console\n"
        "from smartmaint.supervisor.processes import Service\n"
        "service = Service(name='sleep', command=['sleep', '60'], environment=dict(os.environ),\n"
        "                  stop_seconds=1, console=Console())\n"
        "service.launch()\n"
        "print(service.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    orphan = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_until_gone(orphan)


def test_a_successor_ends_the_leftovers_of_its_own_folder_only(tmp_path: Path):
    own = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: str(tmp_path)})
    foreign = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: str(tmp_path / "other")})
    try:
        assert end_leftovers(tmp_path) == 1
        assert not is_running(own.pid)
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
