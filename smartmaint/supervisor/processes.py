"""Child processes: started in a group of their own, restarted when they die, ended whole."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from smartmaint.supervisor import PROJECT_DIRECTORY
from smartmaint.supervisor.console import Console
from smartmaint.supervisor.privileges import dying_with_the_supervisor

MARK = "SMARTMAINT_SUPERVISED"  # environment variable by which a successor knows what its predecessor left
FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
LEFTOVER_PATIENCE_SECONDS = 5.0


class Child(Protocol):
    """What the supervisor keeps alive."""

    name: str

    def launch(self) -> None: ...

    def is_alive(self) -> bool: ...

    def stop(self) -> None: ...


class Service:
    """One command of ours and every process it starts."""

    def __init__(
        self,
        *,
        name: str,
        command: list[str],
        environment: dict[str, str],
        stop_seconds: float,
        console: Console,
        has_named_output: bool = True,
    ) -> None:
        """With `has_named_output` the console shows its lines after its name, else it has the terminal."""
        self.name = name
        self.command = command
        self.environment = environment
        self.stop_seconds = stop_seconds
        self.console = console
        self.has_named_output = has_named_output
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        self._end_group()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self.has_named_output else None,
            stderr=subprocess.STDOUT if self.has_named_output else None,
            cwd=PROJECT_DIRECTORY,
            env=self.environment,
            start_new_session=True,
            preexec_fn=dying_with_the_supervisor(signal.SIGTERM),
        )
        if self.process.stdout is not None:
            self.console.attach(self.name, self.process.stdout)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def exit_status(self) -> int | None:
        return self.process.poll() if self.process else None

    def stop(self) -> None:
        """SIGTERM to the leader, which tells its own children; SIGKILL to whoever is left of the group."""
        if self.process is not None and self.is_alive():
            self.process.terminate()
            deadline = time.monotonic() + self.stop_seconds
            while self.is_alive() and time.monotonic() < deadline:
                self.console.pump(0.05)  # a full pipe would keep it from ending
        self._end_group()

    def _end_group(self) -> None:
        """Children of a leader that was killed would go on working beside those of its replacement."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Watch:
    """Restarts one child, with a back-off that doubles to 30 s and is forgotten after a steady minute."""

    def __init__(self, child: Child, *, first_delay_seconds: float = FIRST_DELAY_SECONDS) -> None:
        self.child = child
        self._first_delay = self._delay = first_delay_seconds
        self._launched_at = time.monotonic()
        self._restart_at: float | None = None

    def look(self, now: float) -> str | None:
        """Notices a death, or carries out the restart that is due at `now` (monotonic seconds).

        Returns what happened in words, None for nothing.
        """
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._restart_at = None
                self._launched_at = now
                self.child.launch()
                return f"{self.child.name} is started again"
            return None
        if self.child.is_alive():
            return None
        if now - self._launched_at >= STEADY_SECONDS:
            self._delay = self._first_delay
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY_SECONDS)
        self._restart_at = now + delay
        return f"{self.child.name} died; it is started again in {delay:g} s"


def end_leftovers(var: Path) -> int:
    """Ends the services of a supervisor of this `var` folder that was killed; returns how many processes."""
    leftovers = [
        process
        for process in psutil.process_iter(["environ"])
        if process.pid != os.getpid() and (process.info["environ"] or {}).get(MARK) == str(var)
    ]
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=LEFTOVER_PATIENCE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=LEFTOVER_PATIENCE_SECONDS)
    return len(leftovers)
