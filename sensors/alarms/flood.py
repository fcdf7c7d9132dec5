"""When there are more alarms than a person can read: EEMUA 191 counts ten minutes. Pure."""

from datetime import timedelta

WINDOW = timedelta(minutes=10)


def begins_flood(in_window: int, *, flood_from: int) -> bool:
    """Whether so many alarms within ten minutes are a flood: more than `flood_from` (EEMUA 191: 10)."""
    return in_window > flood_from


def ends_flood(in_window: int, *, flood_from: int) -> bool:
    """Whether a flood is over: fewer than half as many (EEMUA 191: 5), so that it does not flicker."""
    return in_window < max(flood_from / 2, 1)
