"""Changes faster than people say the quantity can change: the instrument's, so they are told and put aside.

A reading is held against the last one of an earlier minute, over the time between the two, a minute at least. So a
gap allows what it has time for, the noise of a sensor that sends each second is no change, and what is steep is
seen in however many steps it comes. A level is believed again when it holds: by the third reading in a row, a minute
or more after the last that was too fast, wherever that level is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.detection.cycle import Bools, Floats
from sensors.detection.excursions import SIGN, Direction, Excursion, score_at
from sensors.detection.following import add_once
from sensors.detection.readings import UNCERTAIN_WEIGHT, Readings, differs

MINUTE_US = 60_000_000
_HELD_READINGS = 3

_SEEN = np.dtype([("us", "i8"), ("value", "f8"), ("is_uncertain", "?")])


class Seen(msgspec.Struct, array_like=True):
    """A reading that another is held against; without a number there is none."""

    us: int = 0
    value: float = float("nan")
    is_uncertain: bool = False


class Pace(msgspec.Struct, array_like=True):
    """How a sensor moved: its `last` reading, and the last one of an `earlier` minute than that.

    While it is not believed: the excursion, its greatest change in units of what was possible, the last reading that
    was too fast, and how many came from there on.
    """

    last: Seen
    earlier: Seen
    excursion: Excursion | None = None
    strength: float = 0.0
    fast_us: int = 0
    held: int = 0


class Paced(NamedTuple):
    """Which readings are believed, shape (k,), the excursions that changed, by sensor, and a score each reading."""

    is_believed: Bools
    touched: list[list[Excursion]]
    scores: Floats


class _Changes(NamedTuple):
    """How far readings have come, arrays of shape (k,): in units of what was possible, negative downwards, whether
    that is too far, and the furthest possible value.
    """

    strength: Floats
    is_fast: Bools
    furthest: Floats


def follow_pace(
    paces: Sequence[Pace], readings: Readings, most_per_minute: Floats, *, give_in_us: float
) -> Paced:
    """Move `paces`, one a sensor, through readings; `most_per_minute`, shape (m,), is what each may change.

    Where that is infinite the next reading is believed, whatever was before. So is what was told for `give_in_us`.
    """
    count = len(readings.of)
    paced = Paced(np.ones(count, bool), [[] for _ in paces], np.zeros(count))
    if not count:
        return paced
    before = _held_against(paces, readings)
    changes = _measure(before, readings, most_per_minute)
    starts = np.flatnonzero(differs(readings.of))
    ends = np.append(starts[1:], count)
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        sensor = int(readings.of[first])
        pace = paces[sensor]
        # Only sensors that move too fast, or did, are followed reading by reading.
        if pace.excursion is not None or changes.is_fast[first:last].any():
            patience_us = 0.0 if np.isinf(most_per_minute[sensor]) else give_in_us
            _walk(pace, readings, changes, range(first, last), paced, patience_us)
        pace.last = _seen(readings, last - 1)
        pace.earlier = Seen(*before[last - 1].tolist())
    return paced


def _held_against(paces: Sequence[Pace], readings: Readings) -> npt.NDArray[Any]:
    """For each reading the last one of an earlier minute, shape (k,), of the dtype `_SEEN`."""
    of, minute = readings.of, readings.ts_us // MINUTE_US
    seen = np.empty(len(of), _SEEN)
    seen["us"], seen["value"], seen["is_uncertain"] = readings.ts_us, readings.values, readings.is_uncertain
    last, earlier = (
        np.array([(one.us, one.value, one.is_uncertain) for one in series], _SEEN)
        for series in ([pace.last for pace in paces], [pace.earlier for pace in paces])
    )
    known = np.where(last["us"][of] // MINUTE_US == minute, earlier[of], last[of])
    is_first = differs(of)
    begin = np.maximum.accumulate(np.where(is_first | differs(minute), np.arange(len(of)), 0))
    return np.where(is_first[begin], known, seen[begin - 1])


def _measure(before: npt.NDArray[Any], readings: Readings, most_per_minute: Floats) -> _Changes:
    minutes = np.maximum((readings.ts_us - before["us"]) / MINUTE_US, 1.0)
    weight = np.where(readings.is_uncertain | before["is_uncertain"], UNCERTAIN_WEIGHT, 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        change = readings.values - before["value"]
        possible = most_per_minute[readings.of] * minutes / weight
        furthest = before["value"] + np.copysign(possible, change)
        return _Changes(change / possible, abs(change) > possible, furthest)


def _seen(readings: Readings, row: int) -> Seen:
    return Seen(int(readings.ts_us[row]), float(readings.values[row]), bool(readings.is_uncertain[row]))


def _walk(
    pace: Pace, readings: Readings, changes: _Changes, rows: range, paced: Paced, patience_us: float
) -> None:
    """Take the readings of one sensor one by one."""
    for row in rows:
        at_us = int(readings.ts_us[row])
        if changes.is_fast[row]:
            value, furthest = float(readings.values[row]), float(changes.furthest[row])
            paced.scores[row] = _take_fast(pace, at_us, value, furthest, float(changes.strength[row]))
        if (excursion := pace.excursion) is not None:
            add_once(paced.touched[readings.of[row]], excursion)
            paced.is_believed[row] = _is_over(pace, excursion, at_us, patience_us)


def _take_fast(pace: Pace, at_us: int, value: float, furthest: float, strength: float) -> float:
    """A reading that was too fast, `furthest` being what it could have come to; its score if that is news."""
    direction: Direction = "high" if strength > 0 else "low"
    pace.fast_us, pace.held = at_us, 0
    is_news = pace.excursion is None
    if pace.excursion is None:
        pace.strength = 0.0
        pace.excursion = Excursion(
            kind="profile",
            direction=direction,
            started_us=at_us,
            noticed_us=at_us,
            peak_us=at_us,
            peak_value=value,
            expected=furthest,
            score=0.0,
            pattern="rate",
        )
    excursion = pace.excursion
    if SIGN[excursion.direction] * strength > pace.strength:
        pace.strength = abs(strength)
        excursion.peak_us, excursion.peak_value, excursion.expected = at_us, value, furthest
        excursion.score = score_at(pace.strength)
    return excursion.score if is_news else 0.0


def _is_over(pace: Pace, excursion: Excursion, at_us: int, patience_us: float) -> bool:
    """Whether a reading of the excursion is believed again, which ends it."""
    pace.held += 1
    holds = pace.held >= _HELD_READINGS and at_us - pace.fast_us >= MINUTE_US
    if not holds and at_us - excursion.started_us < patience_us:
        return False
    excursion.ended_us, pace.excursion = at_us, None
    return True
