"""What managers do with tasks in the admin, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin import site
from django.forms import modelform_factory
from django.test import RequestFactory

from equipment.models import FailureMode
from maintenance.models import Booking, MaintenanceTask, TaskStatus
from maintenance.services.tasks import Actor, start_task
from smartmaint import clock
from tests.plants import make_technician

pytestmark = pytest.mark.django_db

TASKS = "/admin/maintenance/maintenancetask/"


def page_of(task: MaintenanceTask, verb: str) -> str:
    return f"{TASKS}{task.pk}/{verb}/"


def status_of(task: MaintenanceTask) -> str:
    return MaintenanceTask.objects.values_list("status", flat=True).get(pk=task.pk)


def test_a_proposed_task_is_approved_after_a_question(manager_client, manager, proposed_task):
    assert "Approve WO-" in manager_client.get(page_of(proposed_task, "approve")).content.decode()
    assert status_of(proposed_task) == TaskStatus.PROPOSED

    response = manager_client.post(page_of(proposed_task, "approve"))

    assert response.status_code == 302
    approved = MaintenanceTask.objects.get(pk=proposed_task.pk)
    assert (approved.status, approved.approved_by) == (TaskStatus.PENDING, manager)
    assert approved.due_at is not None


def test_a_second_approval_is_refused_in_words(manager_client, pending_task):
    response = manager_client.post(page_of(pending_task, "approve"))
    assert response.status_code == 200
    assert f"You cannot approve {pending_task.number}: it is pending." in response.content.decode()


def test_several_tasks_are_approved_at_once_and_the_others_are_named(
    manager_client, plant, manager, proposed_task
):
    started = MaintenanceTask.objects.create(
        organization=plant.organization,
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        type="inspection",
        title="Look",
        status=TaskStatus.IN_PROGRESS,
        started_at=clock.now(),
    )
    response = manager_client.post(
        TASKS,
        {"action": "approve_selected", "_selected_action": [proposed_task.pk, started.pk]},
        follow=True,
    )
    page = response.content.decode()
    assert "1 approved." in page
    assert f"You cannot approve {started.number}: it is in progress." in page
    assert (status_of(proposed_task), status_of(started)) == (TaskStatus.PENDING, TaskStatus.IN_PROGRESS)


def test_a_rejection_needs_a_reason(manager_client, proposed_task):
    response = manager_client.post(page_of(proposed_task, "reject"), {"reason": " "})
    assert response.context["form"].errors == {"reason": ["This field is required."]}
    assert status_of(proposed_task) == TaskStatus.PROPOSED

    manager_client.post(page_of(proposed_task, "reject"), {"reason": "Known: the sensor is loose"})

    rejected = MaintenanceTask.objects.get(pk=proposed_task.pk)
    assert rejected.status == TaskStatus.CANCELLED
    assert rejected.cancel_reason == "Known: the sensor is loose (mina)"


def test_rejecting_what_was_approved_is_refused_and_keeps_what_was_typed(manager_client, pending_task):
    response = manager_client.post(page_of(pending_task, "reject"), {"reason": "Too late"})
    page = response.content.decode()
    assert f"You cannot reject {pending_task.number}: it is pending." in page
    assert "Too late" in page


def test_a_cancelled_task_frees_its_technician(manager_client, plant, pending_task):
    # Its time is still to come; time that was begun stays in the diary.
    starts_at = clock.now() + timedelta(days=2)
    answers = reassignment(pending_task, starts_at, plant.technician.pk)
    manager_client.post(page_of(pending_task, "reassign"), answers)
    manager_client.post(page_of(pending_task, "cancel"), {"reason": "Machine is scrapped"})
    assert status_of(pending_task) == TaskStatus.CANCELLED
    assert not Booking.objects.filter(task=pending_task, is_active=True).exists()


def test_cancelling_twice_is_refused_in_words(manager_client, pending_task):
    manager_client.post(page_of(pending_task, "cancel"), {"reason": "Scrapped"})
    response = manager_client.post(page_of(pending_task, "cancel"), {"reason": "Again"})
    assert f"{pending_task.number} is cancelled already." in response.content.decode()


def reassignment(task: MaintenanceTask, starts_at: datetime, technician_id: int) -> dict:
    local = starts_at.astimezone(task.organization.zone)
    return {
        "technician": technician_id,
        "starts_at_0": f"{local:%Y-%m-%d}",
        "starts_at_1": f"{local:%H:%M}",
    }


def test_a_manager_books_somebody_by_hand_in_the_organisations_time(manager_client, plant, pending_task):
    other = make_technician(plant.organization, username="jana")
    starts_at = datetime(2031, 7, 1, 8, 0, tzinfo=plant.organization.zone)
    response = manager_client.post(
        page_of(pending_task, "reassign"), reassignment(pending_task, starts_at, other.pk)
    )
    assert response.status_code == 302
    booking = Booking.objects.get(task=pending_task, is_active=True)
    assert booking.technician == other
    assert booking.period.lower == datetime(2031, 7, 1, 6, 0, tzinfo=UTC)
    assert booking.period.upper - booking.period.lower == timedelta(minutes=pending_task.duration_minutes)


def test_a_booking_over_another_is_refused_in_words(manager_client, plant, pending_task, manager):
    starts_at = datetime(2031, 7, 1, 8, 0, tzinfo=plant.organization.zone)
    answers = reassignment(pending_task, starts_at, plant.technician.pk)
    manager_client.post(page_of(pending_task, "reassign"), answers)
    second = MaintenanceTask.objects.create(
        organization=plant.organization,
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        type="inspection",
        title="Look",
        status=TaskStatus.PENDING,
    )
    response = manager_client.post(page_of(second, "reassign"), answers)
    assert f"{plant.technician} has another job at that time." in response.content.decode()
    assert not Booking.objects.filter(task=second).exists()


def test_a_technician_of_another_organisation_cannot_be_booked(manager_client, pending_task, foreign_plant):
    answers = reassignment(pending_task, clock.now(), foreign_plant.technician.pk)
    response = manager_client.post(page_of(pending_task, "reassign"), answers)
    assert list(response.context["form"].errors) == ["technician"]


def new_task(plant, **changes) -> dict:
    form = {
        "equipment": plant.machine.pk,
        "failure_mode": plant.failure_mode.pk,
        "type": "inspection",
        "priority": "medium",
        "title": "Look at the seal",
        "description": "",
        "standard_job": "",
        "duration_minutes": "",
        "required_by_0": "",
        "required_by_1": "",
    }
    return form | changes


def test_a_manager_makes_a_task_by_hand(manager_client, manager, plant):
    assert manager_client.post(f"{TASKS}add/", new_task(plant)).status_code == 302
    task = MaintenanceTask.objects.get()
    assert (task.status, task.created_by, task.approved_by) == (TaskStatus.PENDING, manager, manager)
    assert (task.duration_minutes, task.due_at is not None) == (60, True)


def test_a_task_by_hand_is_not_predictive(manager_client, plant):
    response = manager_client.post(f"{TASKS}add/", new_task(plant, type="predictive"))
    assert list(response.context["adminform"].form.errors) == ["type"]


def test_a_failure_mode_of_another_class_is_refused_in_words(manager_client, plant):
    of_conveyors = FailureMode.objects.get(
        organization=plant.organization, equipment_class__code="CV", code="VIB"
    )
    response = manager_client.post(f"{TASKS}add/", new_task(plant, failure_mode=of_conveyors.pk))
    errors = response.context["adminform"].form.errors
    assert errors == {"failure_mode": [f"{plant.machine} is one of the pumps: choose a mode of theirs."]}


def test_a_change_touches_neither_the_status_nor_what_an_agent_wrote_meanwhile(manager_client, pending_task):
    form = {
        "title": "Another title",
        "description": "",
        "priority": "critical",
        "required_by_0": "",
        "required_by_1": "",
        "status": "completed",
        "bookings-TOTAL_FORMS": "0",
        "bookings-INITIAL_FORMS": "0",
    }
    response = manager_client.post(f"{TASKS}{pending_task.pk}/change/", form)
    assert response.status_code == 302
    changed = MaintenanceTask.objects.get(pk=pending_task.pk)
    assert (changed.title, changed.priority, changed.status) == ("Another title", "critical", "pending")
    assert changed.history.first().history_user.username == "mina"


def test_a_versions_row_holds_what_an_agent_wrote_while_the_form_was_sent(plant, pending_task):
    as_sent = MaintenanceTask.objects.get(pk=pending_task.pk)
    form = modelform_factory(MaintenanceTask, fields=["title"])({"title": "Another title"}, instance=as_sent)
    assert form.is_valid()
    MaintenanceTask.objects.update(technician=plant.technician)

    page = site.get_model_admin(MaintenanceTask)
    page.save_model(RequestFactory().post(TASKS), form.instance, form, change=True)

    version = pending_task.history.first()
    assert (version.title, version.technician) == ("Another title", plant.technician)


def test_a_closed_task_is_read_only(manager_client, pending_task):
    manager_client.post(page_of(pending_task, "cancel"), {"reason": "Scrapped"})
    address = f"{TASKS}{pending_task.pk}/change/"
    assert 'name="title"' not in manager_client.get(address).content.decode()
    assert manager_client.post(address, {"title": "Late"}).status_code == 403


def test_a_page_offers_what_can_be_done_now(manager_client, manager, proposed_task):
    address = f"{TASKS}{proposed_task.pk}/change/"

    def offered() -> list[str]:
        page = manager_client.get(address).content.decode()
        verbs = ["approve", "reject", "reassign", "cancel"]
        return [verb for verb in verbs if f"/{proposed_task.pk}/{verb}/" in page]

    assert offered() == ["approve", "reject"]
    manager_client.post(page_of(proposed_task, "approve"))
    assert offered() == ["reassign", "cancel"]
    start_task(task=proposed_task, actor=Actor(user=manager, is_manager=True))
    assert offered() == ["cancel"]


@pytest.mark.parametrize("bad_id", ["abc", "²", "99999999999999999999"])
def test_an_address_that_names_no_task_is_not_found(manager_client, bad_id):
    assert manager_client.get(f"{TASKS}{bad_id}/change/").status_code == 404


@pytest.mark.parametrize("technician", ["²", "abc", "-1"])
def test_a_technician_that_is_no_number_filters_nothing(manager_client, proposed_task, technician):
    response = manager_client.get(TASKS, {"technician": technician})
    assert [task.pk for task in response.context["cl"].result_list] == [proposed_task.pk]


def test_an_earlier_version_cannot_bring_its_status_back(manager_client, pending_task):
    version = pending_task.history.earliest()
    assert version.status == TaskStatus.PROPOSED
    manager_client.post(f"{TASKS}{pending_task.pk}/history/{version.pk}/", {"title": "Old"})
    assert status_of(pending_task) == TaskStatus.PENDING


@pytest.mark.parametrize("verb", ["approve", "reject", "reassign", "cancel"])
def test_viewers_and_technicians_change_nothing(
    viewer_client, technician_client, outsider_client, proposed_task, verb
):
    for client, status in ((viewer_client, 403), (technician_client, 403), (outsider_client, 404)):
        for method in (client.get, client.post):
            assert method(page_of(proposed_task, verb), {"reason": "x"}).status_code == status
    assert status_of(proposed_task) == TaskStatus.PROPOSED
