"""Completing a task by the API: the same rules as on the page, told by field."""

import pytest

from equipment.models import FailureMode, Verdict
from maintenance.models import MaintenanceLog, MaintenanceTask
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import Actor, approve_task, start_task
from tests.plants import foretell, make_plant

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(organization, manager):
    task = propose_task(foretell(make_plant(organization))).task
    return start_task(task=approve_task(task=task, user=manager), actor=Actor(user=manager, is_manager=True))


def complete(client, task, **body):
    return client.post(f"/api/v1/tasks/{task.pk}/complete", body, content_type="application/json")


def test_a_finding_that_contradicts_itself_is_refused_by_field(manager_client, task):
    answer = complete(manager_client, task, verdict=Verdict.CONFIRMED_ANOTHER_MODE)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["errors"] == {
        "failure_mode": ["This is the mode that was predicted. Choose the one you found."]
    }
    assert MaintenanceLog.objects.count() == 0


def test_a_second_completion_is_a_conflict(manager_client, task):
    assert complete(manager_client, task, verdict=Verdict.EARLY).status_code == 201
    answer = complete(manager_client, task, verdict=Verdict.EARLY)
    assert (answer.status_code, answer.json()["detail"]) == (409, f"{task.number} is completed already.")


def make_mode(task, code: str, *, equipment_class=None) -> FailureMode:
    return FailureMode.objects.create(
        organization=task.organization, equipment_class=equipment_class, code=code, name="Made for a test"
    )


def mode_found(client, task, code: str) -> FailureMode:
    answer = complete(client, task, verdict=Verdict.EARLY, failure_mode=code)
    assert answer.status_code == 201, answer.json()
    return MaintenanceLog.objects.get().failure_mode


def test_a_code_means_the_tasks_own_mode_first(manager_client, task):
    own = make_mode(task, "XYZ")
    make_mode(task, "XYZ", equipment_class=task.equipment.equipment_class)
    MaintenanceTask.objects.update(failure_mode=own)
    assert mode_found(manager_client, task, "XYZ") == own


def test_a_code_means_the_mode_of_the_machines_class_before_the_general_one(manager_client, task):
    make_mode(task, "XYZ")
    of_class = make_mode(task, "XYZ", equipment_class=task.equipment.equipment_class)
    assert mode_found(manager_client, task, "XYZ") == of_class


def test_a_code_that_no_mode_of_the_class_has_means_the_general_one(manager_client, task):
    general = make_mode(task, "XYZ")
    assert mode_found(manager_client, task, "XYZ") == general
