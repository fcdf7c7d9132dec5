"""Rules that count machine events, and events as a controller reports them, for tests."""

from datetime import UTC, datetime, timedelta

from sensors.agents import count_events, detect_anomalies, validate_anomalies
from sensors.ingest.events import EventRow, ParsedEvents
from sensors.models import EventCount, EventRule, Reading
from sensors.services.events import record_events
from sensors.storage import microseconds
from smartmaint import clock

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_rule(plant, **fields) -> EventRule:
    usual = {"name": "Drive errors", "code": "E1*", "times": 3, "within_hours": 24}
    usual |= {"organization": plant.organization, "failure_mode": plant.failure_mode}
    return EventRule.objects.create(**usual | {"equipment_class": plant.machine.equipment_class} | fields)


def report(plant, *hours_ago, code="E17", kind="error", message=""):
    """Events of the plant's machine, as a controller reports them."""
    rows = [
        EventRow(
            index=number,
            equipment=plant.machine.tag,
            code=code,
            ts_us=microseconds(clock.now() - hours * HOUR),
            kind=kind,
            message=message,
        )
        for number, hours in enumerate(hours_ago)
    ]
    return record_events(organization=plant.organization, parsed=ParsedEvents(rows=rows))


def counts(sensor=None):
    """The readings of the count, as hours before ten o'clock, and values."""
    sensor = sensor or EventCount.objects.get().sensor
    readings = Reading.objects.filter(sensor=sensor).order_by("ts")
    return [((ts - NOW) / HOUR, value) for ts, value in readings.values_list("ts", "value")]


def work():
    for agent in (count_events, detect_anomalies, validate_anomalies):
        agent()


def later(hours):
    return clock.frozen(NOW + hours * HOUR)
