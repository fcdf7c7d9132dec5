"""A database that lives as long as one command: the tests' own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.postgres import THROWAWAY_TUNING, Cluster
from smartmaint.supervisor.privileges import dying_with_the_supervisor


def with_database(command: list[str], *, is_kept: bool) -> int:
    """Runs `command` with DATABASE_URL of a fresh cluster and returns its exit status.

    When the environment names a database already, becomes the command instead. With `is_kept` the folder
    stays, for a look at it with a server of one's own.
    """
    if os.environ.get("DATABASE_URL"):
        os.execvp(command[0], command)
    folder = Path(tempfile.mkdtemp(prefix="smartmaint-test-"))
    cluster = Cluster(folder=folder / "postgres", log_path=folder / "postgres.log", tuning=THROWAWAY_TUNING)
    # Until the command runs, a stop signal must still lead through the clean-up below.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    try:
        cluster.start()
        return _run(command, environment={**os.environ, "DATABASE_URL": cluster.url})
    finally:
        cluster.stop()
        if is_kept:
            print(f"The database folder stays in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], *, environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(
            command, env=environment, preexec_fn=dying_with_the_supervisor(signal.SIGTERM)
        )
    except OSError as error:
        raise StartRefusedError(f"Cannot run {command[0]}: {error.strerror}.") from None

    def pass_on(number: int, frame: FrameType | None) -> None:
        # The terminal has sent Ctrl-C to the command already; a second one would cut its own clean-up short.
        if number != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    status = process.wait()
    return 128 - status if status < 0 else status


def _raise_exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
