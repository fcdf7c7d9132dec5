"""Checks over the rows of a whole request at once, when each row's sensor is known. Arrays have shape
(rows,).
"""

import numpy as np
import numpy.typing as npt

from sensors.ingest.fields import BAD
from sensors.ingest.line_grammar import likely_precision
from sensors.ingest.parsed import Refusal

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000

DEFAULT_WINDOW_PAST_US = 400 * DAY_US
DEFAULT_WINDOW_FUTURE_US = 10 * MINUTE_US


def refuse_outside_window(
    *,
    row: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
    ts_us: npt.NDArray[np.int64],
    window_from_us: int,
    window_to_us: int,
    precision: str = "",
) -> tuple[npt.NDArray[np.bool_], list[Refusal]]:
    """Which rows lie in the window of time (both ends included), and a `timestamp_out_of_range` for each other.

    `row` and `index` are their positions in the request's arrays and in the request. By default a caller takes
    `DEFAULT_WINDOW_PAST_US` before the wall clock to `DEFAULT_WINDOW_FUTURE_US` after it. `precision` is the unit that
    the sender named for its timestamps, if its protocol has one: a wrong one is the usual cause.
    """
    early = ts_us < window_from_us
    late = ts_us > window_to_us
    outside = np.flatnonzero(early | late)
    years = ts_us[outside].astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    refusals = [
        Refusal(
            int(index[number]),
            "timestamp_out_of_range",
            _outside_window(bool(early[number]), year, int(ts_us[number]), precision),
            row=int(row[number]),
        )
        for number, year in zip(outside.tolist(), years.tolist(), strict=True)
    ]
    return ~(early | late), refusals


def _outside_window(is_early: bool, year: int, ts_us: int, precision: str) -> str:
    """The same words for all rows of a year and cause, so that they are told once."""
    what = "is older than readings may be" if is_early else "lies in the future"
    likely = likely_precision(ts_us, precision) if precision else precision
    hint = (
        ""
        if likely == precision
        else f": is precision={likely} {'missing' if precision == 'ns' else 'meant'}?"
    )
    return f"The timestamp {what}; it reads as {year}{hint or '.'}"


def quality_by_physical_range(
    *,
    values: npt.NDArray[np.float64],
    quality: npt.NDArray[np.int8],
    physical_min: npt.NDArray[np.float64],
    physical_max: npt.NDArray[np.float64],
) -> npt.NDArray[np.int8]:
    """The quality of each row, bad where the value lies outside what the sensor can measure (NaN: no bound).

    Such a reading is stored and not refused: it says that the sensor or its wiring failed, and when. All
    in the sensor's unit.
    """
    outside = (values < physical_min) | (values > physical_max)
    return np.where(outside, np.int8(BAD), quality)


def keep_last(sensor_ids: npt.NDArray[np.int64], ts_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The positions of the rows to store, in order of sensor and time: of rows with the same the last one wins."""
    order = np.lexsort((ts_us, sensor_ids))  # stable: rows of the same sensor and time stay in the order sent
    ids, times = sensor_ids[order], ts_us[order]
    is_last = np.ones(len(order), dtype=np.bool_)
    is_last[:-1] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return order[is_last]
