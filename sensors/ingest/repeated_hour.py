"""The hour that repeats when clocks go back: which of its two passes a local time without an offset is of.

`timestamps` reads such a time as of the first pass and tells the second (`ParsedReadings.again_us`). What a time cannot
tell by itself, the order of its sensor's readings does, and of what has just come the time of its arrival.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sensors.ingest.parsed import ParsedReadings

LEEWAY_US = 60_000_000
"""How far a device's clock may run ahead of ours for a reading to be of the second pass by its arrival."""


@dataclass(slots=True)
class _Course:
    """How far one sensor's readings have come: as they were written, read as of the first pass."""

    last_us: int | None = None
    step_us: int = 0
    """From the time before to the last one."""
    is_repeated: bool = False
    is_second: bool = False


class RepeatedHour:
    """Tells the two passes apart in the parts of a file, or in a request, which come in order.

    Of each sensor's readings, those are of the second pass that come after its local time steps back by at least half
    of what repeats, or that have the same time again where it sends by the hour or slower. Without such a step they
    are of the first.

    With `arrived_us` (of a live request) none is of a pass that had not come by then; and where all that a request has
    of a sensor lies in the hour or behind it, without a step back, it is of the pass nearest to the arrival.
    """

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def resolve(self, parsed: ParsedReadings, *, arrived_us: int | None = None) -> ParsedReadings:
        """The same readings with their moments; `arrived_us` in microseconds since 1970 in UTC."""
        if parsed.again_us is None:
            return parsed
        latest_us = np.iinfo(np.int64).max if arrived_us is None else arrived_us + LEEWAY_US
        ts_us = parsed.ts_us.copy()
        is_repeated = parsed.again_us != parsed.ts_us
        in_order = np.argsort(parsed.key_of_row, kind="stable")
        borders = np.flatnonzero(np.diff(parsed.key_of_row[in_order])) + 1
        for rows in np.split(in_order, borders):
            if is_repeated[rows].any():
                course = self._courses.setdefault(parsed.keys[parsed.key_of_row[rows[0]]], _Course())
                first_us, again_us = parsed.ts_us[rows], parsed.again_us[rows]
                is_second = _second_pass(course, first_us, again_us, latest_us)
                if arrived_us is not None and not is_second.any():
                    is_second = _just_came(first_us, again_us, latest_us)
                ts_us[rows[is_second]] = again_us[is_second]
        return replace(parsed, ts_us=ts_us, again_us=None)


def _second_pass(
    course: _Course, first_us: npt.NDArray[np.int64], again_us: npt.NDArray[np.int64], latest_us: int
) -> npt.NDArray[np.bool_]:
    """Which of one sensor's rows are of the second pass by their order."""
    is_second = np.zeros(len(first_us), dtype=np.bool_)
    for row, (at_us, later_us) in enumerate(zip(first_us.tolist(), again_us.tolist(), strict=True)):
        length_us = later_us - at_us
        if not length_us:
            # One that is late may stand between those of the hour; what lies behind the hour ends it.
            if course.last_us is None or at_us > course.last_us:
                course.step_us = at_us - course.last_us if course.last_us is not None else 0
                course.last_us, course.is_repeated, course.is_second = at_us, False, False
            continue
        if not course.is_repeated or course.last_us is None or abs(at_us - course.last_us) >= length_us:
            course.step_us = at_us - course.last_us if course.last_us is not None else 0
            course.is_repeated, course.is_second = True, False
        elif later_us <= latest_us:
            is_again = at_us == course.last_us and course.step_us >= length_us
            course.is_second |= is_again or 2 * (course.last_us - at_us) >= length_us
        course.last_us = at_us
        is_second[row] = course.is_second
    return is_second


def _just_came(
    first_us: npt.NDArray[np.int64], again_us: npt.NDArray[np.int64], latest_us: int
) -> npt.NDArray[np.bool_]:
    """All repeated rows of one sensor where the second pass had come for all, and none leads up to the first."""
    is_repeated = again_us != first_us
    leads_up = (first_us < first_us[is_repeated].min()).any()
    return is_repeated & bool(not leads_up and again_us[is_repeated].max() <= latest_us)
