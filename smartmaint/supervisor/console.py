"""The terminal of the supervisor: its own lines, and those of its children with their names in front."""

import os
import selectors
import sys
import time
from contextlib import suppress
from typing import IO

NAME_WIDTH = 8


class Console:
    """Collects the children's output without threads, so that no fork ever copies a lock."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._unfinished: dict[int, bytes] = {}

    def say(self, line: str) -> None:
        self._write(f"{line}\n".encode())

    def attach(self, name: str, output: IO[bytes]) -> None:
        """Shows what comes out of `output` as lines of `name`, until its end."""
        self._selector.register(output, selectors.EVENT_READ, (name, output))
        self._unfinished[output.fileno()] = b""

    def pump(self, seconds: float) -> None:
        """Passes on what arrives within `seconds`; returns early when something did."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            name, output = key.data
            arrived = os.read(key.fd, 65536)
            *lines, rest = (self._unfinished[key.fd] + arrived).split(b"\n")
            if not arrived:  # the end: what it did not finish is its last line
                lines = [rest] if rest else []
                self._selector.unregister(output)
                del self._unfinished[key.fd]
                output.close()
            else:
                self._unfinished[key.fd] = rest
            prefix = f"{name:<{NAME_WIDTH}} | ".encode()
            self._write(b"".join(prefix + line + b"\n" for line in lines))

    def _write(self, text: bytes) -> None:
        with suppress(OSError):  # a closed terminal must not stop the product from being stopped in order
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
