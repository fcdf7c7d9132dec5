"""Two organisations with a row of every kind, told apart by their ids and words.

The first row of each table has the same id, the organisation's `FIRST_ID`. So an address can be pointed at a row of
either organisation without knowing which table it speaks of, and an id that is seen in a page tells whose it is.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.apps import apps
from django.db import connection, models
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from equipment.models import Equipment, KeyRestriction, Verdict
from equipment.services import record_failure
from maintenance.agents import report_maintenance, schedule_tasks
from maintenance.models import Absence, MaintenanceTask, ReplayRun, TaskType
from maintenance.services.completing import Finding, complete_task, correct_log
from maintenance.services.replays import start_replay
from maintenance.services.tasks import Actor, create_task, start_task
from predictions.agents import close_horizons, make_predictions, report_forecasts, score_predictions
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import count_events, detect_anomalies, report_condition, validate_anomalies
from sensors.ingest.events import EventRow, ParsedEvents
from sensors.ingest.formats import json as json_format
from sensors.ingest.parsed import from_columns
from sensors.models import (
    AlarmFlood,
    Anomaly,
    EventRule,
    KeyAllowance,
    PlannedStop,
    RefusedRequests,
    SenderAbsence,
    SensorAlias,
    SensorNaming,
    SparkplugBirth,
)
from sensors.services.events import record_events
from sensors.services.ingest import ingest_readings
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, Role, Scope, User
from smartmaint.accounts.scoping import OrganizationOwned
from smartmaint.accounts.services import add_member, create_organization, issue_api_key
from smartmaint.notifications.agents import deliver_notifications
from smartmaint.notifications.models import Severity
from smartmaint.notifications.services.preferences import set_preference
from smartmaint.notifications.services.telling import notify
from tests.plants import Plant, make_plant, make_skill, make_standard_job, make_technician, set_policy

OWN_IDS, FOREIGN_IDS = 520_000_000, 731_000_000


@dataclass(frozen=True)
class World:
    """One organisation with its plant, a person in each role, and a key with every scope."""

    organization: Organization
    plant: Plant
    people: dict[Role, User]
    secret: str
    first_id: int

    @property
    def sensor_key(self) -> str:
        return self.plant.sensor.key


def build_world(*, name: str, first_id: int, sensor: str) -> World:
    """Make the rows as the product makes them, from posted readings to a corrected finding."""
    _number_rows_from(first_id)
    organization = create_organization(name=name, time_zone="Europe/Berlin")
    set_policy(organization, approval="automatic", daily_budget=None, cooldown_hours=0)
    people = {role: _member(organization, role, name) for role in Role}
    api_key, secret = issue_api_key(
        organization=organization, name="gateway", scopes=Scope.values, created_by=people[Role.ADMIN]
    )
    plant = _make_plant(organization, people, sensor)
    KeyRestriction.objects.create(organization=organization, api_key=api_key, equipment=plant.machine)
    _live_through_a_failure(plant, people, api_key)
    _set_up_a_gateway(plant, api_key)
    start_replay(
        run=ReplayRun(
            organization=organization, name="Last year", report=["1 of 1"], tasks_csv="x", failed_because="y"
        ),
        files={"PdM_telemetry.csv": b"datetime,machineID,volt\n2015-01-01 06:00:00,1,170\n"},
        user=people[Role.MANAGER],
    )
    _tell_people(organization, people)
    for report in (report_condition, report_forecasts, report_maintenance):
        report()
    return World(organization, plant, people, secret, first_id)


def _member(organization: Organization, role: Role, word: str) -> User:
    username = f"{role}-{word.lower()}"
    return add_member(
        organization=organization, role=role, username=username, password="a long pass phrase"
    ).user


def _make_plant(organization: Organization, people: dict[Role, User], sensor: str) -> Plant:
    technician = make_technician(
        organization, username="", user=people[Role.TECHNICIAN], skills=("vibration analysis",)
    )
    plant = make_plant(organization, name=sensor)
    technician.home_site = plant.site
    technician.save()
    make_standard_job(plant.failure_mode, skills=("vibration analysis",))
    make_skill(organization, "welding")
    Absence.objects.create(
        organization=organization,
        technician=technician,
        period=DateTimeTZRange(clock.now() + timedelta(days=20), clock.now() + timedelta(days=21)),
        reason="Leave",
    )
    Equipment.objects.create(
        organization=organization,
        site=plant.site,
        parent=plant.machine,
        tag=f"{plant.machine.tag}-M",
        name="Motor",
        equipment_class=plant.machine.equipment_class,
    )
    return plant


def _live_through_a_failure(plant: Plant, people: dict[Role, User], api_key: ApiKey) -> None:
    """From readings to a task, its finding and the correction of that; then work that is still to do."""
    last_year = clock.now() - timedelta(days=365)
    record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=last_year)
    _post_by_key(api_key, plant, [2.0, 7.9])
    _run_agents()
    actor = Actor(user=people[Role.TECHNICIAN], is_manager=False)
    task = start_task(task=MaintenanceTask.objects.get(equipment=plant.machine), actor=actor)
    finding = Finding(Verdict.FAILED_BEFORE_REPAIR, failure_mode=plant.failure_mode, notes="Bearing broke")
    log = complete_task(task=task, actor=actor, finding=finding)
    correct_log(log=log, actor=actor, finding=finding)
    create_task(
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        type=TaskType.INSPECTION,
        title="Look at the base plate",
        created_by=people[Role.MANAGER],
    )
    _run_agents()
    request_prediction_by_person(sensor=plant.sensor)


def _tell_people(organization: Organization, people: dict[Role, User]) -> None:
    """A message for everybody, of which the first was delivered, and what each wants to hear."""
    for user in people.values():
        set_preference(user=user, organization=organization, severities=["critical"], by_email=False)
    notify(
        organization=organization,
        recipients=people.values(),
        key="drill",
        severity=Severity.CRITICAL,
        subject="A drill",
        body="Nothing to do",
        link="/machines/",
        about="the plant",
    )
    deliver_notifications()


def _set_up_a_gateway(plant: Plant, api_key: ApiKey) -> None:
    """How its readings are named and limited, and one that came for nobody: a line of the inbox, and kept."""
    owned = {"organization": plant.organization}
    SensorAlias.objects.create(**owned, key="RMS", sensor=plant.sensor)
    SensorNaming.objects.create(**owned, api_key=api_key, template="{site}/{field}")
    KeyAllowance.objects.create(**owned, api_key=api_key, readings_per_s=1000)
    SparkplugBirth.objects.create(
        **owned, session="bridge", speaker="works/edge", metrics=[["vibration", 1, "Double"]]
    )
    PlannedStop.objects.create(**owned, equipment=plant.machine, ended_at=clock.now())
    SenderAbsence.objects.create(
        **owned,
        api_key=api_key,
        anomaly=Anomaly.objects.get(sensor=plant.sensor),
        began_at=clock.now(),
        ended_at=clock.now(),
    )
    EventRule.objects.create(
        **owned,
        name="Overloads",
        equipment_class=plant.machine.equipment_class,
        failure_mode=plant.failure_mode,
        times=2,
    )
    event = EventRow(0, plant.machine.tag, "E17", microseconds(clock.now()), "error", "Overload")
    record_events(organization=plant.organization, parsed=ParsedEvents(rows=[event]), api_key=api_key)
    count_events()
    AlarmFlood.objects.create(**owned, began_at=clock.now())
    RefusedRequests.objects.create(**owned, api_key=api_key, hour=clock.now(), code="malformed", count=2)
    parsed = from_columns(keys=["Nobody"], ts_us=[microseconds(clock.now())], values=[3.0])
    ingest_readings(organization=plant.organization, parsed=parsed, api_key=api_key, format="JSON")


def _post_by_key(api_key: ApiKey, plant: Plant, values: list[float]) -> None:
    readings = [
        {"sensor": plant.sensor.key, "ts": (clock.now() - timedelta(minutes=age)).isoformat(), "value": value}
        for age, value in enumerate(reversed(values))
    ]
    parsed = json_format.parse(json.dumps({"readings": readings}).encode(), zone=None)
    ingest_readings(organization=plant.organization, parsed=parsed, api_key=api_key)


def _run_agents() -> None:
    for agent in (
        detect_anomalies,
        validate_anomalies,
        make_predictions,
        schedule_tasks,
        score_predictions,
        close_horizons,
    ):
        agent()


def owned_models() -> list[type[OrganizationOwned]]:
    """Every table whose rows belong to an organisation."""
    return sorted(_concrete(OrganizationOwned), key=lambda model: model._meta.label)


def _concrete(parent: type[models.Model]) -> Iterator[type[models.Model]]:
    for model in parent.__subclasses__():
        if not model._meta.abstract:
            yield model
        yield from _concrete(model)


def models_with_organization() -> list[type[models.Model]]:
    """The owned models, and the tables that keep their earlier versions."""
    return [
        model
        for model in apps.get_models()
        if any(
            field.name == "organization" and field.related_model is Organization
            for field in model._meta.fields
        )
    ]


def _number_rows_from(first_id: int) -> None:
    """Let the next row of every table, which is the organisation's first, have the id `first_id`."""
    with connection.cursor() as cursor:
        for model in [User, Organization, *models_with_organization()]:
            key = model._meta.pk
            if isinstance(key, models.AutoField | models.BigAutoField):
                cursor.execute(
                    "SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)",
                    [model._meta.db_table, key.column, first_id],
                )
