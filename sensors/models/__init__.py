from sensors.models.anomalies import (
    Anomaly,
    AnomalyFinding,
    AnomalyStatus,
    Baseline,
    DetectorState,
    ValidationRule,
)
from sensors.models.readings import HourlyRollup, Quality, Reading, ReadingBatch, SensorLatest
from sensors.models.sensors import Direction, Level, Limit, Sensor

__all__ = [
    "Anomaly",
    "AnomalyFinding",
    "AnomalyStatus",
    "Baseline",
    "DetectorState",
    "Direction",
    "HourlyRollup",
    "Level",
    "Limit",
    "Quality",
    "Reading",
    "ReadingBatch",
    "Sensor",
    "SensorLatest",
    "ValidationRule",
]
