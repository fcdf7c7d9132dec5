"""An excursion: a span of time in which a sensor was beyond a limit, or unlike itself."""

from typing import Literal

import msgspec

Kind = Literal["limit", "profile"]
Direction = Literal["high", "low"]
# What an excursion of kind "profile" looks like: a few readings that came and went; a new level; a level that moves
# away slowly; more or less noise than usual; a value that is usual at another hour; always the same value; a change
# that is faster than people say it can be.
Pattern = Literal["", "spike", "shift", "drift", "noise", "course", "stuck", "rate"]

SIGN: dict[str, float] = {"high": 1.0, "low": -1.0}


class Excursion(msgspec.Struct, array_like=True):
    """One excursion as far as it is known; times in microseconds since 1970 UTC, values in the sensor's unit.

    `excursion_id` counts a sensor's excursions from 1 in the order in which they were noticed.
    `started_us` is the first reading that was beyond, `noticed_us` the one at which that was certain enough,
    `ended_us` the first reading back, or None while open. `level` is the outermost limit reached
    ("" of kind "profile"), `pattern` what it looks like ("" of kind "limit"). `expected` is the limit's value,
    or what the profile expected at the peak. Of noise, peak and expected are distances between readings; of a rate,
    expected is the furthest that the peak could have come. What began with the last hours starts at a full hour,
    and its peak is the mean of an hour; with the last day, the mean of 24.
    `score`, in [0, 1], rises with the distance of the peak from it.
    """

    kind: Kind
    direction: Direction
    started_us: int
    noticed_us: int
    peak_us: int
    peak_value: float
    expected: float
    score: float
    level: str = ""
    pattern: Pattern = ""
    ended_us: int | None = None
    excursion_id: int = 0


def score_at(strength: float) -> float:
    """.5 at the threshold, .75 at twice and .875 at three times it."""
    return 1 - 0.5**strength
