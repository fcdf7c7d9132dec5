"""The rules of `fields` and `timestamps` over whole columns at once, for formats that can read a body that way.

One value to refuse spoils the column: which row it stands in is found out by going through the rows one by one, so a
format keeps that way beside this one, and both must read the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sensors.ingest.fields import BAD, GOOD, LARGEST, quality_code, sensor_key, unit_code
from sensors.ingest.parsed import ParsedReadings, ReadingRows, RowProblem, from_columns, numbered
from sensors.ingest.timestamps import timestamps_us


def parse_columns(
    *,
    keys: Sequence[str],
    timestamps: Sequence[str | int | float],
    values: npt.NDArray[np.float64],
    qualities: list[str | None],
    units: list[str | None],
    zone: ZoneInfo | None,
    index: npt.NDArray[np.int64] | None = None,
    historical: bool = False,
) -> ParsedReadings:
    """The readings of columns of one length, as they were written; `values` are NaN where there is none.

    Raises `RowProblem`, which tells no row, where any of them is to be refused.
    """
    quality = _quality_codes(qualities)
    _check_values(values, quality)
    parsed = from_columns(
        keys=keys,
        ts_us=timestamps_us(timestamps, zone=zone),
        values=values,
        quality=quality,
        units=None if units.count(None) == len(units) else units,
        index=index,
        historical=historical,
    )
    for key in parsed.keys:
        sensor_key(key)
    for unit in parsed.units:
        unit_code(unit)
    return parsed


def _quality_codes(words: list[str | None]) -> npt.NDArray[np.int8]:
    if words.count(None) == len(words):
        return np.full(len(words), GOOD, dtype=np.int8)
    distinct, of_row = numbered(words)
    return np.array([quality_code(word) for word in distinct], dtype=np.int8)[of_row]


def _check_values(values: npt.NDArray[np.float64], quality: npt.NDArray[np.int8]) -> None:
    acceptable = (np.abs(values) <= LARGEST) | (np.isnan(values) & (quality == BAD))
    if not acceptable.all():
        raise RowProblem("invalid_value", "One of the values is missing or too large.")


def joined(parts: Sequence[ParsedReadings]) -> ParsedReadings:
    """Parts of one request, in their order, as one; of none, no readings."""
    if len(parts) < 2:
        return parts[0] if parts else ReadingRows().finish(historical=False)
    keys: dict[str, int] = {}
    units: dict[str | None, int] = {}
    key_of_row = [_renumbered(part.keys, part.key_of_row, keys) for part in parts]
    unit_of_row = [_renumbered(part.units, part.unit_of_row, units) for part in parts]
    rows_before = np.cumsum([0, *(len(part.index) for part in parts)]).tolist()
    return ParsedReadings(
        index=np.concatenate([part.index for part in parts]),
        keys=list(keys),
        key_of_row=np.concatenate(key_of_row),
        ts_us=np.concatenate([part.ts_us for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        quality=np.concatenate([part.quality for part in parts]),
        units=list(units),
        unit_of_row=np.concatenate(unit_of_row),
        historical=any(part.historical for part in parts),
        refusals=[
            replace(refusal, row=refusal.row + before) if refusal.row >= 0 else refusal
            for part, before in zip(parts, rows_before, strict=False)
            for refusal in part.refusals
        ],
        again_us=None
        if all(part.again_us is None for part in parts)
        else np.concatenate([part.ts_us if part.again_us is None else part.again_us for part in parts]),
    )


def _renumbered(
    distinct: Sequence[Any], of_row: npt.NDArray[np.int64], numbers: dict[Any, int]
) -> npt.NDArray[np.int64]:
    """The rows' numbers among all parts' values; `numbers` takes in those that are new."""
    place = [numbers.setdefault(value, len(numbers)) for value in distinct]
    return np.array(place, dtype=np.int64)[of_row]
