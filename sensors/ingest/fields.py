"""The rules for the fields of one reading, the same in every wire format. Each raises `RowProblem` on
refusal.
"""

import math
import re
from typing import Any

from sensors.ingest.parsed import RowProblem

GOOD, UNCERTAIN, BAD = 0, 1, 2
QUALITY_BY_WORD = {"good": GOOD, "uncertain": UNCERTAIN, "bad": BAD}

MAX_SENSOR_KEY = 200
MAX_UNIT = 40

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
LARGEST = 1e100
"""Nothing that is measured is larger; markers such as the largest float would overflow every mean."""

_NOT_FINITE = frozenset({"nan", "infinity", "+infinity", "-infinity"})


def sensor_key(raw: Any) -> str:
    """The sensor's key: 1 to 200 characters, none of them a control character (`invalid_sensor`)."""
    if not isinstance(raw, str):
        raise RowProblem("invalid_sensor", 'Every reading names its sensor: "sensor": "pump-7/vibration".')
    if not 1 <= len(raw) <= MAX_SENSOR_KEY or _CONTROL_CHARACTER(raw):
        raise RowProblem(
            "invalid_sensor", f"A sensor key has 1 to {MAX_SENSOR_KEY} characters without control characters."
        )
    return raw


def quality_code(raw: Any) -> int:
    """0 good, 1 uncertain, 2 bad; absent means good (`unknown_quality`)."""
    if raw is None:
        return GOOD
    if isinstance(raw, str):
        quality = QUALITY_BY_WORD.get(raw.lower())
        if quality is not None:
            return quality
        raise RowProblem("unknown_quality", 'Quality is "good", "uncertain" or "bad".')
    raise RowProblem(
        "unknown_quality",
        'Quality is "good", "uncertain" or "bad". A number alone is not understood: '
        "0 means good in OPC UA, and bad in OPC DA and Sparkplug.",
    )


def reading_value(raw: Any, *, quality: int) -> float:
    """The value as a float; NaN for null, "NaN" and the infinities, which only a bad reading may carry
    (`invalid_value`).
    """
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return _finite(raw)
    if raw is None or (isinstance(raw, str) and raw.lower() in _NOT_FINITE):
        if quality == BAD:
            return math.nan
        raise RowProblem("invalid_value", 'Only a reading of quality "bad" may come without a finite value.')
    raise RowProblem(
        "invalid_value", "The value must be a number, not text, true or false, a list or an object."
    )


def _finite(raw: int | float) -> float:
    # abs of an integer of any size compares exactly; NaN compares false.
    if not abs(raw) <= LARGEST:
        raise RowProblem("invalid_value", f"The value must lie between {-LARGEST:g} and {LARGEST:g}.")
    return float(raw)


def unit_code(raw: Any) -> str | None:
    """The unit's code as written, or None for the sensor's own unit (`unknown_unit`)."""
    if raw is None:
        return None
    if not isinstance(raw, str) or not 1 <= len(raw) <= MAX_UNIT or _CONTROL_CHARACTER(raw):
        raise RowProblem(
            "unknown_unit", 'The unit must be text such as "mm/s"; leave it out for the sensor\'s own.'
        )
    return raw
