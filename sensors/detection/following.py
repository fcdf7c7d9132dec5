"""What is remembered of a sensor's excursion from one reading to the next, and what a reading is to it."""

from typing import NamedTuple

import msgspec

from sensors.detection.excursions import Excursion, Pattern


class ProfileSettings(msgspec.Struct, frozen=True):
    """Thresholds: distances in standard deviations, `rarity` in powers of ten.

    `threshold` is that of the median of three readings, `lone_threshold` that of a single one. A reading is rare
    that is one in 10 ** `rarity`, and in all of `rare_days`. No verdict before both warm-ups, which count the time
    with readings only.
    """

    threshold: float = 4.2
    lone_threshold: float = 5.5
    rarity: float = 3.0
    rare_days: float = 14.0
    warm_up_days: float = 2.0
    warm_up_readings: int = 200
    give_in_days: float = 7.0


class Reading(NamedTuple):
    """One reading as the vectorised part sees it. Distances (`size`, `median`) in standard deviations.

    `median` and `lone_size` are 0 where neither a level nor a lone reading may be told. `rarity` and
    `median_rarity` are novelties and `stuck` the length of its run of equal values, 1 at the threshold. `is_inside`:
    within the range seen so far. `is_wild`: so far outside that the instrument is the likelier cause. `before` is the
    value of the reading before this one.
    """

    ts_us: int
    value: float
    expected: float
    size: float
    median: float
    lone_size: float
    rarity: float
    median_rarity: float
    stuck: float
    is_inside: bool
    is_wild: bool
    before: float


class Slowly(msgspec.Struct, array_like=True):
    """How far out the last day or the last hours are: `size` in thresholds, positive above and negative below what is
    usual.
    """

    size: float
    pattern: Pattern
    since_us: int
    value: float
    expected: float


class Run(msgspec.Struct, array_like=True):
    """Readings in a row that are out, and the value `before`; of the furthest: when, its value, what was expected,
    its distance, and how rare it was. `is_outside`: the first was beyond the range seen until then.
    """

    started_us: int
    before: float
    readings: int = 0
    peak_us: int = 0
    value: float = 0.0
    expected: float = 0.0
    size: float = 0.0
    rarity: float = 0.0
    is_wild: bool = False
    is_outside: bool = False


class Told(msgspec.Struct, array_like=True):
    """How far out something was that was told, in thresholds, and when."""

    level: float
    at_us: int


class Following(msgspec.Struct, array_like=True):
    """What is going on at a sensor. An excursion that is no news is followed too, but not told.

    `is_fast`: its readings themselves are out, so that nothing is learned of them; `slow` is set while the last
    day is out. `is_of_hours`: the excursion began with the last hours, and `are_hours_out` while they are. `told_us` is
    the last reading of what readings themselves told. `is_resting`:
    readings were out for so long that the hour's end starts the sensor anew; `is_reference_old`: the last day was, and
    only the first days are begun anew.
    """

    excursion: Excursion | None = None
    is_fast: bool = False
    fast_since_us: int = 0
    is_told: bool = False
    is_fast_told: bool = False
    strength: float = 0.0
    readings: int = 0
    run: Run | None = None
    slow: Slowly | None = None
    told: dict[str, Told] = {}
    is_resting: bool = False
    is_reference_old: bool = False
    told_us: int = 0
    is_of_hours: bool = False
    are_hours_out: bool = False

    @property
    def is_idle(self) -> bool:
        return self.excursion is None and self.run is None


class Step(NamedTuple):
    """What a reading came to: the excursion to tell or to bring up to date, and its level where it is news."""

    excursion: Excursion | None
    news: float


def add_once(touched: list[Excursion], excursion: Excursion) -> None:
    """Note an excursion that changed."""
    if not any(one is excursion for one in touched):
        touched.append(excursion)
