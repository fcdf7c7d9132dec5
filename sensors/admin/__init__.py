"""Managers' pages of sensors: what is measured, what was noticed, how it is judged, and what came in."""

from sensors.admin.anomalies import AnomalyAdmin, ValidationRuleAdmin
from sensors.admin.batches import ReadingBatchAdmin
from sensors.admin.sensors import LimitAdmin, SensorAdmin

__all__ = ["AnomalyAdmin", "LimitAdmin", "ReadingBatchAdmin", "SensorAdmin", "ValidationRuleAdmin"]
