"""A private folder for the server's socket, whose path stays short however deep the product is installed."""

import os
import shutil
import tempfile
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 99  # bytes; the kernel's sun_path holds 108 on Linux and 104 on macOS


def make_socket_folder(place: Path) -> Path:
    """Returns a new folder of mode 700: `place` itself or, where that is too deep, one that `place` links to.

    What was at `place` before is removed, so a folder elsewhere is found again by a successor.
    """
    remove_socket_folder(place)
    if len(os.fsencode(place / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        place.mkdir(mode=0o700)
        return place
    folder = Path(tempfile.mkdtemp(prefix="smartmaint-"))
    place.symlink_to(folder)
    return folder


def remove_socket_folder(place: Path) -> None:
    """Removes `place` and the folder it links to; what is not there is no error."""
    if place.is_symlink():
        shutil.rmtree(place.readlink(), ignore_errors=True)
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)
