"""Readings of any number of hours, an hour of each sensor at a time."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sensors.detection.baseline import HOUR_US
from sensors.detection.cycle import Floats
from sensors.detection.excursions import Excursion
from sensors.detection.following import Following, ProfileSettings, add_once
from sensors.detection.hour import HourOfReadings
from sensors.detection.memory import Memory
from sensors.detection.readings import Readings, differs


class Outcome(NamedTuple):
    """What sensors' readings came to: the excursions that changed, by sensor, and a score for each reading."""

    touched: list[list[Excursion]]
    scores: Floats


def follow_readings(
    memory: Memory, followings: list[Following], readings: Readings, settings: ProfileSettings
) -> Outcome:
    """Take in readings of any number of hours."""
    touched: list[list[Excursion]] = [[] for _ in followings]
    scores = np.zeros(len(readings.of))
    if not len(scores):
        return Outcome(touched, scores)
    hours = readings.ts_us // HOUR_US
    is_first = differs(readings.of) | differs(hours)
    part = np.cumsum(is_first) - 1
    sensor_of_part = readings.of[is_first]
    is_new = differs(sensor_of_part)
    begin = np.maximum.accumulate(np.where(is_new, np.arange(len(is_new)), 0))
    turn = (np.arange(len(is_new)) - begin)[part]
    order = np.argsort(turn, kind="stable")
    bounds = np.searchsorted(turn[order], np.arange(turn.max() + 2))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[first:last]
        taken = readings.at(rows)
        sensors, of = np.unique(taken.of, return_inverse=True)
        is_all = len(sensors) == len(memory)
        some = memory if is_all else memory[sensors]
        theirs = [followings[sensor] for sensor in sensors.tolist()]
        hour = HourOfReadings(some, theirs, replace(taken, of=of), settings)
        hour.follow()
        if not is_all:
            memory[sensors] = some
        scores[rows] = hour.scores
        for place, sensor in enumerate(sensors.tolist()):
            for excursion in hour.touched[place]:
                add_once(touched[sensor], excursion)
    return Outcome(touched, scores)
