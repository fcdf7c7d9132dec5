"""Readings as arrays, and the moments of time among them."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

APART_US = 3_600_000_000
"""Readings of a sensor so far from one another are two spans: an hour's readings cost little to be counted anew."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Readings as parallel arrays of one length, one row per (sensor, ts), sorted by both.

    `ts_us` are microseconds since 1970 (UTC).
    """

    sensor_ids: npt.NDArray[np.int64]
    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ts_us)

    def __getitem__(self, which: slice | npt.NDArray) -> "Rows":
        return Rows(self.sensor_ids[which], self.ts_us[which], self.values[which], self.quality[which])

    def boundaries(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First and last row of each sensor."""
        starts = np.flatnonzero(np.diff(self.sensor_ids, prepend=-1))
        return starts, np.append(starts, len(self))[1:] - 1

    def spans(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First and last row of each run of a sensor's readings that are no more than `APART_US` apart."""
        begins = np.diff(self.sensor_ids, prepend=-1) != 0
        begins[1:] |= np.diff(self.ts_us) > APART_US
        starts = np.flatnonzero(begins)
        return starts, np.append(starts, len(self))[1:] - 1

    def by_sensor(self) -> dict[int, "Rows"]:
        first, last = self.boundaries()
        return {
            int(self.sensor_ids[begin]): self[begin : end + 1]
            for begin, end in zip(first.tolist(), last.tolist(), strict=True)
        }


NO_ROWS = Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int8))


def moment(us: int) -> datetime:
    """An aware datetime of epoch microseconds, exact."""
    seconds, microseconds = divmod(int(us), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def microseconds(at: datetime) -> int:
    """Epoch microseconds of an aware datetime, exact."""
    whole = at.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * 1_000_000 + whole.microsecond
