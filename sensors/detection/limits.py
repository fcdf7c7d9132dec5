"""Excursions beyond fixed limits, with dead-band and on-delay as in ISA-18.2.

All limits of one direction share an excursion, which escalates from H to HH (or L to LL) and is never two.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.detection.excursions import SIGN, Direction, Excursion

Level = Literal["LL", "L", "H", "HH"]

_DIRECTION: dict[Level, Direction] = {"LL": "low", "L": "low", "H": "high", "HH": "high"}
_SECOND_US = 1_000_000
_INNER_SCORE, _OUTER_SCORE = 0.7, 0.9


class LimitSpec(msgspec.Struct, frozen=True):
    """A limit in the sensor's unit. Beyond means at the limit or further; `on_delay` in seconds."""

    level: Level
    value: float
    dead_band: float = 0.0
    on_delay: float = 0.0

    @property
    def direction(self) -> Direction:
        return _DIRECTION[self.level]


class Side(msgspec.Struct, array_like=True):
    """What must be remembered of one direction. Values are signed: larger is always further out.

    `beyond_since` holds the levels whose on-delay is running, `active` those that it has passed; the peak is
    that of the whole time beyond, on-delay included.
    """

    direction: Direction
    beyond_since: dict[str, int] = {}
    active: list[str] = []
    peak: float = 0.0
    peak_us: int = 0
    excursion: Excursion | None = None

    @property
    def is_idle(self) -> bool:
        return not self.beyond_since and not self.active and self.excursion is None


def follow_limits(
    side: Side, ts_us: list[int], values: npt.NDArray[np.float64], limits: Sequence[LimitSpec]
) -> list[Excursion]:
    """Move `side` through readings in order of time, shape (n,), and return the excursions that changed.

    `limits` are those of the side's direction; others are ignored. A limit that was taken away ends at the
    next reading. Between two readings the last one holds, so an on-delay runs on through a gap.
    """
    limits = sorted(
        (limit for limit in limits if limit.direction == side.direction),
        key=lambda limit: SIGN[side.direction] * limit.value,
    )
    if not ts_us or (not limits and side.is_idle):
        return []
    _forget_levels(side, {limit.level for limit in limits})
    signed = values * SIGN[side.direction]
    beyond = np.flatnonzero(signed >= SIGN[side.direction] * limits[0].value).tolist() if limits else []
    readings = signed.tolist()
    touched: list[Excursion] = []
    place = 0
    while place < len(ts_us):
        if side.is_idle:  # jump to the next reading beyond the innermost limit
            following = bisect_left(beyond, place)
            if following == len(beyond):
                break
            place = beyond[following]
        excursion = _step(side, ts_us[place], readings[place], limits)
        if excursion is not None and not (touched and touched[-1] is excursion):
            touched.append(excursion)
        place += 1
    return touched


def _forget_levels(side: Side, known: set[Level]) -> None:
    side.active = [level for level in side.active if level in known]
    side.beyond_since = {level: since for level, since in side.beyond_since.items() if level in known}


def _step(side: Side, now_us: int, value: float, limits: list[LimitSpec]) -> Excursion | None:
    """Take one reading; the excursion that it opened, moved or ended, if any."""
    if side.is_idle or value > side.peak:
        side.peak, side.peak_us = value, now_us
    since_us = min(side.beyond_since.values(), default=now_us)
    for limit in limits:
        _judge(side, now_us, value, limit)
    if side.excursion is None and side.active:
        side.excursion = _open(side, since_us, now_us)
    excursion = side.excursion
    if excursion is None:
        return None
    if side.active or side.beyond_since:
        _update(side, excursion, limits)
    else:
        excursion.ended_us = now_us
        side.excursion = None
    return excursion


def _judge(side: Side, now_us: int, value: float, limit: LimitSpec) -> None:
    """Whether one limit is exceeded, after its on-delay and with its dead-band."""
    bound = SIGN[side.direction] * limit.value
    if limit.level in side.active:
        if value < bound - limit.dead_band:
            side.active.remove(limit.level)
    elif value >= bound:
        since_us = side.beyond_since.setdefault(limit.level, now_us)
        if now_us - since_us >= limit.on_delay * _SECOND_US:
            del side.beyond_since[limit.level]
            side.active.append(limit.level)
    else:
        side.beyond_since.pop(limit.level, None)


def _open(side: Side, since_us: int, now_us: int) -> Excursion:
    return Excursion(
        kind="limit",
        direction=side.direction,
        started_us=since_us,
        noticed_us=now_us,
        peak_us=side.peak_us,
        peak_value=SIGN[side.direction] * side.peak,
        expected=0.0,
        score=0.0,
    )


def _update(side: Side, excursion: Excursion, limits: list[LimitSpec]) -> None:
    """Bring level, peak and score up to date; the level never falls back while the excursion lasts."""
    reached = [limit for limit in limits if limit.level in side.active or limit.level == excursion.level]
    outermost = reached[-1] if reached else limits[0]
    excursion.level = outermost.level
    excursion.expected = outermost.value
    excursion.peak_us = side.peak_us
    excursion.peak_value = SIGN[side.direction] * side.peak
    excursion.score = _score(outermost, side, limits)


def _score(limit: LimitSpec, side: Side, limits: list[LimitSpec]) -> float:
    """From .7 at the inner limit and .9 at the outer one, up by .1 at most as the peak moves further out.

    Half of that is gained at a distance of the gap between the two limits, or of a twentieth of a lone limit.
    """
    gap = abs(limits[-1].value - limits[0].value) or max(abs(limit.value) / 20, limit.dead_band) or 1.0
    overshoot = max(side.peak - SIGN[side.direction] * limit.value, 0.0)
    base = _OUTER_SCORE if limit.level in ("LL", "HH") else _INNER_SCORE
    return base + 0.1 * (1 - 0.5 ** (overshoot / gap))
