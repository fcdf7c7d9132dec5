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

    def pass_on(self, at_us: int, step_us: int = 0) -> None:
        """Come to a time that occurs once; `step_us` from the one before, where that was not told here."""
        self.step_us = step_us or (at_us - self.last_us if self.last_us is not None else 0)
        self.last_us, self.is_repeated, self.is_second = at_us, False, False


class RepeatedHour:
    """Tells the two passes apart in the parts of a file, or in a request, which come in order.

    Of each sensor's readings, those are of the second pass that come after its local time steps back: by at least half
    of what repeats, or by so much that, with the hour that went by unseen, as long has passed as between the two
    readings before. So one that sends every 40 minutes, or by the hour, is told apart too. Without such a step they
    are of the first.

    With `arrived_us` (of a live request) none is of a pass that had not come by then; and where all that a request has
    of a sensor lies in the hour or behind it, without a step back, it is of the pass nearest to the arrival.
    """

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def resolve_part(self, parsed: ParsedReadings) -> ParsedReadings:
        """As `resolve`, of the next part of a file: how far each sensor has come is remembered for the next one."""
        resolved = self.resolve(parsed)
        in_order = np.argsort(parsed.key_of_row, kind="stable")
        ends = np.flatnonzero(np.diff(parsed.key_of_row[in_order], append=-1))
        last, before = in_order[ends], in_order[np.maximum(ends - 1, 0)]
        steps_us = np.where(
            parsed.key_of_row[before] == parsed.key_of_row[last], parsed.ts_us[last] - parsed.ts_us[before], 0
        )
        told = zip(
            parsed.key_of_row[last].tolist(), parsed.ts_us[last].tolist(), steps_us.tolist(), strict=True
        )
        for number, at_us, step_us in told:
            course = self._courses.setdefault(parsed.keys[number], _Course())
            if course.last_us is None or at_us > course.last_us:
                course.pass_on(at_us, step_us)
        return resolved

    def resolve(self, parsed: ParsedReadings, *, arrived_us: int | None = None) -> ParsedReadings:
        """The same readings with their moments; `arrived_us` in microseconds since 1970 in UTC.

        Of readings that are `historical` the arrival tells nothing.
        """
        if parsed.again_us is None:
            return parsed
        if parsed.historical:
            arrived_us = None
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
                course.pass_on(at_us)
            continue
        if not course.is_repeated or course.last_us is None or abs(at_us - course.last_us) >= length_us:
            course.pass_on(at_us)
            course.is_repeated = True
        elif at_us > course.last_us:
            # One that keeps no interval has none that could tell.
            forward_us = at_us - course.last_us
            course.step_us = forward_us if 5 * abs(forward_us - course.step_us) <= forward_us else 0
        elif later_us <= latest_us:
            back_us = course.last_us - at_us
            is_in_step = course.step_us <= length_us <= back_us + course.step_us
            course.is_second |= is_in_step or 2 * back_us >= length_us
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
