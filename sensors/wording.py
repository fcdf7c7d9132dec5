"""Silence in words, for every page that shows it."""

from django.utils.formats import date_format, localize
from django.utils.timezone import localtime

from sensors.models import Anomaly
from smartmaint import clock

_UNITS = ((172_800, 86_400, "days"), (3_600, 3_600, "h"), (60, 60, "min"))


def interval_in_words(seconds: float) -> str:
    """A length of time with up to three digits that count: "5 min", "1.5 h", "0.25 s"."""
    for least, size, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def silence_in_words(silence: Anomaly) -> str:
    """Since when nothing came, and how often something should: "no data since 14:05, expected every 5 min"."""
    begin, today = localtime(silence.started_at), localtime(clock.now()).date()
    since = date_format(begin, "TIME_FORMAT") if begin.date() == today else localize(begin)
    if silence.ended_at is None:
        return (
            f"no data since {since}, expected every {interval_in_words(silence.sensor.expected_interval_s)}"
        )
    length = interval_in_words((silence.ended_at - silence.started_at).total_seconds())
    return f"no data for {length} from {since}, expected every {interval_in_words(silence.sensor.expected_interval_s)}"
