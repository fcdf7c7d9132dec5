"""Anomalies in words, for every page that shows them."""

from django.utils.formats import date_format, localize
from django.utils.timezone import localtime

from sensors.models import Anomaly, Direction, Pattern
from smartmaint import clock

_UNITS = ((172_800, 86_400, "days"), (3_600, 3_600, "h"), (60, 60, "min"))

_PATTERN_WORDS = {
    Pattern.SPIKE: ", a spike",
    Pattern.SHIFT: ", a new level",
    Pattern.DRIFT: ", a slow drift",
    Pattern.COURSE: " for this hour",
}


def interval_in_words(seconds: float) -> str:
    """A length of time with up to three digits that count: "5 min", "1.5 h", "0.25 s"."""
    for least, size, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def excursion_in_words(anomaly: Anomaly) -> str:
    """What an excursion is: "unlike its own past: unusually high, a spike", "beyond a limit, too low"."""
    if not anomaly.pattern:
        return f"{anomaly.get_kind_display()}, too {anomaly.direction}"
    return f"{anomaly.get_kind_display()}: {pattern_in_words(anomaly)}"


def pattern_in_words(anomaly: Anomaly) -> str:
    """In what way a sensor is unlike its own past: "unusually high, a spike"."""
    match anomaly.pattern:
        case Pattern.NOISE:
            return "unusually restless" if anomaly.direction == Direction.HIGH else "unusually calm"
        case Pattern.STUCK:
            return "always at the same value"
        case Pattern.RATE:
            return f"moving {'up' if anomaly.direction == Direction.HIGH else 'down'} faster than it can"
        case _:
            words = _PATTERN_WORDS.get(anomaly.pattern, "")
            return f"unusually {anomaly.direction}{words}"


def expectation_of(anomaly: Anomaly) -> str:
    """What its expected value is, which follows: "its own past would have" 3.2 mm/s."""
    return "it could have come to" if anomaly.pattern == Pattern.RATE else "its own past would have"


def state_in_words(anomaly: Anomaly) -> str:
    """How its sensor is: "is silent", "is beyond its H limit", "is unusually high, a spike"."""
    if anomaly.kind == Anomaly.Kind.NO_DATA:
        return "is silent"
    if anomaly.limit is not None:
        return f"is beyond its {anomaly.limit.get_level_display()} limit"
    return f"is {pattern_in_words(anomaly)}"


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
