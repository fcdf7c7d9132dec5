"""The folder of an installation: one owner, private secrets, one line for each refusal."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from smartmaint import supervisor
from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.installation import (
    check_port,
    empty_broker,
    ensure_secret_key,
    take_lock,
    write_private,
)
from smartmaint.supervisor.product import service_commands


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMARTMAINT_VAR", str(tmp_path))
    return tmp_path


def supervise(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "PORT", "HOST"}
    }
    return subprocess.run(
        [sys.executable, "-m", "smartmaint.supervisor", *arguments],
        env=inherited | environment,
        cwd=supervisor.PROJECT_DIRECTORY,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_second_run_on_the_same_folder_says_who_holds_it(var: Path):
    with take_lock(var):
        refused = supervise("run", environment={"SMARTMAINT_VAR": str(var)})
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Smart Maintenance already runs on {var} (process {os.getpid()}): "
        f"stop it with Ctrl-C in its terminal, or with kill {os.getpid()}.\n"
    )


def test_the_lock_is_free_again_after_its_owner(var: Path):
    take_lock(var).close()
    take_lock(var).close()


def test_a_taken_port_is_named_in_one_line(var: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = supervise("run", environment={"SMARTMAINT_VAR": str(var), "PORT": str(port)})
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Port {port} on 127.0.0.1 is taken by another program: "
        "stop it, or choose another, for example HOST=127.0.0.1 PORT=8765 make run\n"
    )
    assert not (var / "postgres").exists()


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StartRefusedError, match=r"^Cannot listen on port 8000 of 192\.0\.2\.1 \("):
        check_port("192.0.2.1", 8000)


@pytest.mark.parametrize("port", ["web", "0", "65536", "-1"])
def test_a_port_that_is_no_number_is_refused(var: Path, port: str):
    refused = supervise("run", environment={"SMARTMAINT_VAR": str(var), "PORT": port})
    assert refused.stderr == f"PORT={port} is not a port number: use one from 1 to 65535.\n"


def test_the_secret_key_is_private_and_made_once(var: Path):
    ensure_secret_key(var)
    made = (var / "secret_key").read_text()
    ensure_secret_key(var)
    assert (var / "secret_key").read_text() == made
    assert len(made.strip()) >= 50
    assert (var / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_broker_starts_empty(var: Path):
    empty_broker(var)
    (var / "broker" / "messages" / "old").touch()
    empty_broker(var)
    assert sorted(path.relative_to(var).as_posix() for path in (var / "broker").rglob("*")) == [
        "broker/control",
        "broker/messages",
    ]


def test_there_is_no_database_url_while_nothing_runs(var: Path):
    assert supervisor.database_url() is None
    assert supervisor.installation_environment() == {}


def test_a_command_in_a_second_terminal_adopts_the_running_installation(var: Path):
    write_private(var / "secret_key", "a key")
    write_private(var / "database_url", "postgres://smartmaint@/smartmaint?host=%2Fx")
    environment = {"ALLOWED_HOSTS": "plant.example"}
    supervisor.adopt_running_environment(environment)
    assert environment == {
        "ALLOWED_HOSTS": "plant.example",
        "CELERY_BROKER_URL": "filesystem://",
        "COOKIE_SECURE": "0",
        "DATABASE_URL": "postgres://smartmaint@/smartmaint?host=%2Fx",
        "SECRET_KEY": "a key",
        "SMARTMAINT_VAR": str(var),
    }


def test_a_command_with_a_database_of_its_own_adopts_nothing(var: Path):
    write_private(var / "secret_key", "a key")
    environment = {"DATABASE_URL": "postgres://elsewhere/other"}
    supervisor.adopt_running_environment(environment)
    assert environment == {"DATABASE_URL": "postgres://elsewhere/other"}


def test_an_ipv6_address_is_bound_in_brackets():
    web, _ = service_commands(host="::1", port=8000)["web"]
    assert web[web.index("--bind") + 1] == "[::1]:8000"


def test_with_database_gives_a_database_and_returns_the_commands_status(tmp_path: Path):
    program = (
        "import os, psycopg2\n"
        "with psycopg2.connect(os.environ['DATABASE_URL']) as connection, connection.cursor() as cursor:\n"
        "    cursor.execute('SELECT current_database()')\n"
        "    print(cursor.fetchone()[0])\n"
        "raise SystemExit(7)\n"
    )
    done = supervise(
        "with-database", "--", sys.executable, "-c", program, environment={"TMPDIR": str(tmp_path)}
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "smartmaint\n", "")
    assert list(tmp_path.iterdir()) == []


def test_with_database_uses_the_database_that_the_environment_names():
    done = supervise(
        "with-database", "--", "printenv", "DATABASE_URL", environment={"DATABASE_URL": "postgres://own"}
    )
    assert (done.returncode, done.stdout) == (0, "postgres://own\n")


def test_with_database_names_a_command_that_does_not_exist(tmp_path: Path):
    done = supervise("with-database", "--", "no-such-command", environment={"TMPDIR": str(tmp_path)})
    assert done.returncode == 1
    # The reason depends on the folders that PATH names.
    assert done.stderr.startswith("Cannot run no-such-command: ")
    assert list(tmp_path.iterdir()) == []
