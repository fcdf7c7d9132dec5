"""Readings of the demo plant, computed from time alone.

A reading is its level, plus load and weather, plus slow drift, plus degradation since the last repair, plus
noise. Each part is a function of the instant, so a block of history and a live reading agree where they meet.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smartmaint.demo.blueprint import Behaviour, Growth, MachinePlan, SensorPlan
from smartmaint.demo.load import DAY_US, load, weather
from smartmaint.demo.randomness import normal, smooth, stream

GOOD, UNCERTAIN = 0, 1

LIVE_QUIET_S = 20.0
LIVE_RISE_S = 15.0
LIVE_HOLD_S = 1200.0
LIVE_FALL_S = 300.0

_MIDDLE_LOAD = 0.6
_WANDER_KNOT_US = 15 * DAY_US
# Transmitters flag what jitters beyond this many of their usual standard deviations.
_UNCERTAIN_BEYOND = 10.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Readings in order: µs since 1970, values in the sensor's unit, quality (0 good, 1 uncertain)."""

    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.int8]


def instants(from_us: int, to_us: int, interval_s: float) -> NDArray[np.int64]:
    """The whole multiples of the interval from `from_us` (included) to `to_us` (excluded)."""
    step_us = round(interval_s * 1_000_000)
    return np.arange(-(-from_us // step_us), -(-to_us // step_us), dtype=np.int64) * step_us


def simulate(
    machine: MachinePlan,
    sensor: SensorPlan,
    ts_us: NDArray[np.int64],
    *,
    zone: ZoneInfo,
    epoch_us: int,
    seed: int,
    live_since_us: int | None = None,
) -> Simulated:
    """What the sensor of the machine reads at the instants; those at which it is silent are left out.

    `epoch_us` is when the demo was loaded: the day 0 of repairs and degradation. With `live_since_us` the
    disturbance of `live_scenario` begins there.
    """
    behaviour = sensor.behaviour
    ts_us = ts_us[_days(ts_us, epoch_us) < behaviour.silent_since_day]
    felt_us = _stuck(ts_us, behaviour, epoch_us)
    days = _days(felt_us, epoch_us)
    jitter = _jitter(sensor, felt_us, days, seed)
    values = _run(machine, behaviour, felt_us, days, zone=zone, seed=seed)
    values += behaviour.wander * smooth(stream(seed, f"drift {sensor.key}"), felt_us, _WANDER_KNOT_US)
    values += sum(degradation(growth, days) for growth in behaviour.growths)
    for disturbance in behaviour.disturbances:
        values += disturbance.offset * _plateau(days, disturbance.starts_day, disturbance.ends_day)
    if live_since_us is not None:
        values += behaviour.live_rise * live_scenario((felt_us - live_since_us) / 1_000_000)
    if behaviour.at_rest is not None:
        values = np.where(_is_stopped(machine, days), behaviour.at_rest, values)
    values = np.clip(values + behaviour.noise * jitter, sensor.physical_min, sensor.physical_max)
    quality = np.where(np.abs(jitter) > _UNCERTAIN_BEYOND, UNCERTAIN, GOOD).astype(np.int8)
    return Simulated(ts_us, np.round(values, behaviour.decimals), quality)


def degradation(growth: Growth, days: ArrayLike) -> NDArray[np.float64]:
    """What a growth adds on the days; nothing before its start and from its end on."""
    days = np.asarray(days, dtype=np.float64)
    if growth.tau_days is None:
        course = (days - growth.starts_day) / (growth.reaches_day - growth.starts_day)
    else:
        course = np.exp((days - growth.reaches_day) / growth.tau_days)
    is_growing = (days >= growth.starts_day) & (days < growth.ends_day)
    return growth.amplitude * np.where(is_growing, course, 0.0)


def live_scenario(elapsed_s: ArrayLike) -> NDArray[np.float64]:
    """The share (0 to 1) of the live disturbance, by the seconds since the live demo began.

    Quiet for 20 s, full after 35 s, over after some 25 minutes.
    """
    elapsed_s = np.asarray(elapsed_s, dtype=np.float64)
    full_s = LIVE_QUIET_S + LIVE_RISE_S
    falls_s = full_s + LIVE_HOLD_S
    return np.interp(elapsed_s, [LIVE_QUIET_S, full_s, falls_s, falls_s + LIVE_FALL_S], [0.0, 1.0, 1.0, 0.0])


def _run(
    machine: MachinePlan,
    behaviour: Behaviour,
    ts_us: NDArray[np.int64],
    days: NDArray[np.float64],
    *,
    zone: ZoneInfo,
    seed: int,
) -> NDArray[np.float64]:
    """The reading of a healthy machine without noise."""
    acting_us = ts_us - round(behaviour.lag_s * 1_000_000)
    work = load(machine.load_pattern, machine.tag, acting_us, zone=zone, seed=seed)
    work = np.where(_is_stopped(machine, days), 0.0, work)
    values = behaviour.level + behaviour.load_gain * (work - _MIDDLE_LOAD)
    if behaviour.ambient_gain:
        values += behaviour.ambient_gain * weather(machine.site, ts_us, zone=zone, seed=seed)
    return values


def _jitter(
    sensor: SensorPlan, ts_us: NDArray[np.int64], days: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Noise in units of the sensor's usual standard deviation."""
    jitter = sensor.behaviour.noise_factor * normal(stream(seed, f"noise {sensor.key}"), ts_us)
    for disturbance in sensor.behaviour.disturbances:
        is_on = (days >= disturbance.starts_day) & (days < disturbance.ends_day)
        jitter *= np.where(is_on, disturbance.noise_factor, 1.0)
    return jitter


def _days(ts_us: NDArray[np.int64], epoch_us: int) -> NDArray[np.float64]:
    return (ts_us - epoch_us) / DAY_US


def _stuck(ts_us: NDArray[np.int64], behaviour: Behaviour, epoch_us: int) -> NDArray[np.int64]:
    """The instants that the sensor last felt: a stuck one stays at the moment at which it stuck."""
    if np.isinf(behaviour.stuck_since_day):
        return ts_us
    return np.minimum(ts_us, epoch_us + round(behaviour.stuck_since_day * DAY_US))


def _is_stopped(machine: MachinePlan, days: NDArray[np.float64]) -> NDArray[np.bool_]:
    stopped = np.zeros(days.shape, dtype=bool)
    for starts_day, ends_day in machine.stops:
        stopped |= (days >= starts_day) & (days < ends_day)
    return stopped


def _plateau(days: NDArray[np.float64], starts_day: float, ends_day: float) -> NDArray[np.float64]:
    """0 outside, 1 inside, with six hours of rise; it ends at once, as a repair does."""
    return np.where(days < ends_day, np.clip((days - starts_day) * 4.0, 0.0, 1.0), 0.0)
