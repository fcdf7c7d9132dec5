"""Start, watch and stop the whole product: the database, then the steps, then web, worker and beat."""

import os
import signal
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from smartmaint.supervisor import installation_environment, var_directory
from smartmaint.supervisor.console import Console
from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.installation import (
    check_port,
    empty_broker,
    ensure_secret_key,
    take_lock,
    write_private,
)
from smartmaint.supervisor.postgres import Cluster
from smartmaint.supervisor.processes import MARK, Service, Watch, end_leftovers

TICK_SECONDS = 0.2
STEP_TICK_SECONDS = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Celery's long warning about root: whoever runs this as root has decided so.
QUIET_ABOUT_ROOT = "ignore:You're running the worker with superuser privileges"

# What the console says when the demo is loaded; SMARTMAINT_DEMO=0 leaves that step out.
DEMO_TITLE = "Loading the demo where there is nothing yet"

# manage.py commands that come before the services, each with what the console says.
STEPS = {
    "Preparing the database": ["migrate", "--noinput", "--verbosity", "0"],
    "Collecting static files": ["collectstatic", "--noinput", "--verbosity", "0"],
    "Keeping the schedule": ["ensure_schedule"],
    DEMO_TITLE: ["load_demo", "--if-empty"],
}


class Product:
    """One run of the product on this machine."""

    def __init__(self, *, var: Path, host: str, port: int) -> None:
        self.var = var
        self.host = host
        self.port = port
        self.console = Console()
        self.watches: list[Watch] = []  # in the order of starting; stopped in the opposite one
        self._is_stopping = False

    def run(self) -> int:
        """Runs until a stop signal; returns the exit status. Raises StartRefusedError."""
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, self._on_stop_signal)
        self.var.mkdir(parents=True, exist_ok=True)
        with take_lock(self.var):
            try:
                self._prepare()
                environment = self._start_database()
                self._run_steps(environment)
                self._start_services(environment)
                self._keep_running()
            finally:
                self._stop()
        return 0

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _prepare(self) -> None:
        if ended := end_leftovers(self.var):
            self.console.say(f"Ended {ended} processes that a killed run had left")
        check_port(self.host, self.port)
        ensure_secret_key(self.var)
        empty_broker(self.var)
        (self.var / "database_url").unlink(missing_ok=True)
        write_private(self.var / "address", visible_address(host=self.host, port=self.port))

    def _start_database(self) -> dict[str, str]:
        """Starts the embedded database unless DATABASE_URL names another.

        Returns the environment of the services. Raises StartRefusedError.
        """
        if not os.environ.get("DATABASE_URL"):
            self.console.say("Starting PostgreSQL")
            cluster = Cluster(folder=self.var / "postgres", log_path=self.var / "log" / "postgres.log")
            # Sooner than the others, who fail loudly as long as it is away.
            self.watches.append(Watch(cluster, first_delay_seconds=0.1))
            cluster.start()
            write_private(self.var / "database_url", cluster.url)
        named = {name: value for name, value in os.environ.items() if value}
        own = {"SMARTMAINT_VAR": str(self.var), MARK: str(self.var), "PYTHONUNBUFFERED": "1"}
        return {**installation_environment(), **named, **own}

    def _run_steps(self, environment: dict[str, str]) -> None:
        """Runs the steps in order, until a stop signal. Raises StartRefusedError when one fails."""
        for title, arguments in STEPS.items():
            if self._is_stopping:
                return
            if title == DEMO_TITLE and os.environ.get("SMARTMAINT_DEMO") == "0":
                continue
            self.console.say(title)
            step = Service(
                name=arguments[0],
                command=[sys.executable, "manage.py", *arguments],
                environment=environment,
                stop_seconds=5.0,
                console=self.console,
                has_named_output=False,
            )
            step.launch()
            while step.is_alive() and not self._is_stopping:
                time.sleep(STEP_TICK_SECONDS)
            status = step.exit_status()
            step.stop()
            if status and not self._is_stopping:
                raise StartRefusedError(f"manage.py {step.name} failed with exit status {status}.")

    def _start_services(self, environment: dict[str, str]) -> None:
        for name, (module_and_arguments, stop_seconds) in service_commands(
            host=self.host, port=self.port
        ).items():
            if self._is_stopping:
                return
            service = Service(
                name=name,
                command=[sys.executable, "-W", QUIET_ABOUT_ROOT, "-m", *module_and_arguments],
                environment=environment,
                stop_seconds=stop_seconds,
                console=self.console,
            )
            self.watches.append(Watch(service))
            service.launch()

    def _keep_running(self) -> None:
        is_announced = False
        while not self._is_stopping:
            self.console.pump(TICK_SECONDS)
            for watch in self.watches:
                if news := watch.look(time.monotonic()):
                    self.console.say(news)
            if not is_announced and does_web_answer(host=self.host, port=self.port):
                is_announced = True
                address = visible_address(host=self.host, port=self.port)
                self.console.say(f"\nSmart Maintenance runs at {address}/ (Ctrl-C stops it)\n")

    def _stop(self) -> None:
        """Ends what was started, the last first: nobody loses the database under its feet."""
        for watch in reversed(self.watches):
            self.console.say(f"Stopping {watch.child.name}")
            watch.child.stop()
        for name in ("database_url", "address"):
            (self.var / name).unlink(missing_ok=True)


def service_commands(*, host: str, port: int) -> dict[str, tuple[list[str], float]]:
    """Python module with arguments of each service, and the seconds it has for an orderly end."""
    web = [
        "gunicorn",
        "smartmaint.wsgi:application",
        "--bind",
        _host_and_port(host, port),
        "--no-control-socket",
    ]
    web += [
        "--worker-class",
        "gthread",
        "--workers",
        "2",
        "--threads",
        "4",
        "--timeout",
        "60",
        "--graceful-timeout",
        "3",
    ]
    celery = ["celery", "--app", "smartmaint.celery:app", "--quiet"]
    # One worker needs no gossip with others.
    worker = ["worker", "--pool", "prefork", "--concurrency", "3"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    # No pid file: our own lock keeps a second one out, and a stale file would keep the first one out.
    beat = [
        "beat",
        "--scheduler",
        "django_celery_beat.schedulers:DatabaseScheduler",
        "--max-interval",
        "1",
        "--pidfile=",
    ]
    return {"web": (web, 4.0), "worker": ([*celery, *worker], 7.0), "beat": ([*celery, *beat], 2.0)}


def visible_address(*, host: str, port: int) -> str:
    """The URL under which this machine's programs reach a web server that listens on `host` and `port`."""
    name = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::", "::1", ""} else host
    return f"http://{_host_and_port(name, port)}"


def _host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def does_web_answer(*, host: str, port: int) -> bool:
    """Whether the web server answers a request, with whatever status."""
    connection = HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def run() -> int:
    """The `run` command: HOST and PORT come from the environment."""
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise StartRefusedError(f"PORT={port} is not a port number: use one from 1 to 65535.")
    return Product(var=var_directory(), host=os.environ.get("HOST") or "127.0.0.1", port=int(port)).run()
