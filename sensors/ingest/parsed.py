"""What every wire format yields: accepted rows as parallel arrays, and the rows that were refused with the
reason.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MAX_READINGS = 10_000


class MalformedBody(ValueError):
    """The request body as a whole cannot be read; no row of it was looked at."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class TooManyReadings(ValueError):
    """The request holds more than `MAX_READINGS` readings."""

    code = "too_many"

    def __init__(self) -> None:
        self.detail = f"A request holds at most {MAX_READINGS:,} readings; send them in several requests."
        super().__init__(self.detail)


class RowProblem(ValueError):
    """One row cannot be accepted; the rows around it are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not accepted: its place in the request (from 0), a stable code, and words for a
    person.
    """

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class ParsedReadings:
    """The rows of one request. The arrays have shape (accepted,), in the order of the request.

    `index` (int64) is each row's place in the request, from 0; `sensor_keys` (object, str); `ts_us` (int64,
    microseconds since 1970 in UTC); `values` (float64, NaN where a bad reading has none); `quality` (int8,
    see `fields`); `units` (object, str or None for the sensor's own unit).
    """

    index: npt.NDArray[np.int64]
    sensor_keys: npt.NDArray[np.object_]
    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    units: npt.NDArray[np.object_]
    historical: bool
    received: int
    refusals: list[Refusal]


@dataclass(slots=True)
class ReadingRows:
    """Collects rows while a format walks through its body, then turns them into `ParsedReadings`."""

    index: list[int] = field(default_factory=list)
    rows: list[tuple[str, int, float, int, str | None]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def accept(
        self, index: int, sensor_key: str, ts_us: int, value: float, quality: int, unit: str | None
    ) -> None:
        self.index.append(index)
        self.rows.append((sensor_key, ts_us, value, quality, unit))

    def refuse(self, index: int, problem: RowProblem) -> None:
        self.refusals.append(Refusal(index, problem.code, problem.detail))

    def finish(self, *, historical: bool) -> ParsedReadings:
        keys, ts_us, values, quality, units = zip(*self.rows, strict=True) if self.rows else ((),) * 5
        return ParsedReadings(
            index=np.array(self.index, dtype=np.int64),
            sensor_keys=np.array(keys, dtype=object),
            ts_us=np.array(ts_us, dtype=np.int64),
            values=np.array(values, dtype=np.float64),
            quality=np.array(quality, dtype=np.int8),
            units=np.array(units, dtype=object),
            historical=historical,
            received=len(self.index) + len(self.refusals),
            refusals=self.refusals,
        )
