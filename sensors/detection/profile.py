"""Excursions from what is usual for the sensor, reading by reading; only what is out of the ordinary comes here.

An excursion begins when the median of the last three distances from the profile is beyond the threshold, when
the mean of the last hours is (`recent`), when the last day left the range of the first days (`slow`), or when the value
does not move any more. While it
lasts nothing is learned, so that a fault does not become normal; after `give_in_days` it does: the excursion
ends and all is learned afresh. A lone reading is an excursion that is over when the next one is back.

It is told only when it is news: its readings are rare, and it is further out than what was told of
late. What was told fades by half in `_HALF_LIFE_DAYS`.
"""

import math

from sensors.detection.baseline import HOUR_US
from sensors.detection.excursions import SIGN, Direction, Excursion, Pattern, score_at
from sensors.detection.following import Following, ProfileSettings, Reading, Run, Slowly, Step, Told

DAY_US = 24 * HOUR_US

_RELEASE_SHARE = 0.5
_SPIKE_READINGS = 3
_RISE_SHARE = 0.5  # of its distance: a spike comes at least that far in one step
_BACK_SHARE = 0.5  # of that step: and goes back at least that far
_HALF_LIFE_DAYS = {"value": 14.0, "distance": 14.0, "hours": 14.0, "day": 7.0, "stuck": 7.0}
_TOLD_FOR_US = 3 * HOUR_US  # so long after what single readings told, the last hours have nothing to add
_LEAST_MORE = 0.05  # thresholds: less more than what was told is no news


def step(following: Following, reading: Reading, settings: ProfileSettings) -> Step:
    """Take one reading."""
    lone = None
    if not following.is_fast:
        lone = _lone(following, reading, settings)
        if lone is None:
            _open(following, reading, settings)
    _count_run(following, reading, settings)
    if lone is not None:
        return lone
    if following.excursion is None:
        return Step(None, 0.0)
    return _follow(following, following.excursion, reading, settings)


def step_slow(following: Following, slow: Slowly, now_us: int) -> Step:
    """Take what an hour came to, at the first reading after it."""
    is_out = abs(slow.size) >= (1.0 if following.slow is None else _RELEASE_SHARE)
    if not is_out:
        following.slow = None
        return Step(None, 0.0)
    following.slow = slow
    if following.excursion is None:
        following.excursion = _begin(slow.since_us, now_us, "high" if slow.size > 0 else "low", slow.pattern)
    excursion = following.excursion
    if SIGN[excursion.direction] * slow.size <= 0:
        return Step(None, 0.0)
    if abs(slow.size) > following.strength:
        _set_peak(following, excursion, now_us, slow.value, slow.expected, abs(slow.size))
    news = _news(following, "day", abs(slow.size), now_us)
    return _tell(following, excursion, now_us, news)


def step_hours(following: Following, hours: Slowly, now_us: int) -> Step:
    """Take what the last hours came to, at the first reading after them: they tell what nothing else has."""
    excursion, strength = following.excursion, abs(hours.size)
    if excursion is None:
        if strength < 1:
            return Step(None, 0.0)
        if now_us - following.told_us < _TOLD_FOR_US:
            _news(following, "hours", strength, now_us)
            return Step(None, 0.0)
        since_us = max(hours.since_us, following.told_us + 1)
        excursion = _begin(since_us, now_us, "high" if hours.size > 0 else "low", hours.pattern)
        following.excursion, following.is_of_hours = excursion, True
    following.are_hours_out = (
        following.is_of_hours and SIGN[excursion.direction] * hours.size >= _RELEASE_SHARE
    )
    if not following.are_hours_out:
        return Step(None, 0.0)
    if strength > following.strength and not following.is_fast:
        _set_peak(following, excursion, now_us, hours.value, hours.expected, strength)
    return _tell(following, excursion, now_us, _news(following, "hours", strength, now_us))


def close(following: Following, at_us: int) -> Excursion | None:
    """End the open excursion, and return it if it was told."""
    excursion, was_told = following.excursion, following.is_told
    following.excursion, following.is_fast, following.is_told = None, False, False
    following.strength, following.readings = 0.0, 0
    following.is_of_hours, following.are_hours_out = False, False
    if excursion is None or not was_told:
        return None
    excursion.ended_us = at_us
    return excursion


def _lone(following: Following, reading: Reading, settings: ProfileSettings) -> Step | None:
    """A spike that is over: few readings out, and this one back, or out on the other side."""
    run = following.run
    if run is None or abs(reading.median) > settings.threshold:
        return None
    if _toward(run, reading) > settings.threshold:
        return None
    height = abs(run.value - run.before)
    is_back = abs(run.value - reading.value) >= _BACK_SHARE * height
    if not is_back and _toward(run, reading) > _RELEASE_SHARE * settings.threshold:
        return None
    following.run = None
    is_back &= height >= _RISE_SHARE * abs(run.value - run.expected)
    is_short = run.readings <= _SPIKE_READINGS and not (run.is_wild and run.readings == 1)
    if not (is_back and is_short) or abs(run.size) < settings.lone_threshold:
        return None
    news = _news(following, "value", run.rarity, reading.ts_us)
    if not news:
        return None
    excursion = _begin(run.started_us, reading.ts_us, "high" if run.size > 0 else "low", "spike")
    excursion.peak_us, excursion.peak_value, excursion.expected = run.peak_us, run.value, run.expected
    excursion.score = score_at(abs(run.size) / settings.threshold)
    excursion.ended_us = following.told_us = reading.ts_us
    return Step(excursion, news)


def _toward(run: Run, reading: Reading) -> float:
    """The distance of a reading on the side of the run."""
    return math.copysign(1.0, run.size) * reading.lone_size


def _count_run(following: Following, reading: Reading, settings: ProfileSettings) -> None:
    run = following.run
    if abs(reading.lone_size) <= settings.threshold:
        if run is not None and _toward(run, reading) <= _RELEASE_SHARE * settings.threshold:
            following.run = None
        return
    if run is None or run.size * reading.lone_size < 0:
        rarity = 0.0 if run is None else run.rarity
        run = following.run = Run(
            rarity=rarity,
            started_us=reading.ts_us,
            before=reading.before,
            is_wild=reading.is_wild,
            is_outside=not reading.is_inside,
        )
    run.readings += 1
    run.rarity = max(run.rarity, reading.rarity)
    if abs(reading.lone_size) > abs(run.size):
        run.peak_us, run.value, run.expected = reading.ts_us, reading.value, reading.expected
        run.size = reading.lone_size


def _open(following: Following, reading: Reading, settings: ProfileSettings) -> None:
    """Begin an excursion, at the first of the last readings that was out."""
    is_out = abs(reading.median) > settings.threshold
    if not is_out and reading.stuck < 1:
        return
    away = reading.median if is_out else reading.value - reading.expected
    started_us = following.run.started_us if is_out and following.run is not None else reading.ts_us
    # Its own first readings may have widened the range since.
    began_outside = following.run is not None and following.run.size * away > 0 and following.run.is_outside
    is_course = reading.is_inside and not began_outside
    pattern: Pattern = "stuck" if not is_out else "course" if is_course else "shift"
    direction: Direction = "low" if away < 0 else "high"
    if following.excursion is None:
        following.excursion = _begin(started_us, reading.ts_us, direction, pattern)
    elif following.excursion.direction != direction:
        return
    following.is_fast, following.is_fast_told = True, False
    if following.is_of_hours:
        following.strength = 0.0  # readings say more of the peak than their mean
    following.fast_since_us, following.readings = started_us, 0
    if is_out and (run := following.run) is not None and run.size * away > 0:
        size = abs(run.size) / settings.threshold
        if size > following.strength:
            _set_peak(following, following.excursion, run.peak_us, run.value, run.expected, size)


def _begin(started_us: int, now_us: int, direction: Direction, pattern: Pattern) -> Excursion:
    return Excursion(
        kind="profile",
        direction=direction,
        started_us=started_us,
        noticed_us=now_us,
        peak_us=started_us,
        peak_value=0.0,
        expected=0.0,
        score=0.0,
        pattern=pattern,
    )


def _follow(following: Following, excursion: Excursion, reading: Reading, settings: ProfileSettings) -> Step:
    """Move the open excursion on by a reading, or end it."""
    sign = SIGN[excursion.direction]
    following.readings += 1
    is_slow = following.slow is not None and sign * following.slow.size > 0
    is_slow |= following.are_hours_out
    if (
        following.is_fast
        and sign * reading.median < _RELEASE_SHARE * settings.threshold
        and reading.stuck < 1
    ):
        following.is_fast = False
    if not following.is_fast and not is_slow:
        is_of_readings = (
            excursion.pattern in ("shift", "course") and excursion.started_us == following.fast_since_us
        )
        if is_of_readings and following.readings <= _SPIKE_READINGS + 1:
            excursion.pattern = "spike"
        return Step(close(following, reading.ts_us), 0.0)
    if following.is_of_hours and not following.is_fast and following.slow is None:
        return Step(None, 0.0)  # the profile learns them in a few days: they end by themselves
    since_us = following.fast_since_us if following.is_fast else excursion.started_us
    if reading.ts_us - since_us >= settings.give_in_days * DAY_US:
        following.is_resting, following.is_reference_old = following.is_fast, not following.is_fast
        return Step(close(following, reading.ts_us), 0.0)
    if not following.is_fast:
        return Step(None, 0.0)
    if following.is_fast_told:
        following.told_us = reading.ts_us
    strength = max(sign * reading.size / settings.threshold, reading.stuck)
    if strength > following.strength:
        _set_peak(following, excursion, reading.ts_us, reading.value, reading.expected, strength)
    return _tell(following, excursion, reading.ts_us, _news_of_reading(following, reading, settings))


def _news_of_reading(following: Following, reading: Reading, settings: ProfileSettings) -> float:
    news = _news(following, "stuck", reading.stuck, reading.ts_us)
    if abs(reading.median) > settings.threshold:
        run = following.run
        if run is not None:
            rarest = run.rarity if run.readings <= 2 else reading.rarity
            news = max(news, _news(following, "value", rarest, reading.ts_us))
        news = max(news, _news(following, "distance", reading.median_rarity, reading.ts_us))
    return news


def _tell(following: Following, excursion: Excursion, now_us: int, news: float) -> Step:
    """News is told once an excursion, and once more when its readings go out while only the last day was."""
    if not news or (following.is_told and (following.is_fast_told or not following.is_fast)):
        return Step(excursion if following.is_told else None, 0.0)
    if not following.is_told:
        following.is_told = True
        excursion.noticed_us = now_us
    following.is_fast_told = following.is_fast
    return Step(excursion, news)


def _news(following: Following, what: str, level: float, now_us: int) -> float:
    """The level where it is at the threshold and beyond what was told; that is told from now on. Else 0."""
    if level < 1:
        return 0.0
    told = following.told.get(what)
    if told is not None:
        days = (now_us - told.at_us) / DAY_US
        if level <= told.level * 0.5 ** (days / _HALF_LIFE_DAYS[what]) + _LEAST_MORE:
            return 0.0
    following.told[what] = Told(level, now_us)
    return level


def _set_peak(
    following: Following, excursion: Excursion, at_us: int, value: float, expected: float, strength: float
) -> None:
    following.strength = strength
    # Of an hour of which nothing is known, only that it is stuck can be told.
    excursion.peak_us, excursion.peak_value = at_us, value
    excursion.expected = value if math.isnan(expected) else expected
    excursion.score = score_at(strength)
