"""Where the web server is found by commands in a second terminal."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smartmaint.management.commands.simulate import Command
from smartmaint.supervisor import PROJECT_DIRECTORY, web_address
from smartmaint.supervisor.product import visible_address


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMARTMAINT_VAR", str(tmp_path))
    return tmp_path


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_live_readings_go_to_the_running_server(var: Path):
    (var / "address").write_text("http://localhost:8001\n")
    parser = Command().create_parser("manage.py", "simulate")
    assert parser.parse_args([]).url == "http://localhost:8001"
    assert parser.parse_args(["--url", "http://plant:80"]).url == "http://plant:80"


def test_live_readings_go_to_the_usual_address_while_nothing_runs(var: Path):
    assert Command().create_parser("manage.py", "simulate").parse_args([]).url == "http://localhost:8000"


def test_a_run_tells_its_address_until_it_stops(var: Path, unused_port: int):
    # A database that nobody answers for ends the run by itself, should the signal miss it.
    settings = {
        "SMARTMAINT_VAR": str(var),
        "PORT": str(unused_port),
        "HOST": "0.0.0.0",
        "DATABASE_URL": "postgres://127.0.0.1:9/nowhere",
    }
    run = subprocess.Popen(
        [sys.executable, "-m", "smartmaint.supervisor", "run"],
        env=os.environ | settings,
        cwd=PROJECT_DIRECTORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while (told := web_address()) is None:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert told == f"http://localhost:{unused_port}"
    finally:
        run.terminate()
        run.wait(30)
    assert web_address() is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://localhost:8001"),
        ("::", "http://localhost:8001"),
        ("plant.example", "http://plant.example:8001"),
        ("2001:db8::7", "http://[2001:db8::7]:8001"),
    ],
)
def test_an_address_is_one_that_this_machines_programs_can_open(host: str, address: str):
    assert visible_address(host=host, port=8001) == address
