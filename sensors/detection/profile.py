"""Excursions from the sensor's own recent profile.

A reading's deviation is its distance from the baseline's expectation in standard deviations; the median of
the last three deviations is judged, so one or two wild readings say nothing. An excursion begins above the
threshold and ends below half of it. While it lasts nothing is learned, so that a fault does not become
normal; after `give_in_days` it does: the excursion ends and the baseline is learned afresh.

Repeats tire: up to twice the threshold, an excursion must exceed nine tenths of the last one's peak,
fading over weeks. On the Numenta benchmark the suppression of repeats gained more than any refinement of
the deviation did.
"""

import math

import msgspec

from sensors.detection.baseline import HOUR_US, Baseline
from sensors.detection.excursions import SIGN, Direction, Excursion

DAY_US = 24 * HOUR_US

_RELEASE_SHARE = 0.5
_TIRED_SHARE = 0.9
_TIRED_MOST = 2.0  # thresholds: what is further out is always told
_TIRED_FADES_DAYS = 30.0
_UNCERTAIN_WEIGHT = 0.5


class ProfileSettings(msgspec.Struct, frozen=True):
    """`threshold` in standard deviations; no verdict before both warm-ups, which count the time with
    readings only.
    """

    threshold: float = 4.2
    warm_up_days: float = 2.0
    warm_up_readings: int = 200
    give_in_days: float = 7.0


class Deviation(msgspec.Struct):
    """One reading against the baseline: `size` in standard deviations, above (+) or below (-)."""

    ts_us: int
    value: float
    expected: float
    size: float


class Profile(msgspec.Struct):
    """The baseline, the last two deviations, the open excursion, and the level below which repeats are not
    told.
    """

    baseline: Baseline
    recent: list[Deviation] = []
    excursion: Excursion | None = None
    peak_size: float = 0.0
    tired_size: float = 0.0
    tired_us: int = 0

    @classmethod
    def empty(cls) -> "Profile":
        return cls(baseline=Baseline.empty())


def follow_profile(
    profile: Profile,
    ts_us: list[int],
    values: list[float],
    is_uncertain: list[bool],
    settings: ProfileSettings,
) -> list[Excursion]:
    """Move `profile` through readings in order of time and return the excursions that changed.

    An uncertain reading counts half: half of its deviation, and half in what is learned.
    """
    touched: list[Excursion] = []
    for now_us, value, uncertain in zip(ts_us, values, is_uncertain, strict=True):
        excursion = _step(profile, now_us, value, _UNCERTAIN_WEIGHT if uncertain else 1.0, settings)
        if excursion is not None and not (touched and touched[-1] is excursion):
            touched.append(excursion)
    return touched


def restart(profile: Profile, at_us: int) -> Excursion | None:
    """Forget what was normal, as after a repair; the open excursion, if there is one, ends and is
    returned.
    """
    excursion = profile.excursion
    if excursion is not None:
        _end(profile, excursion, at_us)
    profile.baseline = Baseline.empty()
    profile.recent = []
    return excursion


def _step(
    profile: Profile, now_us: int, value: float, weight: float, settings: ProfileSettings
) -> Excursion | None:
    """Take one reading; the excursion that it opened, moved or ended, if any."""
    baseline = profile.baseline
    scale = baseline.scale(now_us)
    expected = baseline.expected(now_us, value, scale=scale)
    size = _size(baseline, value, expected, scale, settings) * weight
    window = [*profile.recent, Deviation(now_us, value, expected, size)]
    profile.recent = window[-2:]
    excursion = profile.excursion
    if len(window) == 3:
        median = sorted(one.size for one in window)[1]
        if excursion is not None:
            _follow(profile, excursion, window[-1], median, settings)
        elif abs(median) > settings.threshold and abs(median) > _tired(profile, now_us):
            excursion = profile.excursion = _open(profile, window, "high" if median > 0 else "low", settings)
    if profile.excursion is None:
        profile.baseline.learn(now_us, value, expected=expected, scale=scale, weight=weight)
    else:
        profile.baseline.hold(now_us, value, weight=weight)
    return excursion


def _size(
    baseline: Baseline, value: float, expected: float, scale: float, settings: ProfileSettings
) -> float:
    """The deviation in standard deviations; 0 while too little is known to say one."""
    if (
        scale == 0
        or expected != expected
        or baseline.count < settings.warm_up_readings
        or baseline.hours < settings.warm_up_days * 24
        or not baseline.knows_its_spread()
    ):
        return 0.0
    # Until a whole week was seen, its weekend may still come: only what is far from everything so far counts.
    if not baseline.is_settled and not baseline.goes_beyond_all_seen(value):
        return 0.0
    return (value - expected) / scale


def _tired(profile: Profile, now_us: int) -> float:
    if profile.tired_size == 0:
        return 0.0
    return profile.tired_size * math.exp((profile.tired_us - now_us) / (_TIRED_FADES_DAYS * DAY_US))


def _open(
    profile: Profile, window: list[Deviation], direction: Direction, settings: ProfileSettings
) -> Excursion:
    """Begin at the first of the last three readings that was out, with the furthest of them as the peak."""
    sign = SIGN[direction]
    out = [one for one in window if sign * one.size > settings.threshold]
    excursion = Excursion(
        kind="profile",
        direction=direction,
        started_us=out[0].ts_us,
        noticed_us=window[-1].ts_us,
        peak_us=0,
        peak_value=0.0,
        expected=0.0,
        score=0.0,
    )
    _set_peak(profile, excursion, max(out, key=lambda one: sign * one.size), settings)
    return excursion


def _follow(
    profile: Profile, excursion: Excursion, latest: Deviation, median: float, settings: ProfileSettings
) -> None:
    sign = SIGN[excursion.direction]
    if sign * median < _RELEASE_SHARE * settings.threshold:
        _tire(profile, latest.ts_us, settings)
        _end(profile, excursion, latest.ts_us)
    elif latest.ts_us - excursion.started_us >= settings.give_in_days * DAY_US:
        _tire(profile, latest.ts_us, settings)
        restart(profile, latest.ts_us)
    elif sign * latest.size > profile.peak_size:
        _set_peak(profile, excursion, latest, settings)


def _set_peak(profile: Profile, excursion: Excursion, peak: Deviation, settings: ProfileSettings) -> None:
    """The score is .5 at the threshold, .75 at twice and .875 at three times it."""
    profile.peak_size = abs(peak.size)
    excursion.peak_us = peak.ts_us
    excursion.peak_value = peak.value
    excursion.expected = peak.expected
    excursion.score = 1 - 0.5 ** (profile.peak_size / settings.threshold)


def _tire(profile: Profile, now_us: int, settings: ProfileSettings) -> None:
    size = min(_TIRED_SHARE * profile.peak_size, _TIRED_MOST * settings.threshold)
    profile.tired_size = max(size, _tired(profile, now_us))
    profile.tired_us = now_us


def _end(profile: Profile, excursion: Excursion, now_us: int) -> None:
    excursion.ended_us = now_us
    profile.excursion = None
    profile.peak_size = 0.0
