"""The detector of one sensor: readings in, excursions out, with a small state in between.

Readings must come in order of time; how they are cut into blocks changes nothing. What is as old as the
newest reading seen, or older, is late and is ignored, as are bad readings and NaN.
"""

import copy
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sensors.detection.excursions import Excursion
from sensors.detection.limits import LimitSpec, Side, follow_limits
from sensors.detection.profile import Profile, ProfileSettings, follow_profile

DETECTOR_VERSION = "1"

_UNCERTAIN, _BAD = 1, 2
_START_US = -(2**63)


class OtherVersion(ValueError):
    """The state was written by another version of the detector and cannot be continued."""


class DetectorState(msgspec.Struct):
    """All that is remembered of a sensor between two blocks; at most 8 kB as bytes."""

    high: Side
    low: Side
    profile: Profile
    last_us: int = _START_US
    excursions: int = 0
    version: str = DETECTOR_VERSION

    @classmethod
    def empty(cls) -> "DetectorState":
        return cls(high=Side(direction="high"), low=Side(direction="low"), profile=Profile.empty())

    def to_bytes(self) -> bytes:
        return _encode(self)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "DetectorState":
        """The state of `to_bytes`. Raises `OtherVersion`: the caller then starts from an empty state."""
        version = _decode_version(stored).version
        if version != DETECTOR_VERSION:
            raise OtherVersion(f"The detector's state has version {version}, this is {DETECTOR_VERSION}.")
        return _decode(stored)


class _Versioned(msgspec.Struct):
    version: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DetectorState).decode
_decode_version = msgspec.msgpack.Decoder(_Versioned).decode


class DetectorSettings(msgspec.Struct, frozen=True):
    """`profile` is None for a sensor that is watched by its limits only."""

    profile: ProfileSettings | None = ProfileSettings()


DEFAULT_SETTINGS = DetectorSettings()


def detect(
    state: DetectorState | None,
    ts_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    quality: npt.NDArray[np.int8],
    limits: Sequence[LimitSpec] = (),
    settings: DetectorSettings = DEFAULT_SETTINGS,
) -> tuple[DetectorState, list[Excursion]]:
    """Feed a block of readings of one sensor, arrays of shape (n,) in rising order of time.

    Returns the new state (the one given is used up: keep its bytes to repeat a block) and one snapshot of
    each excursion that was opened, moved or ended in the block, in order of `excursion_id`. An excursion
    still open goes on in the next block under the same id.
    """
    state = DetectorState.empty() if state is None else state
    usable = (ts_us > state.last_us) & (quality != _BAD) & np.isfinite(values)
    if len(ts_us):
        state.last_us = max(state.last_us, int(ts_us[-1]))
    if not usable.all():
        ts_us, values, quality = ts_us[usable], values[usable], quality[usable]
    times = ts_us.tolist()
    touched = follow_limits(state.high, times, values, limits) + follow_limits(
        state.low, times, values, limits
    )
    if settings.profile is not None:
        is_uncertain = (quality == _UNCERTAIN).tolist()
        touched += follow_profile(state.profile, times, values.tolist(), is_uncertain, settings.profile)
    return state, _snapshots(state, touched)


def _snapshots(state: DetectorState, touched: list[Excursion]) -> list[Excursion]:
    """Number the new excursions in the order in which they were noticed, which no cutting into blocks
    changes.
    """
    for excursion in sorted(touched, key=lambda one: one.noticed_us):
        if not excursion.excursion_id:
            state.excursions += 1
            excursion.excursion_id = state.excursions
    return sorted(map(copy.copy, touched), key=lambda one: one.excursion_id)
