"""Every page of the managers' admin opens, for those who may, and stays as quick with more rows."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from equipment.models import KeyRestriction, Verdict
from equipment.services import record_failure
from maintenance.models import Absence, MaintenanceTask, ReplayRun, StandardJob
from maintenance.services.completing import Finding, complete_task
from maintenance.services.replays import start_replay
from maintenance.services.scheduling import reassign_task
from maintenance.services.tasks import Actor, start_task
from predictions.agents import score_predictions
from predictions.services.requesting import request_prediction_by_person
from predictions.services.scoring import request_score
from sensors.agents import count_events
from sensors.ingest.parsed import from_columns
from sensors.models import KeyAllowance, SensorAlias, SensorNaming
from sensors.services.ingest import ingest_readings
from sensors.storage import microseconds
from sensors.storage.kinds import kind
from smartmaint import clock
from smartmaint.accounts.scoped_admin import ScopedModelAdmin
from smartmaint.accounts.services import issue_api_key
from smartmaint.notifications.models import Severity
from smartmaint.notifications.services.preferences import set_preference
from smartmaint.notifications.services.telling import notify
from tests.admin.conftest import make_anomaly, run_agents
from tests.event_rules import make_rule, report
from tests.plants import make_plant, make_skill, make_standard_job, make_technician, post, set_policy

pytestmark = pytest.mark.django_db

OURS = {"notifications", "equipment", "sensors", "predictions", "maintenance"}
MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OURS),
    key=lambda one: one._meta.label,
)
FOR_ADMINS = {KeyRestriction, KeyAllowance, SensorNaming}


def address_of(model: type[Model], row: Model | None = None) -> str:
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    return f"{base}{row.pk}/change/" if row else base


@pytest.fixture
def story(plant, proposed_task, manager, ingest_key):
    """At least one row of every model that has a page."""
    make_anomaly(plant)
    actor = Actor(user=manager, is_manager=True)
    task = MaintenanceTask.objects.get(pk=proposed_task.pk)
    task.status = "pending"
    task.save()
    starts_at = clock.now() + timedelta(days=1)
    reassign_task(task=task, technician=plant.technician, starts_at=starts_at, user=manager)
    task = start_task(task=task, actor=actor)
    complete_task(
        task=task,
        actor=actor,
        finding=Finding(Verdict.FAILED_BEFORE_REPAIR, failure_mode=plant.failure_mode, downtime_minutes=30),
    )
    score_predictions()
    make_standard_job(plant.failure_mode, skills=("Laser alignment",))
    make_technician(plant.organization, username="skilled", skills=("Vibration analysis",))
    Absence.objects.create(
        organization=plant.organization,
        technician=plant.technician,
        period=(clock.now(), clock.now() + timedelta(days=3)),
    )
    what_comes_of_a_key(plant, ingest_key[0])
    tell_people(plant)
    start_a_replay(plant.organization, manager)
    return plant


def start_a_replay(organization, user) -> None:
    text = b"datetime,machineID,volt\n2015-01-01 06:00:00,1,170\n"
    start_replay(
        run=ReplayRun(organization=organization, name="Last year"),
        files={"PdM_telemetry.csv": text},
        user=user,
    )


def tell_people(plant) -> None:
    """What somebody wants to hear, and something that they are told."""
    user, organization = plant.technician.user, plant.organization
    set_preference(user=user, organization=organization, severities=["critical"], by_email=True)
    notify(
        organization=organization,
        recipients=[user],
        key=f"drill {plant.machine.pk}",
        severity=Severity.CRITICAL,
        subject="A drill",
    )


def what_comes_of_a_key(plant, api_key) -> None:
    owned = {"organization": plant.organization, "api_key": api_key}
    KeyRestriction.objects.create(**owned, equipment=plant.machine)
    KeyAllowance.objects.create(**owned, readings_per_s=1000)
    make_rule(plant, name=f"Errors of {plant.machine.tag}")
    report(plant, 0)
    count_events()
    SensorNaming.objects.create(**owned, template="{machine}/{field}")
    SensorAlias.objects.create(
        organization=plant.organization, key=f"{plant.machine.tag}.RMS", sensor=plant.sensor
    )
    unknown = from_columns(
        keys=[f"{plant.machine.tag}/unheard of"], ts_us=[microseconds(clock.now())], values=[1.0]
    )
    ingest_readings(**owned, parsed=unknown)


def test_every_model_of_the_domain_has_a_scoped_page():
    assert len(MODELS) == 36
    assert all(isinstance(admin.site._registry[model], ScopedModelAdmin) for model in MODELS)


def rows_of_story(story) -> list[tuple[type[Model], Model]]:
    found = [
        (model, model._default_manager.filter(organization=story.organization).first()) for model in MODELS
    ]
    assert [model for model, row in found if row is None] == [], "the story lacks rows"
    return found


def test_lists_and_pages_open_for_those_who_may(
    story, org_admin_client, manager_client, technician_client, outsider_client
):
    for model, row in rows_of_story(story):
        is_for_admins = model in FOR_ADMINS
        member = org_admin_client if is_for_admins else manager_client
        for page in (address_of(model), address_of(model, row), f"{address_of(model)}{row.pk}/history/"):
            assert member.get(page, follow=True).status_code == 200, page
            assert technician_client.get(page).status_code == 403, page
        assert outsider_client.get(address_of(model, row)).status_code == (403 if is_for_admins else 404), (
            model
        )


def test_what_keys_may_post_for_is_the_admins_affair(story, manager_client):
    for model in FOR_ADMINS:
        assert manager_client.get(address_of(model)).status_code == 403


def test_viewers_only_look(story, viewer_client):
    for model, row in rows_of_story(story):
        pages = (f"{address_of(model)}add/", address_of(model, row), f"{address_of(model)}{row.pk}/delete/")
        for page in pages:
            assert viewer_client.post(page, {"post": "yes"}).status_code == 403, page
        assert model._default_manager.filter(pk=row.pk).exists(), model


def test_the_operator_sees_all_organisations_and_changes_none(story, operator_client):
    for model, row in rows_of_story(story):
        assert operator_client.get(address_of(model)).status_code == 200, model
        assert operator_client.get(address_of(model, row)).status_code == 200, model
        assert operator_client.post(address_of(model, row), {}).status_code == 403, model


def queries_of(client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


# An organisation has one of each: its list is the page itself.
ONLY_ONE = {"maintenancepolicy", "ingestpolicy", "alarmpolicy"}
LISTS = [address_of(model) for model in MODELS if model._meta.model_name not in ONLY_ONE]


def more_of_everything(organization, name: str) -> None:
    plant = make_plant(organization, name=name)
    post(plant.sensor, [2.0, 7.9])
    make_anomaly(plant)
    make_technician(organization, username=f"skilled-{name}", skills=("Welding", "Alignment"))
    job = StandardJob.objects.create(organization=organization, title=name)
    skills = [make_skill(organization, "Welding"), make_skill(organization, "Alignment")]
    job.skills.set(skills, through_defaults={"organization": organization})
    tell_people(plant)
    key, _ = issue_api_key(organization=organization, name=name, scopes=["ingest"])
    what_comes_of_a_key(plant, key)
    record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=clock.now())
    request_score(
        predictions=request_prediction_by_person(sensor=plant.sensor), verdict="", happened_at=clock.now()
    )
    run_agents()


def test_lists_take_as_many_queries_for_many_rows_as_for_few(organization, org_admin_client):
    set_policy(organization, approval="automatic")
    more_of_everything(organization, "first")
    lists = [*LISTS, "/admin/predictions/prediction/?age=newest", "/admin/"]
    few = {address: queries_of(org_admin_client, address) for address in lists}
    for name in ("second", "third", "fourth"):
        more_of_everything(organization, name)
    many = {address: queries_of(org_admin_client, address) for address in lists}
    assert many == few


def test_the_operator_alone_sees_where_readings_stand(story, operator_client, org_admin_client):
    page = operator_client.get("/admin/sensors/readingbatch/storage/").content.decode()
    for words in ("Storage of readings", "room for readings", "compression", "730 days", kind().facts().name):
        assert words in page, words
    assert "/admin/sensors/readingbatch/storage/" in operator_client.get("/admin/").content.decode()
    assert org_admin_client.get("/admin/sensors/readingbatch/storage/").status_code == 403
    assert operator_client.post("/admin/sensors/readingbatch/storage/").status_code == 405
