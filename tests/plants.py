"""A small plant for tests, made of real rows: one machine with one sensor, and a technician who is always there."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site, State
from maintenance.models import (
    Certificate,
    MaintenancePolicy,
    MaintenanceTask,
    Shift,
    Skill,
    StandardJob,
    StandardJobSkill,
    TaskType,
    Technician,
)
from maintenance.services.tasks import create_task
from predictions.models import Prediction
from sensors.ingest.parsed import from_columns
from sensors.models import Level, Limit, Sensor
from sensors.services.ingest import Receipt, ingest_readings
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import Organization, Role, User
from smartmaint.accounts.services import add_member


@dataclass
class Plant:
    organization: Organization
    site: Site
    machine: Equipment
    sensor: Sensor
    limit: Limit
    technician: Technician
    failure_mode: FailureMode


def make_plant(organization: Organization, *, name: str = "pump-7", limit: float = 7.1) -> Plant:
    """One pump with a vibration sensor and a high limit; on-delay 0, so that one reading beyond it counts."""
    site, _ = Site.objects.get_or_create(organization=organization, name="Works")
    pumps = EquipmentClass.objects.get(organization=organization, code="PU")
    vibration = FailureMode.objects.get(organization=organization, equipment_class=pumps, code="VIB")
    machine = Equipment.objects.create(
        organization=organization,
        site=site,
        tag=name.upper(),
        name=f"Pump {name}",
        equipment_class=pumps,
        criticality=Criticality.B,
    )
    sensor = make_sensor(machine, f"{name}/vibration")
    return Plant(
        organization=organization,
        site=site,
        machine=machine,
        sensor=sensor,
        limit=make_limit(sensor, value=limit, failure_mode=vibration),
        technician=make_technician(organization, username=f"tech-{name}"),
        failure_mode=vibration,
    )


def make_sensor(machine: Equipment, key: str, **fields: object) -> Sensor:
    usual = {"quantity": "vibration velocity", "unit": "mm/s", "expected_interval_s": 300}
    return Sensor.objects.create(
        organization=machine.organization, equipment=machine, key=key, **(usual | fields)
    )


def make_limit(
    sensor: Sensor, *, value: float, failure_mode: FailureMode, level: str = Level.HIGH, **fields: object
) -> Limit:
    return Limit.objects.create(
        organization=sensor.organization,
        sensor=sensor,
        level=level,
        value=value,
        failure_mode=failure_mode,
        **fields,
    )


def make_technician(
    organization: Organization, *, username: str, skills: tuple[str, ...] = (), user: User | None = None
) -> Technician:
    """A technician with a shift around the clock on every day."""
    if user is None:
        user = add_member(
            organization=organization, role=Role.TECHNICIAN, username=username, password="a long pass phrase"
        ).user
    technician = Technician.objects.create(organization=organization, user=user)
    for weekday in range(7):
        for begin, end in ((time(0), time(12)), (time(12), time(0))):
            Shift.objects.create(
                organization=organization,
                technician=technician,
                weekday=weekday,
                starts_at=begin,
                ends_at=end,
            )
    for skill in skills:
        Certificate.objects.create(
            organization=organization, technician=technician, skill=make_skill(organization, skill)
        )
    return technician


def make_skill(organization: Organization, name: str) -> Skill:
    return Skill.objects.get_or_create(organization=organization, name=name)[0]


def make_standard_job(
    failure_mode: FailureMode, *, skills: tuple[str, ...] = (), minutes: int = 60
) -> StandardJob:
    job = StandardJob.objects.create(
        organization=failure_mode.organization,
        title=f"Mend {failure_mode.name.lower()} of {failure_mode.equipment_class}",
        failure_mode=failure_mode,
        duration_minutes=minutes,
    )
    for skill in skills:
        StandardJobSkill.objects.create(
            organization=job.organization, standard_job=job, skill=make_skill(job.organization, skill)
        )
    return job


def set_policy(organization: Organization, **fields: object) -> None:
    MaintenancePolicy.objects.filter(organization=organization).update(**fields)


def post(
    sensor: Sensor,
    values: list[float],
    *,
    last_at: datetime | None = None,
    interval: timedelta = timedelta(minutes=5),
    historical: bool = False,
    quality: int = 0,
) -> Receipt:
    """Readings through the ingest service, evenly spaced, the last one at `last_at` (now)."""
    last_us = microseconds(last_at or clock.now())
    count = len(values)
    step_us = interval // timedelta(microseconds=1)
    return ingest_readings(
        organization=sensor.organization,
        parsed=from_columns(
            keys=[sensor.key] * count,
            ts_us=last_us - step_us * np.arange(count - 1, -1, -1, dtype=np.int64),
            values=values,
            quality=[quality] * count,
            historical=historical,
        ),
    )


def put_into_a_train(plant: Plant, *, state: State = State.OPERATING) -> Equipment:
    """Make the plant's machine part of another one, in that state; returns it."""
    train = Equipment.objects.create(
        organization=plant.organization,
        site=plant.site,
        tag="TRAIN",
        name="Train",
        equipment_class=plant.machine.equipment_class,
        state=state,
    )
    plant.machine.parent = train
    plant.machine.save()
    return train


def foretell(plant: Plant, *, p7: float = 0.1, p30: float = 0.8, **fields: object) -> Prediction:
    """A ledger row as the agent would have made it."""
    now = clock.now()
    usual = {
        "organization": plant.organization,
        "sensor": plant.sensor,
        "limit": plant.limit,
        "trigger": "period",
        "status": "made",
        "made_at": now,
        "cutoff_at": now,
        "limit_value": plant.limit.value,
        "direction": "high",
        "horizon_days": 90,
        "p_1d": 0.0,
        "p_7d": p7,
        "p_14d": p7,
        "p_30d": p30,
        "p_90d": max(p30, 0.9),
        "passes_p10_at": now + timedelta(days=8),
        "explanation": {"words": "It rises."},
    }
    return Prediction.objects.create(**(usual | fields))


def make_task(plant: Plant, manager: User, **fields: object) -> MaintenanceTask:
    """A manager's own order on the plant's machine, approved and waiting for a booking."""
    usual = {
        "equipment": plant.machine,
        "failure_mode": plant.failure_mode,
        "type": TaskType.CORRECTIVE,
        "title": "Change the bearing",
        "created_by": manager,
    }
    return create_task(**(usual | fields))
