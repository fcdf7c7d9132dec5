"""One hour of many sensors at once: every reading's distance, median, rarity and run, then what was learned of it."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.detection import baseline, novelty, recent, slow
from sensors.detection.baseline import HOUR_US
from sensors.detection.cycle import Bools, Floats, Ints
from sensors.detection.excursions import Excursion
from sensors.detection.following import Following, ProfileSettings, Reading, Slowly, Step, add_once
from sensors.detection.memory import Memory, Sum, empty
from sensors.detection.profile import DAY_US, step, step_hours, step_slow
from sensors.detection.readings import UNCERTAIN_WEIGHT, Readings, differs, median
from sensors.detection.sums import Taken, sum_up

_WILD_WIDTHS = 20.0
_FURTHEST = 1e9  # standard deviations
_COMMON = 1.5  # powers of ten: a value that one reading in thirty has is no spike, at whatever hour it comes
_LEAST_RUN, _RUN_FACTOR, _LEAST_CHANGES = 24.0, 5.0, 50.0


class HourOfReadings:
    """At most one hour of each sensor in `memory`, each with at least one reading."""

    def __init__(
        self, memory: Memory, followings: list[Following], readings: Readings, settings: ProfileSettings
    ) -> None:
        self.memory, self.followings, self.settings = memory, followings, settings
        self.of, self.ts_us, self.values = readings.of, readings.ts_us, readings.values
        self.weight = np.where(readings.is_uncertain, UNCERTAIN_WEIGHT, 1.0)
        self.starts = np.flatnonzero(differs(self.of))
        self.ends = np.append(self.starts[1:], len(self.of))
        self.first_us = self.ts_us[self.starts]
        self.hours = self.first_us // HOUR_US
        self.scores = np.zeros(len(self.of))
        self.touched: list[list[Excursion]] = [[] for _ in followings]

    def follow(self) -> None:
        self._end_hour()
        memory, of, values = self.memory, self.of, self.values
        before_us = self._before(self.ts_us, memory["seen_us"])
        before = self.before = self._before(values, memory["last_value"])
        steps_us = np.where(before_us > 0, self.ts_us - before_us, 0).astype(np.float64)
        self.hour = baseline.open_hour(memory, self.hours)
        share = (self.ts_us - self.hours[of] * HOUR_US) / HOUR_US
        self.expected = baseline.expect(self.hour, of, share, values)
        novelty.count_warm_up(memory, of, self.starts, values)
        self.rarity = novelty.rate(memory, of, values)
        smooth = self._smooth()
        self._measure(smooth)
        self._count_runs(values == before)
        held = self._walk()
        taken = Taken(
            starts=self.starts,
            of=of,
            values=values,
            smooth=smooth,
            expected=self.expected,
            share=share,
            weight=self.weight,
            steps_us=steps_us,
            jumps=abs(values - before),
            is_change=values != before,
            held=held,
            judged=self.is_judged,
            sizes=self.medians,
        )
        sum_up(memory, self.hour, taken)
        memory["seen_us"] = self.ts_us[self.ends - 1]
        memory["last_value"] = values[self.ends - 1]

    def _smooth(self) -> Floats:
        """The median of each reading and the two before it: a lone one does not move the mean of a day."""
        two = self._before(self.before, self.memory["value_before"])
        self.memory["value_before"] = self.before[self.ends - 1]
        middle = median(self.values, self.before, two)
        return np.where(np.isnan(middle), self.values, middle)

    def _before(self, series: npt.NDArray[Any], last: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Each reading's predecessor, that of the first from the memory."""
        before = np.empty_like(series)
        before[1:] = series[:-1]
        before[self.starts] = last
        return before

    def _end_hour(self) -> None:
        """Learn what the hour before has brought, where this is another one."""
        memory = self.memory
        is_over = (memory["hour"] >= 0) & (memory["hour"] != self.hours)
        rows = np.flatnonzero(is_over)
        if len(rows):
            is_all = len(rows) == len(memory)
            over = memory if is_all else memory[rows]
            is_apart = self.first_us[rows] - over["seen_us"] > DAY_US
            is_normal = np.array([self.followings[row].excursion is None for row in rows.tolist()])
            slow.forget_day(over, is_apart)
            lately = recent.follow_hour(over, is_normal, is_apart)
            baseline.learn_hour(over, self.hours[rows] - over["hour"])
            novelty.start_counting(over, self._is_warm(over))
            novelty.fade(over)
            over["longest_run"] = np.maximum(over["longest_run"], over["finished_run"])
            over["changes"] += over["sums"][:, Sum.CHANGES]
            slow.forget_reference(
                over, np.array([self.followings[row].is_reference_old for row in rows.tolist()])
            )
            self._tell_slow(over, rows, slow.follow_hour(over, is_normal))
            self._tell_recent(rows, lately)
            over["sums"] = 0.0
            over["finished_run"] = 0.0
            over["extremes"] = np.inf
            if not is_all:
                memory[rows] = over
        memory["hour"] = self.hours

    def _is_warm(self, memory: Memory) -> Bools:
        return (memory["count"] >= self.settings.warm_up_readings) & (
            memory["hours"] >= self.settings.warm_up_days * 24
        )

    def _tell_slow(self, over: Memory, rows: Ints, found: slow.Slow) -> None:
        sizes = np.stack([found.level, found.drift, found.noise])
        strongest = np.argmax(abs(sizes), axis=0)
        size = sizes[strongest, np.arange(len(rows))]
        is_drift = (strongest < 2) & found.is_creeping & (size * found.drift > 0)
        is_rising = abs(size) >= slow.RISING
        # Just after the last reading of the hour: a spike may begin with that reading itself, and an excursion is known
        # by its beginning.
        over["slow_since_us"] = slow.since(over["slow_since_us"], size, begins_us=over["seen_us"] + 1)
        for place, row in enumerate(rows.tolist()):
            following = self.followings[row]
            if following.is_resting:
                self._start_anew(over, place, following)
            elif following.is_reference_old:
                following.is_reference_old, following.slow = False, None
            elif is_rising[place] or following.slow is not None:
                is_noise = strongest[place] == 2
                slowly = Slowly(
                    size=float(size[place]),
                    pattern="noise" if is_noise else "drift" if is_drift[place] else "shift",
                    since_us=abs(int(over["slow_since_us"][place])),
                    value=float((found.jump if is_noise else found.mean)[place]),
                    expected=float((found.usual_jump if is_noise else found.usual)[place]),
                )
                self._note(row, self.starts[row], step_slow(following, slowly, int(self.first_us[row])))

    def _tell_recent(self, rows: Ints, found: recent.Recent) -> None:
        for place, row in enumerate(rows.tolist()):
            following = self.followings[row]
            if following.is_of_hours or found.since_us[place]:
                hours = Slowly(
                    size=float(found.size[place]),
                    pattern="shift",
                    since_us=int(found.since_us[place]),
                    value=float(found.mean[place]),
                    expected=float(found.usual[place]),
                )
                self._note(row, self.starts[row], step_hours(following, hours, int(self.first_us[row])))

    def _start_anew(self, over: Memory, place: int, following: Following) -> None:
        anew = empty(1)
        for name in ("seen_us", "last_value", "value_before"):
            anew[name] = over[name][place]
        over[place] = anew[0]
        following.is_resting, following.slow, following.run = False, None, None

    def _measure(self, smooth: Floats) -> None:
        """Distances in standard deviations, their medians of three, and which of both may be told."""
        memory, of, hour = self.memory, self.of, self.hour
        seen = (memory["lowest"], memory["highest"])
        self.is_outside = baseline.beyond(seen, of, self.values, widths=0.0)
        usual = (memory["usual_lowest"], memory["usual_highest"])
        self.is_wild = baseline.beyond(usual, of, self.values, widths=_WILD_WIDTHS)
        scale = hour.scale[of]
        # Outliers widen the scale of a restless hour; what was never seen is measured by all that was.
        scale = np.where(self.is_outside, np.minimum(scale, baseline.scale_of_range(memory)[of]), scale)
        is_ready = self._is_warm(memory) & (memory["spread_hours"] >= baseline.LEAST_SPREAD_HOURS)
        self.is_judged = is_ready[of] & (scale > 0) & ~np.isnan(self.expected)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            size = (self.values - self.expected) / scale * self.weight
        self.sizes = np.where(self.is_judged, np.clip(size, -_FURTHEST, _FURTHEST), 0.0)
        self._take_medians()
        # Until a whole week was seen, its weekend may still come: only what is far from everything so far
        # is told, or what goes as fast as it came. How far readings were is learned all the same.
        is_settled = hour.is_settled[of]
        is_gross = baseline.beyond(seen, of, smooth, widths=baseline.GROSS_WIDTHS)
        self.levels = np.where(is_settled | is_gross, self.medians, 0.0)
        self.lone_sizes = np.where(is_settled | self.is_outside, self.sizes, 0.0)

    def _take_medians(self) -> None:
        memory = self.memory
        one = self._before(self.sizes, memory["recent_sizes"][:, 1])
        two = self._before(one, memory["recent_sizes"][:, 0])
        self.medians = median(self.sizes, one, two)
        memory["recent_sizes"][:, 0] = one[self.ends - 1]
        memory["recent_sizes"][:, 1] = self.sizes[self.ends - 1]

    def _count_runs(self, is_same: Bools) -> None:
        """How long the value has not moved, 1 at the threshold; and the longest run that is over."""
        memory, of = self.memory, self.of
        places = np.arange(len(of))
        since = np.maximum.accumulate(np.where(is_same, -1, places))
        begin = self.starts[of]
        run = np.where(since >= begin, places - since, memory["run"][of] + places - begin + 1)
        over = np.where(is_same, 0.0, self._before(run, memory["run"]))
        memory["finished_run"] = np.maximum(memory["finished_run"], np.maximum.reduceat(over, self.starts))
        memory["run"] = run[self.ends - 1]
        may_stick = self.hour.is_settled & (memory["changes"] >= _LEAST_CHANGES)
        most = np.maximum(_LEAST_RUN, _RUN_FACTOR * memory["longest_run"])
        self.stuck = np.where(may_stick[of], run / most[of], 0.0)

    def _walk(self) -> Bools:
        """Take the readings that are out of the ordinary one by one; which ones are held back from learning."""
        memory, settings = self.memory, self.settings
        held = np.zeros(len(self.of), bool)
        self.scores = np.maximum(self.scores, 0.49 * np.minimum(abs(self.levels) / settings.threshold, 1.0))
        is_odd = (
            (abs(self.sizes) > settings.threshold)
            | (abs(self.medians) >= min(novelty.TAIL_FROM, settings.threshold))
            | (self.stuck >= 1)
        )
        judged_before: Ints = np.cumsum(self.is_judged) - self.is_judged
        odd_sensors = np.add.reduceat(is_odd, self.starts) > 0
        for place, following in enumerate(self.followings):
            if odd_sensors[place] or not following.is_idle or following.is_resting:
                self._walk_sensor(place, following, is_odd, judged_before, held)
        memory["judged"] += np.add.reduceat(self.is_judged, self.starts)
        return held

    def _walk_sensor(
        self, place: int, following: Following, is_odd: Bools, judged_before: Ints, held: Bools
    ) -> None:
        first, last = int(self.starts[place]), int(self.ends[place])
        tails, lone_tails = self.memory["tails"][place], self.memory["lone_tails"][place]
        judged = float(self.memory["judged"][place])
        rare = self._rare(place)
        for row in range(first, last):
            if following.is_resting:
                held[row:last] = True
                return
            if following.is_idle and not is_odd[row]:
                continue
            size, middle = float(self.sizes[row]), float(self.medians[row])
            rarity, median_rarity = float(self.rarity[row]), 0.0
            known = judged + float(judged_before[row] - judged_before[first])
            if abs(middle) >= novelty.TAIL_FROM:
                median_rarity = novelty.rate_distance(tails, middle, known)
            if abs(size) > max(self.settings.threshold, novelty.TAIL_FROM):
                of_distance = novelty.rate_distance(lone_tails, size, known)
                if rarity > _COMMON:
                    rarity = max(rarity, of_distance)
            reading = Reading(
                ts_us=int(self.ts_us[row]),
                value=float(self.values[row]),
                expected=float(self.expected[row]),
                size=size,
                median=float(self.levels[row]),
                lone_size=float(self.lone_sizes[row]),
                rarity=rarity / rare,
                median_rarity=median_rarity / rare,
                stuck=float(self.stuck[row]),
                is_inside=not self.is_outside[row],
                is_wild=bool(self.is_wild[row]),
                before=float(self.before[row]),
            )
            self._note(place, row, step(following, reading, self.settings))
            held[row] = following.is_fast

    def _rare(self, place: int) -> float:
        """The novelty from which on a reading of the sensor is rare, in powers of ten.

        What comes once in `rare_days` is not news, however often a sensor reports.
        """
        interval_us = float(self.memory["interval_us"][place]) or HOUR_US
        readings = min(self.settings.rare_days * DAY_US / interval_us, novelty.MOST_COUNTED)
        return max(self.settings.rarity, math.log10(max(readings, 1.0)))

    def _note(self, place: int, row: int, found: Step) -> None:
        if found.news:
            self.scores[row] = 1 - 0.5**found.news
        if found.excursion is not None:
            add_once(self.touched[place], found.excursion)
