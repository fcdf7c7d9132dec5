"""The hour that repeats when clocks go back: which of its two passes a local time without an offset is of.

`timestamps` reads such a time as of the first pass and tells the second (`ParsedReadings.again_us`). What a time cannot
tell by itself, the order of its sensor's readings does, and of what has just come the time of its arrival.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sensors.ingest.parsed import ParsedReadings

LEEWAY_US = 60_000_000
"""How far a device's clock may run ahead of ours for a reading to be of the second pass by its arrival."""
SLACK = 0.1
"""How far steps of one sensor may differ and still count as the same, as a share of what repeats."""
RECENT_US = 6 * 3_600_000_000
"""How far back the reading before may lie for it to tell anything: what is further off is of another year, say."""


@dataclass(slots=True)
class _Course:
    """How far one sensor's readings have come: as they were written, read as of the first pass."""

    last_us: int | None = None
    furthest_us: int = 0
    """Of those of the hour."""
    step_us: int = 0
    """To the last one of the hour from the furthest before it; 0 where that is not recent, or later."""
    is_repeated: bool = False
    is_second: bool = False

    def pass_by(self, at_us: int) -> None:
        """Go on to a time that occurs once; one that is late may stand between those of the hour without ending it."""
        late_us = 0 if self.last_us is None else self.last_us - at_us
        if self.last_us is None or late_us < 0 or (late_us > RECENT_US and not self.is_repeated):
            self.last_us, self.is_repeated, self.is_second = at_us, False, False

    def enter(self, at_us: int) -> None:
        """Go on to the first time of the hour."""
        step_us = at_us - self.last_us if self.last_us is not None else 0
        self.step_us = step_us if 0 < step_us <= RECENT_US else 0
        self.last_us = self.furthest_us = at_us
        self.is_repeated, self.is_second = True, False

    def step_to(self, at_us: int) -> None:
        """Go on to another time of the hour."""
        self.step_us = max(0, at_us - self.furthest_us)
        self.last_us, self.furthest_us = at_us, max(at_us, self.furthest_us)

    def tells_second(self, back_us: int, length_us: int) -> bool:
        """Whether a step back from the last time tells the second pass of an hour that is `length_us` long."""
        if back_us == 0:
            return self.step_us >= (1 - SLACK) * length_us
        as_before = abs(length_us - back_us - self.step_us) <= SLACK * length_us
        return 2 * back_us >= length_us or (back_us > 0 and as_before)


def resolve_request(parsed: ParsedReadings, *, arrived_us: int) -> ParsedReadings:
    """The readings of one request with their moments; `arrived_us` in microseconds since 1970 in UTC.

    What has just come is not of a pass that had not come by then; and where all that a request has of a sensor lies in
    the hour or behind it, without a step back, it is of the pass nearest to the arrival. Of old data only the order
    tells.
    """
    return RepeatedHour()._resolve(parsed, None if parsed.historical else arrived_us)


class RepeatedHour:
    """Tells the two passes apart in the parts of a file, which come in order.

    Of each sensor's readings, those are of the second pass that come after its local time steps back

    - by at least half of what repeats;
    - by less, where that comes to the step before it, as it does of one that sends every 40 minutes; or
    - by nothing, the same time again, where it sends by the hour or slower.

    Without such a step they are of the first: so are those of a sensor that sends every 90 minutes, whose local time
    only steps forward by less.
    """

    def __init__(self) -> None:
        self._courses: defaultdict[str, _Course] = defaultdict(_Course)

    def resolve(self, parsed: ParsedReadings) -> ParsedReadings:
        """The same readings with their moments.

        Every part is to be given, also those outside the hour: where it begins, the time before tells how often a
        sensor sends.
        """
        resolved = self._resolve(parsed, None)
        if parsed.again_us is None:
            self._pass_by(parsed)
        return resolved

    def _pass_by(self, parsed: ParsedReadings) -> None:
        last_row = np.full(len(parsed.keys), -1)
        last_row[parsed.key_of_row] = np.arange(
            len(parsed.key_of_row)
        )  # of several for one key the last stays
        for key, row in zip(parsed.keys, last_row.tolist(), strict=True):
            if row >= 0:
                self._courses[key].pass_by(int(parsed.ts_us[row]))

    def _resolve(self, parsed: ParsedReadings, arrived_us: int | None) -> ParsedReadings:
        if parsed.again_us is None:
            return parsed
        latest_us = np.iinfo(np.int64).max if arrived_us is None else arrived_us + LEEWAY_US
        ts_us = parsed.ts_us.copy()
        is_repeated = parsed.again_us != parsed.ts_us
        in_order = np.argsort(parsed.key_of_row, kind="stable")
        borders = np.flatnonzero(np.diff(parsed.key_of_row[in_order])) + 1
        for rows in np.split(in_order, borders):
            course = self._courses[parsed.keys[parsed.key_of_row[rows[0]]]]
            if not is_repeated[rows].any():
                course.pass_by(int(parsed.ts_us[rows[-1]]))
            else:
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
            course.pass_by(at_us)
            continue
        if not course.is_repeated or course.last_us is None or abs(at_us - course.last_us) >= length_us:
            course.enter(at_us)
        else:
            if later_us <= latest_us:
                course.is_second |= course.tells_second(course.last_us - at_us, length_us)
            course.step_to(at_us)
        is_second[row] = course.is_second
    return is_second


def _just_came(
    first_us: npt.NDArray[np.int64], again_us: npt.NDArray[np.int64], latest_us: int
) -> npt.NDArray[np.bool_]:
    """All repeated rows of one sensor where the second pass had come for all, and none leads up to the first."""
    is_repeated = again_us != first_us
    leads_up = (first_us < first_us[is_repeated].min()).any()
    return is_repeated & bool(not leads_up and again_us[is_repeated].max() <= latest_us)
