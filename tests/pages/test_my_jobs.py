"""The list of jobs."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from maintenance.jobs import group_jobs, open_jobs
from maintenance.models import MaintenanceTask, TaskType
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, create_task, hold_task, start_task
from smartmaint import clock
from tests.pages.conftest import booked

pytestmark = pytest.mark.django_db

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


def new_job(plant, manager, title):
    return create_task(
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        type=TaskType.INSPECTION,
        title=title,
        created_by=manager,
    )


def test_jobs_stand_under_the_heading_of_their_time(plant, manager):
    actor = Actor(user=manager, is_manager=True)
    with clock.frozen(MONDAY_NOON):
        for hours, title in (
            (30, "tomorrow"),
            (-2.5, "this morning"),
            (-26, "yesterday"),
            (3, "this afternoon"),
        ):
            booked(new_job(plant, manager, title), plant, in_hours=hours)
        running = start_task(task=booked(new_job(plant, manager, "running"), plant, in_hours=6), actor=actor)
        held = start_task(task=booked(new_job(plant, manager, "held"), plant, in_hours=60), actor=actor)
        hold_task(task=held, actor=actor, reason="a part")
        unbooked = new_job(plant, manager, "unbooked")
        MaintenanceTask.objects.filter(pk=unbooked.pk).update(technician=plant.technician)

        groups = group_jobs(open_jobs(plant.organization, plant.technician), plant.organization)

    assert [(group.title, [job.title for job in group.jobs]) for group in groups] == [
        ("Working on it", [running.title]),
        ("Should have begun", ["yesterday"]),
        ("Today", ["this morning", "this afternoon"]),
        ("Later", ["tomorrow"]),
        ("On hold", ["held"]),
        ("Without a time yet", ["unbooked"]),
    ]


def test_today_is_the_organisations_day(plant, manager):
    half_past_midnight_in_berlin = MONDAY_NOON.replace(hour=0, minute=30)
    with clock.frozen(half_past_midnight_in_berlin):
        booked(new_job(plant, manager, "night shift"), plant, in_hours=23)
        groups = group_jobs(open_jobs(plant.organization, plant.technician), plant.organization)

    assert [group.title for group in groups] == ["Today"]


def test_a_technician_sees_own_jobs_with_place_time_and_priority(owner_client, pending):
    page = owner_client.get(reverse("my-jobs")).content.decode()

    assert pending.title in page
    assert "PUMP-7 Pump pump-7, Works" in page
    assert '<span class="badge badge--medium">Medium</span>' in page
    assert reverse("job", args=[pending.pk]) in page


def test_another_technicians_jobs_are_not_mine(other_technician_client, pending):
    page = other_technician_client.get(reverse("my-jobs")).content.decode()

    assert pending.title not in page
    assert "No open job." in page


def test_a_manager_who_is_no_technician_sees_everybodys_jobs(manager_client, pending):
    page = manager_client.get(reverse("my-jobs")).content.decode()

    assert "Open jobs" in page
    assert pending.title in page
    assert "tech-pump-7" in page


def test_a_member_without_a_technicians_row_is_told_so(technician_client, pending):
    page = technician_client.get(reverse("my-jobs")).content.decode()

    assert "You are not on the list of technicians yet" in page
    assert pending.title not in page


def test_viewers_have_no_jobs(viewer_client):
    assert viewer_client.get(reverse("my-jobs")).status_code == 403


def test_what_was_done_stays_in_sight(owner_client, started, plant):
    actor = Actor(user=plant.technician.user, is_manager=False)
    complete_task(task=started, actor=actor, finding=Finding("early", plant.failure_mode))

    page = owner_client.get(reverse("my-jobs")).content.decode()

    assert "Recently done" in page
    assert "Early: a potential failure was found, Vibration" in page


def test_the_number_of_queries_does_not_grow_with_the_jobs(
    owner_client, plant, manager, pending, django_assert_max_num_queries, django_assert_num_queries
):
    with django_assert_max_num_queries(10) as few:
        owner_client.get(reverse("my-jobs"))
    for number in range(5):
        booked(new_job(plant, manager, f"job {number}"), plant, in_hours=3 + 3 * number)

    with django_assert_num_queries(len(few.captured_queries)):
        owner_client.get(reverse("my-jobs"))


def test_relative_times_are_shown(owner_client, plant, manager):
    booked(new_job(plant, manager, "soon"), plant, in_hours=2.99)
    begins_at = clock.now() + timedelta(hours=2.99)

    page = owner_client.get(reverse("my-jobs")).content.decode()

    local = begins_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{local:%a} {local.day} {local:%b} {local:%H:%M}" in page
    assert "in 2 h" in page
