"""A plant's past as files tell it: readings, events, failures and maintenance by machine, in order of time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maintenance.replay.mapping import MAPPING_FILE, Mapping, PastUnreadable, Table
from sensors.ingest.events import MAX_CODE, MAX_TAG

MOST_SENSORS = 2_000
MOST_HEADER = 1_000_000
OFFSET = r"(?:[Zz]|[Tt ]\d\d(?::?\d\d){0,2}(?:\.\d+)?\s*[+-]\d{1,2}(?::?\d\d)?)$"
# A clock that was reset, or a slip of the pen, would have decades lived through in which nothing is.
YEARS = (1971, 2099)


@dataclass(frozen=True)
class Series:
    """One sensor's readings: microseconds since 1970 in UTC (int64) and values (float64), of one length, in order."""

    machine: str
    name: str
    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Occurrence:
    """Something that happened to a machine: `what` is the code of an event, the mode of a failure, or a part."""

    at_us: int
    machine: str
    what: str
    kind: str = ""
    message: str = ""


@dataclass(frozen=True)
class Past:
    """All that is known of a plant's past. `kinds` are the machines' kinds by machine."""

    kinds: dict[str, str]
    series: list[Series]
    events: list[Occurrence] = field(default_factory=list)
    failures: list[Occurrence] = field(default_factory=list)
    maintenance: list[Occurrence] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Sentences on what the files hold and the past does not."""

    @property
    def begins_us(self) -> int:
        return min(int(one.ts_us[0]) for one in self.series)

    @property
    def ends_us(self) -> int:
        return max(int(one.ts_us[-1]) for one in self.series)

    @property
    def readings(self) -> int:
        return sum(len(one.ts_us) for one in self.series)


def read_past(directory: Path, mapping: Mapping) -> Past:
    """Read the files of a directory; raises PastUnreadable. Only the readings must be there."""
    series = _read_series(directory, mapping)
    if not series:
        raise PastUnreadable(f"{mapping.readings.file}: it holds no reading.")
    kinds = dict.fromkeys(sorted({one.machine for one in series}), "")
    machines = _read(directory, mapping.machines, mapping, [mapping.machines.kind], has_time=False)
    if machines is not None:
        told = zip(machines["machine"], machines[mapping.machines.kind], strict=True)
        kinds |= {machine: kind for machine, kind in told if machine in kinds}
    occurrences = {
        "events": (mapping.events, mapping.events.code),
        "failures": (mapping.failures, mapping.failures.mode),
        "maintenance": (mapping.maintenance, mapping.maintenance.part),
    }
    past = Past(kinds=kinds, series=series)
    for name, (table, what) in occurrences.items():
        told = _read_occurrences(directory, table, mapping, what)
        strange = [one for one in told if one.machine not in kinds]
        known = [one for one in told if one.machine in kinds]
        outside = sum(not past.begins_us <= one.at_us <= past.ends_us for one in known)
        if strange:
            machines_told = ", ".join(sorted({one.machine for one in strange})[:10])
            past.left_out.append(
                f"{table.file}: {len(strange)} of machines without readings: {machines_told}."
            )
        if outside:
            past.left_out.append(f"{table.file}: {outside} before the first reading or after the last.")
        getattr(past, name).extend(known)
    return past


def _read_series(directory: Path, mapping: Mapping) -> list[Series]:
    table = mapping.readings
    frame = _read(directory, table, mapping, list(table.sensors))
    if frame is None:
        found = ", ".join(sorted(path.name for path in directory.iterdir())[:10]) or "nothing"
        raise PastUnreadable(
            f"{table.file}: there is no such file, and without readings nothing can be noticed. There is {found}; a "
            f"{MAPPING_FILE} beside it tells of other names."
        )
    names = list(table.sensors) or [name for name in frame.columns if name not in {"machine", "ts_us"}]
    frame = frame.sort_values(["machine", "ts_us"], kind="stable").drop_duplicates(
        ["machine", "ts_us"], keep="last"
    )
    if _separator(directory / table.file) == ";":
        # Where semicolons part the cells, commas part the decimals.
        frame[names] = frame[names].apply(lambda column: column.str.replace(",", ".", regex=False))
    if table.missing:
        frame[names] = frame[names].replace(list(table.missing), "")
    groups = frame.groupby("machine", sort=True)
    if len(groups) * len(names) > MOST_SENSORS:
        raise PastUnreadable(f"{table.file}: it holds more than {MOST_SENSORS:,} sensors.")
    series = []
    for machine, rows in groups:
        for name in names:
            values = _numbers(rows[name], table.file, name)
            is_there = np.isfinite(values)
            if is_there.any():
                ts_us = rows["ts_us"].to_numpy(dtype=np.int64)[is_there]
                series.append(Series(str(machine), name, ts_us, values[is_there]))
    return series


def _numbers(column: pd.Series, file: str, name: str) -> NDArray[np.float64]:
    try:
        return pd.to_numeric(column.replace("", None)).to_numpy(dtype=np.float64)
    except (ValueError, TypeError):
        row, wrong = next(
            ((row, text) for row, text in column.items() if text and not _is_number(text)), (0, "something")
        )
        raise PastUnreadable(
            f"{file}, row {row + 1} of the data: the column {name!r} holds {wrong!r}, which is no number. In "
            f"{MAPPING_FILE}, sensors names the columns that are, and missing the words that mean no reading."
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_occurrences(directory: Path, table: Any, mapping: Mapping, what: str) -> list[Occurrence]:
    frame = _read(directory, table, mapping, [what])
    if frame is None:
        return []

    def words(name: str) -> Callable[[int], str]:
        column = getattr(table, name, "")
        values = frame[column].tolist() if column in frame else None
        return lambda row: "" if values is None else values[row]

    kind, message = words("kind"), words("message")
    rows = zip(frame["ts_us"].tolist(), frame["machine"], frame[what], strict=True)
    found = {
        Occurrence(int(ts_us), machine, code[:MAX_CODE], kind(row), message(row))
        for row, (ts_us, machine, code) in enumerate(rows)
    }
    return sorted(found, key=lambda one: (one.at_us, one.machine, one.what))


def _read(
    directory: Path, table: Table, mapping: Mapping, wanted: list[str], *, has_time: bool = True
) -> pd.DataFrame | None:
    """The file's rows as text, with `machine` and, in microseconds since 1970, `ts_us`; None where there is no file."""
    path = directory / table.file
    if not path.is_file():
        return None
    try:
        # As it stands: what is packed could be without end.
        frame = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            compression=None,
            sep=_separator(path),
        )
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise PastUnreadable(f"{table.file}: {error}") from error
    needed = [table.machine, *([table.time] if has_time else []), *wanted]
    if missing := [name for name in needed if name not in frame.columns]:
        found = ", ".join(map(str, frame.columns[:20]))
        raise PastUnreadable(f"{table.file} has no column {missing[0]!r}. It has: {found}.")
    frame = frame.rename(columns={table.machine: "machine"})
    frame["machine"] = frame["machine"].str.strip()
    if (frame["machine"].str.len() > MAX_TAG).any() or (frame["machine"] == "").any():
        raise PastUnreadable(f"{table.file}: a machine's name has 1 to {MAX_TAG} characters.")
    if has_time:
        frame["ts_us"] = _moments(frame.pop(table.time), table.file, mapping)
    return frame


def _separator(path: Path) -> str:
    """A comma or a semicolon, whichever the header has more of."""
    with path.open("rb") as file:
        header = file.readline(MOST_HEADER)
    return ";" if header.count(b";") > header.count(b",") else ","


def _moments(column: pd.Series, file: str, mapping: Mapping) -> NDArray[np.int64]:
    """Times without an offset are taken in the mapping's zone, the first of an hour that repeats."""
    column = column.str.strip()
    has_offset = column.str.contains(OFFSET)
    if has_offset.any() and not has_offset.all():
        raise PastUnreadable(f"{file}: some times have an offset and some have none.")
    try:
        moments = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=has_offset.all() or None)
    except ValueError as error:
        raise PastUnreadable(f"{file}: its times cannot be read together: {error}") from error
    is_unread = moments.isna()
    if is_unread.any():
        raise _unreadable(file, column, is_unread, "cannot be read as a time such as 2026-11-22 10:00:00")
    is_far = ~moments.dt.year.between(*YEARS)
    if is_far.any():
        raise _unreadable(file, column, is_far, f"is not between the years {YEARS[0]} and {YEARS[1]}")
    if moments.dt.tz is None:
        is_first = np.ones(len(moments), dtype=bool)
        moments = moments.dt.tz_localize(mapping.zone, ambiguous=is_first, nonexistent="shift_forward")
    return moments.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)


def _unreadable(file: str, column: pd.Series, is_wrong: pd.Series, words: str) -> PastUnreadable:
    row = int(is_wrong.to_numpy().argmax())
    return PastUnreadable(f"{file}, row {row + 1} of the data: {column.iloc[row]!r} {words}.")
