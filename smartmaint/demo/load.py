"""How hard the machines work: by the hour of the local week, with a little of every day's own."""

from datetime import UTC
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from maintenance.scheduling.windows import instant_us, local_datetime
from smartmaint.demo.randomness import smooth, stream

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

Knots = tuple[tuple[float, float], ...]

_PRODUCTION: Knots = ((4.5, 0.45), (7.0, 0.8), (21.0, 0.8), (23.5, 0.45))
_SATURDAY: Knots = ((4.5, 0.45), (7.0, 0.64), (13.0, 0.64), (16.0, 0.42))
_SUNDAY: Knots = ((6.0, 0.4), (20.0, 0.4), (23.5, 0.45))
_STEADY: Knots = ((5.0, 0.6), (8.0, 0.72), (18.0, 0.72), (22.0, 0.6))
_STEADY_QUIET: Knots = ((6.0, 0.52), (12.0, 0.56), (20.0, 0.52))
_COLD: Knots = ((4.0, 0.52), (9.0, 0.68), (15.0, 0.74), (20.0, 0.6))
_COLD_QUIET: Knots = ((5.0, 0.48), (14.0, 0.6), (21.0, 0.5))

# Loads from 0 to 1 by hour, for Monday to Friday, Saturday and Sunday; straight lines between the knots.
_WEEKS: dict[str, tuple[Knots, Knots, Knots]] = {
    "two shifts": (_PRODUCTION, _SATURDAY, _SUNDAY),
    "continuous": (_STEADY, _STEADY_QUIET, _STEADY_QUIET),
    "cold store": (_COLD, _COLD_QUIET, _COLD_QUIET),
}


def load(
    pattern: str, machine: str, ts_us: NDArray[np.int64], *, zone: ZoneInfo, seed: int
) -> NDArray[np.float64]:
    """The machine's load (0 to 1) at each instant, of the same shape. All sensors of a machine share it."""
    hours, loads = _week(pattern)
    local_us = ts_us + _offsets_us(ts_us, zone)
    # 1970-01-01 was a Thursday, so three days lead back to a Monday.
    week_hour = ((local_us + 3 * DAY_US) % (7 * DAY_US)) / HOUR_US
    usual = np.interp(week_hour, hours, loads, period=168.0)
    daily = 0.03 * smooth(stream(seed, f"load of the day {machine}"), ts_us, DAY_US)
    swing = 0.04 * smooth(stream(seed, f"load {machine}"), ts_us, HOUR_US // 2)
    return np.clip(usual + daily + swing, 0.0, 1.0)


def weather(site: str, ts_us: NDArray[np.int64], *, zone: ZoneInfo, seed: int) -> NDArray[np.float64]:
    """How warm it is at a site, from -1 to 1, at each instant: warmest at three, and days that differ."""
    local_us = ts_us + _offsets_us(ts_us, zone)
    daily = 0.5 * np.cos(2.0 * np.pi * (local_us % DAY_US - 15 * HOUR_US) / DAY_US)
    return daily + 0.5 * smooth(stream(seed, f"weather {site}"), ts_us, DAY_US)


@lru_cache
def _week(pattern: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    workday, saturday, sunday = _WEEKS[pattern]
    days = [workday] * 5 + [saturday, sunday]
    knots = [(24.0 * day + hour, value) for day, profile in enumerate(days) for hour, value in profile]
    return np.array([hour for hour, _ in knots]), np.array([value for _, value in knots])


def _offsets_us(ts_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """The zone's offset at each instant: zones change at whole quarters of an hour."""
    quarters, where = np.unique(ts_us // (HOUR_US // 4), return_inverse=True)
    return np.array([_offset_us(int(quarter), zone) for quarter in quarters], dtype=np.int64)[where]


@lru_cache(maxsize=1 << 16)
def _offset_us(quarter: int, zone: ZoneInfo) -> int:
    local = local_datetime(quarter * (HOUR_US // 4), zone)
    return instant_us(local.replace(tzinfo=UTC)) - instant_us(local)
