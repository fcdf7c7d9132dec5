"""A day at a plant, and what was silent on it."""

from datetime import UTC, datetime, timedelta

from sensors.agents import notice_silence, validate_anomalies
from sensors.ingest.parsed import from_columns
from sensors.models import (
    Anomaly,
    Sensor,
)
from sensors.services.absences import AWAY_AFTER
from sensors.services.ingest import ingest_readings
from sensors.storage import microseconds
from smartmaint import clock

START = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Day:
    """A day at the plant: the agent looks as seldom as it may while time goes on."""

    def __init__(self) -> None:
        self.now = START
        self.look()

    def look(self) -> None:
        with clock.frozen(self.now):
            notice_silence()

    def go_on(self, length: timedelta) -> None:
        end = self.now + length
        while self.now < end:
            self.now = min(self.now + AWAY_AFTER, end)
            self.look()

    def post(self, *sensors: Sensor, api_key=None, **how) -> None:
        with clock.frozen(self.now):
            parsed = from_columns(
                keys=[sensor.key for sensor in sensors],
                ts_us=[microseconds(self.now)] * len(sensors),
                values=[2.0] * len(sensors),
                **how,
            )
            ingest_readings(organization=sensors[0].organization, parsed=parsed, api_key=api_key)

    def judge(self) -> None:
        with clock.frozen(self.now):
            validate_anomalies()


def silences() -> list[tuple[str, datetime, datetime | None]]:
    rows = Anomaly.objects.filter(kind=Anomaly.Kind.NO_DATA).order_by("started_at", "sensor__key")
    return list(rows.values_list("sensor__key", "started_at", "ended_at"))
