from equipment.models.health import Health, HealthDay, HealthPart, Part
from equipment.models.plant import (
    PLANNED_STOPS,
    Criticality,
    Equipment,
    EquipmentClass,
    EquipmentQuerySet,
    Failure,
    FailureMode,
    KeyRestriction,
    Site,
    State,
    Verdict,
)

__all__ = [
    "PLANNED_STOPS",
    "Criticality",
    "Equipment",
    "EquipmentClass",
    "EquipmentQuerySet",
    "Failure",
    "FailureMode",
    "Health",
    "HealthDay",
    "HealthPart",
    "KeyRestriction",
    "Part",
    "Site",
    "State",
    "Verdict",
]
