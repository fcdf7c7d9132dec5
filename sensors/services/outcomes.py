"""What detection comes to, sensor by sensor."""

from dataclasses import dataclass
from datetime import datetime

from sensors.detection.excursions import Excursion
from sensors.models import DetectorState, Sensor
from sensors.services.news import Touched


@dataclass
class SensorDetection:
    """What detection came to for one sensor. `quiet_until_us`: see `scoring`.

    `anew_from` is the moment from which all was scored anew, None where the detector went on.
    """

    touched: Touched
    sensor: Sensor
    state: DetectorState
    excursions: list[Excursion]
    quiet_until_us: int | None
    told_until: datetime | None
    anew_from: datetime | None = None
    is_kept: bool = False

    def may_open_anomaly(self, excursion: Excursion) -> bool:
        if self.quiet_until_us is None:
            return False
        return excursion.ended_us is None or excursion.ended_us > self.quiet_until_us


@dataclass
class SensorFailure:
    """That the detection of one sensor failed; it stops no other sensor of its batches."""

    touched: Touched
    error: Exception


Outcome = SensorDetection | SensorFailure
