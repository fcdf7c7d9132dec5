"""What is normal for one sensor: its expected value by the hour, and how far its readings stray from that.

The expectation is the nearer of two: the profile of the day over the last days, and that of the week over
the last weeks. So neither a quiet weekend nor a new daily rhythm is strange for long. The scale is a mean
of absolute deviations, clipped so that outliers count little; times sqrt(pi / 2) it is the standard
deviation of normal noise.
"""

import math

import msgspec

from sensors.detection.cycle import KNOWN_HOURS, Cycle

HOUR_US = 3_600_000_000
DAY_HOURS, WEEK_HOURS = 24, 168
DAY_MEMORY_DAYS, WEEK_MEMORY_WEEKS, SPREAD_MEMORY_DAYS = 5.0, 4.0, 14.0
_LEAST_SPREAD_HOURS = 12.0
SETTLED_HOURS = 8 * 24  # by then each hour of the week was seen once, weekends too

_TO_STANDARD_DEVIATION = math.sqrt(math.pi / 2)
_CLIP = 4.0
_RESTLESS_SHARE = 1.25  # of the spread of all hours: from there on an hour has its own
_STEEP = 2.0  # standard deviations from one full hour to the next
_LEAST_SHARE = 1e-3  # of the magnitude: finer differences are never an alarm
_LEAST_SHARE_CONSTANT = 1e-2  # of the magnitude, while the sensor has never moved
_INTERVAL_RATE = 0.05
_LONGEST_STEP = (
    3.0  # intervals; a longer silence counts as this much, so that a gap is not taken for knowledge
)


class Baseline(msgspec.Struct):
    """`hours` of readings seen (silence not counted), their `count`, and what was learned from them."""

    day: Cycle
    week: Cycle
    spread_by_hour: Cycle
    spread: float = 0.0
    spread_hours: float = 0.0
    magnitude: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf
    smallest_step: float = 0.0
    last_value: float = math.nan
    last_us: int = 0
    interval_us: float = 0.0
    hours: float = 0.0
    count: int = 0

    @classmethod
    def empty(cls) -> "Baseline":
        return cls(
            day=Cycle.of_hours(DAY_HOURS, memory=DAY_MEMORY_DAYS),
            week=Cycle.of_hours(WEEK_HOURS, memory=WEEK_MEMORY_WEEKS),
            spread_by_hour=Cycle.of_hours(DAY_HOURS, memory=SPREAD_MEMORY_DAYS),
        )

    def expected(self, ts_us: int, value: float, *, scale: float) -> float:
        """The expectation nearest to the value, NaN where none is known yet."""
        hour = ts_us / HOUR_US
        by_day = self.day.nearest(hour, value, _STEEP * scale)
        if (
            not self.is_settled
        ):  # the week's points have seen no other week yet: they would only repeat the present
            return by_day
        by_week = self.week.nearest(hour, value, _STEEP * scale)
        return by_week if abs(value - by_week) < abs(value - by_day) or by_day != by_day else by_day

    def scale(self, ts_us: int) -> float:
        """The usual distance from the expectation as a standard deviation; 0 where nothing can be said.

        Never finer than the smallest step that the sensor makes, nor than a share of its magnitude.
        """
        by_hour = self.spread_by_hour
        hour_of_day = ts_us // HOUR_US % DAY_HOURS
        spread = self.spread
        if (
            by_hour.weights[hour_of_day] >= KNOWN_HOURS
            and by_hour.means[hour_of_day] > _RESTLESS_SHARE * spread
        ):
            spread = by_hour.means[hour_of_day]
        least = _LEAST_SHARE_CONSTANT if self.lowest == self.highest else _LEAST_SHARE
        return max(spread * _TO_STANDARD_DEVIATION, self.smallest_step, least * self.magnitude)

    @property
    def is_settled(self) -> bool:
        return self.hours >= SETTLED_HOURS

    def knows_its_spread(self) -> bool:
        return self.spread_hours >= _LEAST_SPREAD_HOURS

    def goes_beyond_all_seen(self, value: float) -> bool:
        """Whether the value lies outside the range seen so far by more than twice that range's width."""
        margin = 2 * (self.highest - self.lowest)
        return value > self.highest + margin or value < self.lowest - margin

    def learn(self, ts_us: int, value: float, *, expected: float, scale: float, weight: float) -> None:
        """Take in a reading. `weight` 1 is a full reading's, less for one that is less to be trusted."""
        hours = self._pass_on(ts_us, weight)
        clip = _CLIP * scale if scale > 0 else math.inf
        deviation = abs(value - expected)  # NaN where nothing is expected yet
        step = abs(value - self.last_value)
        if step > 0 and not deviation > clip and (step < self.smallest_step or self.smallest_step == 0):
            self.smallest_step = step
        self.last_value = value
        if hours == 0:
            return
        near = expected + math.copysign(clip, value - expected) if deviation > clip else value
        self.lowest = min(self.lowest, near)
        self.highest = max(self.highest, near)
        self._learn_level(ts_us, value, hours, clip)
        # On a sensor that varies, a reading expected to the last digit lies within a steep step: it says
        # nothing here.
        if deviation > 0 or (deviation == 0 and self.spread == 0):
            self._learn_spread(ts_us, min(deviation, clip), hours)

    def hold(self, ts_us: int, value: float, *, weight: float) -> None:
        """Pass over a reading, during an excursion. Only hours of the week that were never seen are learned:
        a first weekend that looked like a fault must not look so every week."""
        self.week.learn_where_unknown(ts_us / HOUR_US, value, self._pass_on(ts_us, weight))
        self.last_value = value

    def _pass_on(self, ts_us: int, weight: float) -> float:
        """Move on to a reading, and the hours, at most one, that it counts for."""
        hours = self._hours_of(ts_us) * weight
        was_settled = self.is_settled
        self.last_us = ts_us
        self.count += 1
        self.hours += hours
        if self.is_settled and not was_settled:
            # So far every weekend was strange and widened the spread; from here on the week is known.
            self.spread_hours = 0.0
            self.spread_by_hour = Cycle.of_hours(DAY_HOURS, memory=SPREAD_MEMORY_DAYS)
        return min(hours, 1.0)

    def _hours_of(self, ts_us: int) -> float:
        """The hours that a reading stands for: the time since the one before, within what is usual here."""
        if self.last_us == 0:
            return 0.0
        step_us = float(ts_us - self.last_us)
        if self.interval_us == 0:
            self.interval_us = step_us
        step_us = min(step_us, _LONGEST_STEP * self.interval_us)
        self.interval_us += _INTERVAL_RATE * (step_us - self.interval_us)
        return step_us / HOUR_US

    def _learn_level(self, ts_us: int, value: float, hours: float, clip: float) -> None:
        hour = ts_us / HOUR_US
        self.day.learn(hour, value, hours, clip=clip)
        self.week.learn(hour, value, hours, clip=clip)
        self.magnitude += (
            (abs(value) - self.magnitude) * hours / min(self.hours, SPREAD_MEMORY_DAYS * DAY_HOURS)
        )

    def _learn_spread(self, ts_us: int, deviation: float, hours: float) -> None:
        self.spread_by_hour.learn(ts_us // HOUR_US, deviation, hours)
        self.spread_hours = min(self.spread_hours + hours, SPREAD_MEMORY_DAYS * DAY_HOURS)
        self.spread += (deviation - self.spread) * hours / self.spread_hours
