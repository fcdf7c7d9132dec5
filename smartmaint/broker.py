"""The broker of one machine: a folder of messages, as kombu's filesystem transport, but safe for several processes.

Kombu's own creates a message under its final name and then writes it, and truncates its table of queues before it locks
it. A process that looks in between reads nothing, and dies of it.
"""

import fcntl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: object) -> None:
        """Write a message beside its place and move it there: it is seen whole or not at all."""
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f"{name}.part"
        unfinished.write_text(dumps(payload))
        unfinished.rename(folder / name)

    def get_table(self, exchange: str) -> list[Any]:
        with self._alone_with_tables():
            return super().get_table(exchange)

    def _queue_bind(self, *arguments: Any) -> None:
        with self._alone_with_tables():
            super()._queue_bind(*arguments)

    @contextmanager
    def _alone_with_tables(self) -> Iterator[None]:
        """One process at a time reads or writes the tables of queues; the lock ends with its holder."""
        self.control_folder.mkdir(exist_ok=True)
        with (self.control_folder / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """Let filesystem:// mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
