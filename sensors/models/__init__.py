from sensors.models.anomalies import (
    Anomaly,
    AnomalyFinding,
    AnomalyStatus,
    Baseline,
    DetectorState,
    ValidationRule,
)
from sensors.models.events import MachineEvent
from sensors.models.ingest import (
    IngestPolicy,
    KeyAllowance,
    KeyMeter,
    KeyUsage,
    RefusedRequests,
    RejectedReading,
    SensorAlias,
    SensorNaming,
    UnknownSensor,
)
from sensors.models.readings import (
    DailyRollup,
    FiveMinuteRollup,
    HourlyRollup,
    Quality,
    Reading,
    ReadingBatch,
    SensorLatest,
)
from sensors.models.sensors import Direction, Level, Limit, Sensor
from sensors.models.silence import PlannedStop, SenderAbsence, ServiceAbsence, SilenceWatch
from sensors.models.sparkplug import SparkplugBirth

__all__ = [
    "Anomaly",
    "AnomalyFinding",
    "AnomalyStatus",
    "Baseline",
    "DailyRollup",
    "DetectorState",
    "Direction",
    "FiveMinuteRollup",
    "HourlyRollup",
    "IngestPolicy",
    "KeyAllowance",
    "KeyMeter",
    "KeyUsage",
    "Level",
    "Limit",
    "MachineEvent",
    "PlannedStop",
    "Quality",
    "Reading",
    "ReadingBatch",
    "RefusedRequests",
    "RejectedReading",
    "SenderAbsence",
    "Sensor",
    "SensorAlias",
    "SensorLatest",
    "SensorNaming",
    "ServiceAbsence",
    "SilenceWatch",
    "SparkplugBirth",
    "UnknownSensor",
    "ValidationRule",
]
