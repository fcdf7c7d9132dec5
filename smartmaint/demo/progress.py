"""How far the load of the demo has come: a bar on a terminal, elsewhere a line every few seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10


class Progress(Protocol):
    def step(self, words: str) -> None:
        """Something else begins."""

    def store(self, readings: int) -> None:
        """So many readings more are stored."""


@contextmanager
def progress(total: int, *, say: Callable[[str], object]) -> Iterator[Progress]:
    """Tell how far `total` readings are stored; lines go to `say`."""
    if sys.stderr.isatty():
        with tqdm(total=total, unit=" readings", unit_scale=True) as bar:
            yield _Bar(bar)
    else:
        yield Lines(total, say)


class _Bar:
    def __init__(self, bar: tqdm) -> None:
        self.step, self.store = bar.set_description, bar.update


class Lines:
    """Progress for a log or a pipe."""

    def __init__(
        self, total: int, say: Callable[[str], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.say, self.clock = total, say, clock
        self.stored = 0
        self.words = ""
        self.next_at = clock()

    def step(self, words: str) -> None:
        self.words = words
        self._tell()

    def store(self, readings: int) -> None:
        self.stored += readings
        self._tell()

    def _tell(self) -> None:
        if self.clock() >= self.next_at:
            self.say(f"{self.words} ({self.stored / self.total:.0%} of {self.total:,} readings)")
            self.next_at = self.clock() + SECONDS_BETWEEN_LINES
