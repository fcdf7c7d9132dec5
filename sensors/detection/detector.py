"""The detector: readings of many sensors in, excursions out, with a small state of each sensor in between.

Readings must come in order of time; how they are cut into blocks changes nothing. What is as old as the
newest reading seen, or older, is late and is ignored, as are bad readings and NaN. Each reading goes past the limits;
what is a measurement, not `is_apart` and no faster than it can change goes on to the profile.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.detection import memory as memories
from sensors.detection.excursions import SIGN, Excursion
from sensors.detection.following import Following, ProfileSettings
from sensors.detection.limits import LimitSpec, Side, follow_limits
from sensors.detection.profile import DAY_US
from sensors.detection.rate import Pace, Seen, follow_pace
from sensors.detection.readings import Readings
from sensors.detection.turns import follow_readings

DETECTOR_VERSION = "6"

_UNCERTAIN, _BAD = 1, 2
_START_US = -(2**63)
_NO_MEASUREMENT = 1e37  # in any unit; what is learned is kept in single precision, which ends a little later
_NOTHING_LEARNED = memories.empty(1).tobytes()


class OtherVersion(ValueError):
    """The state was written by another version of the detector and cannot be continued."""


class DetectorState(msgspec.Struct):
    """All that is remembered of a sensor between two blocks; `learned` is a record of `memory.MEMORY`.

    `pace` is that of sensors with a fastest change only: others' stored states do not have it.
    """

    high: Side
    low: Side
    following: Following
    learned: bytes = _NOTHING_LEARNED
    last_us: int = _START_US
    excursions: int = 0
    pace: Pace | msgspec.UnsetType = msgspec.UNSET
    version: str = DETECTOR_VERSION

    @classmethod
    def empty(cls) -> "DetectorState":
        return cls(high=Side(direction="high"), low=Side(direction="low"), following=Following())

    def to_bytes(self) -> bytes:
        return _encode(self)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "DetectorState":
        """The state of `to_bytes`. Raises `OtherVersion`: the caller then starts from an empty state."""
        version = _decode_version(stored).version
        if version != DETECTOR_VERSION:
            raise OtherVersion(f"The detector's state has version {version}, this is {DETECTOR_VERSION}.")
        try:
            return _decode(stored)
        except msgspec.ValidationError as error:
            # The order of the fields is the format: what was written with another one is another version too.
            raise OtherVersion(f"The detector's state cannot be read: {error}.") from error


class _Versioned(msgspec.Struct):
    version: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DetectorState).decode
_decode_version = msgspec.msgpack.Decoder(_Versioned).decode


class DetectorSettings(msgspec.Struct, frozen=True):
    """`profile` is None for sensors that are watched by their limits only."""

    profile: ProfileSettings | None = ProfileSettings()


DEFAULT_SETTINGS = DetectorSettings()


@dataclass(frozen=True)
class Block:
    """Readings of many sensors, arrays of shape (k,), in order of sensor and then of time.

    `sensors` are places in the list of states, in [0, n); `quality` is 0 good, 1 uncertain, 2 bad. What is
    `is_apart` (None: nothing), as while the machine is worked on, is seen by the limits only.
    """

    sensors: npt.NDArray[np.int64]
    ts_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    is_apart: npt.NDArray[np.bool_] | None = None

    def at(self, rows: npt.NDArray[np.int64]) -> "Block":
        is_apart = None if self.is_apart is None else self.is_apart[rows]
        return Block(self.sensors[rows], self.ts_us[rows], self.values[rows], self.quality[rows], is_apart)


class Detected(NamedTuple):
    """A snapshot of each excursion that was opened, moved or ended, by sensor and in order of `excursion_id`;
    and a score for each reading, shape (k,): .5 or more where something was news, and less elsewhere.
    """

    excursions: list[list[Excursion]]
    scores: npt.NDArray[np.float64]


def detect_many(
    states: Sequence[DetectorState],
    block: Block,
    limits: Sequence[Sequence[LimitSpec]],
    settings: DetectorSettings = DEFAULT_SETTINGS,
    max_changes: Sequence[float | None] = (),
) -> Detected:
    """Feed a block of readings to `states`, a state and a sequence of limits a sensor. The states move on.

    `max_changes` are the fastest believable changes of the sensors in their units per minute, None where nobody
    stated one. An excursion still open goes on in the next block under the same id.
    """
    last_us = np.array([state.last_us for state in states], np.int64)
    usable = (block.ts_us > last_us[block.sensors]) & (block.quality != _BAD) & np.isfinite(block.values)
    rows = np.flatnonzero(usable)
    taken = block.at(rows)
    touched = _follow_limits(states, taken, limits)
    scores = np.zeros(len(block.ts_us))
    if settings.profile is not None:
        is_for_profile = abs(taken.values) < _NO_MEASUREMENT
        if taken.is_apart is not None:
            is_for_profile &= ~taken.is_apart
        rows = rows[is_for_profile]
        taken = block.at(rows)
        paced = _paced_sensors(states, max_changes)
        if len(paced):
            is_believed, scores[rows] = _follow_paces(
                states, taken, paced, max_changes, settings.profile, touched
            )
            rows = rows[is_believed]
            taken = block.at(rows)
        scores[rows] = _follow_profiles(states, taken, settings.profile, touched)
    _move_on(states, block)
    return Detected([_snapshots(*both) for both in zip(states, touched, strict=True)], scores)


def _paced_sensors(
    states: Sequence[DetectorState], max_changes: Sequence[float | None]
) -> npt.NDArray[np.int64]:
    """The places of the sensors with a fastest change, and of those that had one when they were last seen."""
    return np.array(
        [
            place
            for place, max_change in enumerate(max_changes)
            if max_change is not None or states[place].pace is not msgspec.UNSET
        ],
        np.int64,
    )


def _follow_paces(
    states: Sequence[DetectorState],
    taken: Block,
    paced: npt.NDArray[np.int64],
    max_changes: Sequence[float | None],
    settings: ProfileSettings,
    touched: list[list[Excursion]],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which readings are no faster than their sensor can change, and a score for each, shape (k,) both."""
    is_believed, scores = np.ones(len(taken.sensors), bool), np.zeros(len(taken.sensors))
    rows = np.flatnonzero(np.isin(taken.sensors, paced))
    some = taken.at(rows)
    readings = Readings(
        np.searchsorted(paced, some.sensors), some.ts_us, some.values, some.quality == _UNCERTAIN
    )
    places = paced.tolist()
    paces = [_pace(states[place]) for place in places]
    most = np.array([np.inf if max_changes[place] is None else max_changes[place] for place in places], float)
    outcome = follow_pace(paces, readings, most, give_in_us=settings.give_in_days * DAY_US)
    for number in np.unique(readings.of).tolist():
        place = places[number]
        states[place].pace = msgspec.UNSET if max_changes[place] is None else paces[number]
        touched[place] += outcome.touched[number]
    is_believed[rows], scores[rows] = outcome.is_believed, outcome.scores
    return is_believed, scores


def _pace(state: DetectorState) -> Pace:
    """How the sensor moved; of one whose fastest change is new, its last reading is what the profile saw last."""
    if state.pace is not msgspec.UNSET:
        return state.pace
    learned = np.frombuffer(state.learned, memories.MEMORY)[0]
    return Pace(Seen(int(learned["seen_us"]), float(learned["last_value"])), Seen())


def _follow_profiles(
    states: Sequence[DetectorState], taken: Block, settings: ProfileSettings, touched: list[list[Excursion]]
) -> npt.NDArray[np.float64]:
    memory = np.frombuffer(b"".join([state.learned for state in states]), memories.MEMORY).copy()
    followings = [state.following for state in states]
    readings = Readings(taken.sensors, taken.ts_us, taken.values, taken.quality == _UNCERTAIN)
    outcome = follow_readings(memory, followings, readings, settings)
    for place in np.unique(taken.sensors).tolist():
        states[place].learned = memory[place].tobytes()
        touched[place] += outcome.touched[place]
    return outcome.scores


def detect(
    state: DetectorState | None,
    ts_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    quality: npt.NDArray[np.int8],
    limits: Sequence[LimitSpec] = (),
    settings: DetectorSettings = DEFAULT_SETTINGS,
    max_change: float | None = None,
) -> tuple[DetectorState, list[Excursion]]:
    """Feed a block of readings of one sensor, arrays of shape (n,) in rising order of time.

    Returns the new state (the one given is used up: keep its bytes to repeat a block) and the snapshots.
    """
    state = DetectorState.empty() if state is None else state
    block = Block(np.zeros(len(ts_us), np.int64), ts_us, values, quality)
    return state, detect_many([state], block, [limits], settings, [max_change]).excursions[0]


def _follow_limits(
    states: Sequence[DetectorState], taken: Block, limits: Sequence[Sequence[LimitSpec]]
) -> list[list[Excursion]]:
    """Only sensors come to the slower part that are beyond a limit, or were."""
    touched: list[list[Excursion]] = [[] for _ in states]
    sensors = np.arange(len(states))
    starts = np.searchsorted(taken.sensors, sensors)
    ends = np.searchsorted(taken.sensors, sensors, side="right")
    for name in ("high", "low"):
        sign = SIGN[name]
        innermost = np.array([_innermost(of_sensor, name) for of_sensor in limits])
        is_beyond = sign * taken.values >= innermost[taken.sensors]
        busy = set(np.unique(taken.sensors[is_beyond]).tolist())
        for place, state in enumerate(states):
            side: Side = getattr(state, name)
            if place in busy or not side.is_idle:
                part = slice(starts[place], ends[place])
                times, values = taken.ts_us[part].tolist(), taken.values[part]
                touched[place] += follow_limits(side, times, values, limits[place])
    return touched


def _innermost(limits: Sequence[LimitSpec], direction: str) -> float:
    """The nearest limit of a direction, signed so that larger is further out."""
    return min(
        (SIGN[direction] * limit.value for limit in limits if limit.direction == direction), default=np.inf
    )


def _move_on(states: Sequence[DetectorState], block: Block) -> None:
    if not len(block.ts_us):
        return
    starts = np.flatnonzero(np.r_[True, block.sensors[1:] != block.sensors[:-1]])
    newest = np.maximum.reduceat(block.ts_us, starts)
    for place, newest_us in zip(block.sensors[starts].tolist(), newest.tolist(), strict=True):
        states[place].last_us = max(states[place].last_us, newest_us)


def _snapshots(state: DetectorState, touched: list[Excursion]) -> list[Excursion]:
    """Number the new excursions in the order in which they were noticed, which no cutting into blocks
    changes.
    """
    for excursion in sorted(touched, key=lambda one: one.noticed_us):
        if not excursion.excursion_id:
            state.excursions += 1
            excursion.excursion_id = state.excursions
    return sorted(map(copy.copy, touched), key=lambda one: one.excursion_id)
