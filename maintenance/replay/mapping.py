"""How the files and columns of a plant's past are called: the usual names, or those of a `replay.toml` beside them."""

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAPPING_FILE = "replay.toml"


class PastUnreadable(Exception):
    """The past of a plant cannot be read; the message says which file and why, in words for a person."""


@dataclass(frozen=True)
class Table:
    """One file, and what its columns are called. Columns that are empty words may be missing."""

    file: str
    time: str = "datetime"
    machine: str = "machineID"


@dataclass(frozen=True)
class Readings(Table):
    """One row per machine and moment, one column per sensor: all others, unless some are named.

    `missing` are words that stand where there is no reading, such as "Bad".
    """

    file: str = "PdM_telemetry.csv"
    sensors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Events(Table):
    file: str = "PdM_errors.csv"
    code: str = "errorID"
    kind: str = ""
    message: str = ""


@dataclass(frozen=True)
class Failures(Table):
    file: str = "PdM_failures.csv"
    mode: str = "failure"


@dataclass(frozen=True)
class Maintenance(Table):
    file: str = "PdM_maint.csv"
    part: str = "comp"


@dataclass(frozen=True)
class Machines(Table):
    file: str = "PdM_machines.csv"
    kind: str = "model"


@dataclass(frozen=True)
class Mapping:
    """All files of a plant's past; only the readings must be there. `units` are UCUM codes by sensor."""

    readings: Readings = field(default_factory=Readings)
    events: Events = field(default_factory=Events)
    failures: Failures = field(default_factory=Failures)
    maintenance: Maintenance = field(default_factory=Maintenance)
    machines: Machines = field(default_factory=Machines)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    units: dict[str, str] = field(default_factory=dict)


LISTS = {"sensors", "missing"}
TABLES = ("readings", "events", "failures", "maintenance", "machines")


def read_mapping(directory: Path) -> Mapping:
    """The mapping of a directory: the usual names, changed by its `replay.toml`; raises PastUnreadable."""
    path = directory / MAPPING_FILE
    if not path.exists():
        return Mapping()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PastUnreadable(f"{MAPPING_FILE}: {error}") from error
    mapping = Mapping()
    for name, content in told.items():
        mapping = _change(mapping, name, content)
    return mapping


def _change(mapping: Mapping, name: str, content: Any) -> Mapping:
    if name in TABLES and isinstance(content, dict):
        table = getattr(mapping, name)
        known = {one.name for one in fields(table)}
        if unknown := content.keys() - known:
            raise PastUnreadable(
                f"{MAPPING_FILE}: [{name}] has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
            )
        for key, value in content.items():
            _require_words(f"[{name}] {key}", value, is_list=key in LISTS)
            if key == "file" and (value != PurePath(value).name or value in {"", ".."}):
                raise PastUnreadable(f"{MAPPING_FILE}: [{name}] file is the name of a file beside it.")
        content = {key: tuple(value) if key in LISTS else value for key, value in content.items()}
        return replace(mapping, **{name: replace(table, **content)})
    if name == "zone" and isinstance(content, str):
        try:
            return replace(mapping, zone=ZoneInfo(content))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise PastUnreadable(f"{MAPPING_FILE}: there is no time zone {content!r}.") from error
    if name == "units" and isinstance(content, dict):
        for key, value in content.items():
            _require_words(f"[units] {key}", value, is_list=False)
        return replace(mapping, units=content)
    raise PastUnreadable(f"{MAPPING_FILE}: {name!r} is not one of {', '.join(TABLES)}, zone, units.")


def _require_words(where: str, value: Any, *, is_list: bool) -> None:
    words = value if is_list and isinstance(value, list) else [value]
    if (is_list and not isinstance(value, list)) or not all(isinstance(word, str) for word in words):
        raise PastUnreadable(f"{MAPPING_FILE}: {where} is {'a list of words' if is_list else 'a name'}.")
