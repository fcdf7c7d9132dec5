"""Serves BokehJS from the bokeh package, so that no JavaScript of others is copied into the project."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bokeh
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.files.storage import FileSystemStorage

# Of the package's 24 MB this one file draws every plot that there is.
SCRIPT = "bokeh.min.js"
FOLDER = "bokeh"


class BokehFinder(BaseFinder):
    """Finds `bokeh/bokeh.min.js`, and nothing else."""

    def __init__(self) -> None:
        self.storage = FileSystemStorage(location=Path(bokeh.__file__).parent / "server" / "static" / "js")
        self.storage.prefix = FOLDER

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> str | list[str]:
        if path != f"{FOLDER}/{SCRIPT}":
            return []
        found = self.storage.path(SCRIPT)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        if not matches_patterns(SCRIPT, ignore_patterns or []):
            yield SCRIPT, self.storage
