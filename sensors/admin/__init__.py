"""Managers' pages of sensors: what is measured, what was noticed, how it is judged, and what came in."""

from sensors.admin.alarms import AlarmAdmin, AlarmPolicyAdmin
from sensors.admin.anomalies import AnomalyAdmin
from sensors.admin.batches import ReadingBatchAdmin
from sensors.admin.event_rules import EventCountAdmin, EventRuleAdmin
from sensors.admin.events import MachineEventAdmin
from sensors.admin.naming import SensorNamingAdmin
from sensors.admin.policies import IngestPolicyAdmin
from sensors.admin.rejected import RejectedReadingAdmin
from sensors.admin.rules import ValidationRuleAdmin
from sensors.admin.sensors import LimitAdmin, SensorAdmin
from sensors.admin.unknown import SensorAliasAdmin, UnknownSensorAdmin
from sensors.admin.usage import KeyAllowanceAdmin, KeyUsageAdmin, show_usage_on_keys

__all__ = [
    "AlarmAdmin",
    "AlarmPolicyAdmin",
    "AnomalyAdmin",
    "EventCountAdmin",
    "EventRuleAdmin",
    "IngestPolicyAdmin",
    "KeyAllowanceAdmin",
    "KeyUsageAdmin",
    "LimitAdmin",
    "MachineEventAdmin",
    "ReadingBatchAdmin",
    "RejectedReadingAdmin",
    "SensorAdmin",
    "SensorAliasAdmin",
    "SensorNamingAdmin",
    "UnknownSensorAdmin",
    "ValidationRuleAdmin",
]

show_usage_on_keys()
