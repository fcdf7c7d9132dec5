"""What every wire format yields: the readings of a request as parallel arrays, and what was refused and why."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

MAX_READINGS = 10_000
MAX_RAW = 500


class MalformedBody(ValueError):
    """The request body as a whole cannot be read; no row of it was looked at."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class TooManyReadings(ValueError):
    """The request holds more than `most` readings."""

    code = "too_many"

    def __init__(self, most: int = MAX_READINGS) -> None:
        self.detail = f"A request holds at most {most:,} readings; send them in several requests."
        super().__init__(self.detail)


class RowProblem(ValueError):
    """One row cannot be accepted; the rows around it are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Repeated(int):
    """The first moment of a local time that occurs twice, in microseconds since 1970; `again_us` is the second."""

    again_us: int

    def __new__(cls, first_us: int, again_us: int) -> Self:
        repeated = super().__new__(cls, first_us)
        repeated.again_us = again_us
        return repeated


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that was not accepted: its place in the request, a stable code, and words for a person.

    `raw` is how it was written (at most `MAX_RAW` characters) where its fields could not be read; `row` is its
    position in the arrays where they could, else -1.
    """

    index: int
    code: str
    detail: str
    raw: str = ""
    row: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class ParsedReadings:
    """The readings of one request. The arrays have shape (readings,), in the order of the request.

    `index` (int64) is each reading's place in the request as its format counts (rows from 0, lines from 1); readings
    of one line share it. `keys` are the distinct sensor keys, and `key_of_row` (int64) points into them; `units` (None
    is the sensor's own) and `unit_of_row` likewise. `ts_us` (int64) is in microseconds since 1970 in UTC; `values`
    (float64) are NaN where a bad reading has none; `quality` (int8) as in `fields`. `received` counts the refused too.

    Where local times occur twice, `ts_us` is the first moment and `again_us` the second, the same for all other rows,
    until `RepeatedHour` has told them apart; without such times it is None. `precision` is the unit of the timestamps
    where the sender named one, as with line protocol.
    """

    index: npt.NDArray[np.int64]
    keys: list[str]
    key_of_row: npt.NDArray[np.int64]
    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    units: list[str | None]
    unit_of_row: npt.NDArray[np.int64]
    historical: bool = False
    refusals: list[Refusal] = field(default_factory=list)
    again_us: npt.NDArray[np.int64] | None = None
    precision: str = ""

    @property
    def received(self) -> int:
        return len(self.index) + len(self.refusals)


def numbered(values: Sequence[Any]) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Distinct values in order of appearance, and each one's number among them."""
    if len(values) and values.count(values[0]) == len(values):
        return [values[0]], np.zeros(len(values), dtype=np.int64)
    numbers: defaultdict[Any, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    of_row = np.fromiter(map(numbers.__getitem__, values), dtype=np.int64, count=len(values))
    return list(numbers), of_row


def from_columns(
    *,
    keys: Sequence[str],
    ts_us: Sequence[int] | npt.NDArray[np.int64],
    values: Sequence[float] | npt.NDArray[np.float64],
    quality: Sequence[int] | npt.NDArray[np.int8] | None = None,
    units: Sequence[str | None] | None = None,
    index: Sequence[int] | npt.NDArray[np.int64] | None = None,
    historical: bool = False,
    refusals: list[Refusal] | None = None,
) -> ParsedReadings:
    """`ParsedReadings` of columns of one length that were checked by the rules of `fields`."""
    count = len(ts_us)
    distinct_keys, key_of_row = numbered(keys)
    distinct_units, unit_of_row = numbered([None] * count if units is None else units)
    return ParsedReadings(
        index=np.arange(count) if index is None else np.asarray(index, dtype=np.int64),
        keys=distinct_keys,
        key_of_row=key_of_row,
        ts_us=np.asarray(ts_us, dtype=np.int64),
        values=np.asarray(values, dtype=np.float64),
        quality=np.zeros(count, np.int8) if quality is None else np.asarray(quality, dtype=np.int8),
        units=distinct_units,
        unit_of_row=unit_of_row,
        historical=historical,
        refusals=refusals or [],
    )


@dataclass(slots=True)
class ReadingRows:
    """Collects readings while a format walks through its body, then turns them into `ParsedReadings`."""

    index: list[int] = field(default_factory=list)
    rows: list[tuple[str, int, float, int, str | None]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.refusals)

    def accept(
        self, index: int, sensor_key: str, ts_us: int, value: float, quality: int, unit: str | None
    ) -> None:
        self.index.append(index)
        self.rows.append((sensor_key, ts_us, value, quality, unit))

    def refuse(self, index: int, problem: RowProblem, *, raw: str | bytes = "") -> None:
        """`raw`: the row as it was sent."""
        self.refusals.append(Refusal(index, problem.code, problem.detail, raw=readable(raw)))

    def finish(self, *, historical: bool) -> ParsedReadings:
        keys, ts_us, values, quality, units = zip(*self.rows, strict=True) if self.rows else ((),) * 5
        again_us = None
        if Repeated in set(map(type, ts_us)):
            again_us = np.array([getattr(one, "again_us", one) for one in ts_us], dtype=np.int64)
        parsed = from_columns(
            index=self.index,
            keys=keys,
            ts_us=ts_us,
            values=values,
            quality=quality,
            units=units,
            historical=historical,
            refusals=self.refusals,
        )
        return parsed if again_us is None else replace(parsed, again_us=again_us)


def readable(raw: str | bytes) -> str:
    """The beginning of what was sent, as text that a database takes."""
    text = raw[: 4 * MAX_RAW].decode(errors="replace") if isinstance(raw, bytes) else raw
    return text[:MAX_RAW].replace("\0", "�").encode("utf-8", "replace").decode()
