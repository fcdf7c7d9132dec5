"""Times, probabilities and amounts as people read them on the pages; None where nothing is known."""

from datetime import datetime, timedelta

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone

from predictions.risk import percent
from sensors.unit_signs import with_unit
from smartmaint import clock

NOT_KNOWN = "not known"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def in_words(moment: datetime | None) -> str:
    """A moment in the zone that is active: "Mon 23 Nov 14:05", with the year unless it is this one."""
    if moment is None:
        return NOT_KNOWN
    local, today = timezone.localtime(moment), timezone.localtime(clock.now())
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M}"


def day_in_words(moment: datetime | None) -> str:
    """The day alone: what is forecast is not known to the minute."""
    return NOT_KNOWN if moment is None else in_words(moment).rsplit(" ", 1)[0]


def window_in_words(period: DateTimeTZRange) -> str:
    """From when to when: "Mon 23 Nov 14:05–15:35"; the second day is named where it is another one."""
    begin, end = timezone.localtime(period.lower), timezone.localtime(period.upper)
    until = f"{end:%H:%M}" if begin.date() == end.date() else in_words(end)
    return f"{in_words(begin)}–{until}"


def distance_in_words(moment: datetime | None) -> str:
    """How far away a moment is: "in 3 h", "2 days ago"."""
    if moment is None:
        return NOT_KNOWN
    distance = moment - clock.now()
    if abs(distance) < MINUTE:
        return "now"
    amount = _round_amount(abs(distance))
    return f"in {amount}" if distance > timedelta(0) else f"{amount} ago"


def _round_amount(length: timedelta) -> str:
    if length < HOUR:
        return f"{length // MINUTE} min"
    if length < 2 * DAY:
        return f"{length // HOUR} h"
    return f"{length // DAY} days"


def minutes_in_words(minutes: int | None) -> str:
    """An amount of work or downtime: "1 h 30 min"."""
    if minutes is None:
        return NOT_KNOWN
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else ""]
    return " ".join(filter(None, parts))


def probability_in_words(probability: float | None) -> str:
    return "not enough data" if probability is None else percent(probability)


def value_in_words(value: float, unit: str) -> str:
    """A measured value with four digits that count, and its unit."""
    return with_unit(value, unit)


def passing_in_words(p10: datetime | None, p50: datetime | None, p90: datetime | None) -> str:
    """When a limit will probably be passed, by three quantiles of the date; a quantile beyond the horizon is None."""
    if p10 is None:
        return "not within the horizon"
    earliest = day_in_words(p10)
    if p50 is None:
        return f"{earliest} at the earliest"
    latest = day_in_words(p90) if p90 else "after the horizon"
    return f"{day_in_words(p50)} (between {earliest} and {latest})"
