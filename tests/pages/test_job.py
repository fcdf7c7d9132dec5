"""A job's page, and its verbs start and hold."""

import pytest
from django.urls import reverse

from maintenance.models import Booking, TaskStatus
from maintenance.services.tasks import Actor, hold_task, start_task
from smartmaint import clock

pytestmark = pytest.mark.django_db


def get(client, task):
    return client.get(reverse("job", args=[task.pk]))


def test_the_page_says_what_where_why_and_how(owner_client, pending):
    page = get(owner_client, pending).content.decode()

    assert "Works" in page
    assert "80 % within 30 days" in page
    assert "It rises." in page
    assert "First free" in page
    assert "Skills needed:</span> Bearings" in page
    assert f'data-plot-url="/plots/prediction/{pending.prediction_id}.json"' in page


@pytest.mark.parametrize(
    ("visitor", "sees_page", "may_start"),
    [
        ("owner_client", 200, True),
        ("other_technician_client", 200, False),
        ("manager_client", 200, True),
        ("viewer_client", 200, False),
        ("outsider_client", 404, False),
    ],
)
def test_who_sees_a_job_and_who_may_start_it(request, pending, visitor, sees_page, may_start):
    client = request.getfixturevalue(visitor)

    page = get(client, pending)
    answer = client.post(reverse("job-start", args=[pending.pk]))

    assert page.status_code == sees_page
    assert (reverse("job-start", args=[pending.pk]) in page.content.decode()) is may_start
    pending.refresh_from_db()
    assert (pending.status == TaskStatus.IN_PROGRESS) is may_start
    assert answer.status_code == (302 if may_start else 403 if sees_page == 200 else 404)


def test_somebody_elses_job_is_named(other_technician_client, pending):
    page = get(other_technician_client, pending).content.decode()
    answer = other_technician_client.post(reverse("job-start", args=[pending.pk])).content.decode()

    assert "This is tech-pump-7's job." in page
    assert f"{pending.number} is not yours: it is tech-pump-7&#x27;s." in answer


def test_start_is_a_post(owner_client, pending):
    assert owner_client.get(reverse("job-start", args=[pending.pk])).status_code == 405


def test_a_stranger_is_sent_to_the_log_in(client, pending):
    assert client.get(reverse("job", args=[pending.pk])).url == f"/login/?next=/jobs/{pending.pk}/"


def test_a_second_start_is_refused_in_words(owner_client, started):
    page = owner_client.post(reverse("job-start", args=[started.pk]), follow=True).content.decode()

    assert f"{started.number} is in progress already." in page


def test_a_hold_needs_a_reason(owner_client, started):
    page = owner_client.post(reverse("job-hold", args=[started.pk]), {"reason": " "}).content.decode()

    assert "Say what it waits for: the planner will read it." in page
    started.refresh_from_db()
    assert started.status == TaskStatus.IN_PROGRESS


def test_a_hold_keeps_the_reason_and_frees_the_time(owner_client, started):
    answer = owner_client.post(reverse("job-hold", args=[started.pk]), {"reason": "Bearing 6312"})

    assert answer.url == reverse("job", args=[started.pk])
    started.refresh_from_db()
    assert (started.status, started.hold_reason) == (TaskStatus.ON_HOLD, "Bearing 6312")
    # It was booked for two hours, one of which had passed.
    assert Booking.objects.get().period.upper <= clock.now()


def test_a_hold_that_comes_too_late_keeps_what_was_typed(owner_client, pending):
    answer = owner_client.post(reverse("job-hold", args=[pending.pk]), {"reason": "Bearing 6312"})

    assert answer.status_code == 409
    assert f"You cannot hold {pending.number}: it is pending." in answer.content.decode()
    assert "Bearing 6312" in answer.content.decode()


def test_another_technician_cannot_hold(other_technician_client, started):
    answer = other_technician_client.post(reverse("job-hold", args=[started.pk]), {"reason": "no"})

    assert answer.status_code == 403


def test_holds_are_told_with_their_times(owner_client, started, plant):
    actor = Actor(user=plant.technician.user, is_manager=False)
    hold_task(task=started, actor=actor, reason="Waits for a crane")
    start_task(task=started, actor=actor)

    page = get(owner_client, started).content.decode()

    assert "Waits for a crane" in page
    assert "still" not in page


def test_a_proposed_task_waits_for_approval(other_technician_client, proposed):
    assert "It waits for a manager's approval." in get(other_technician_client, proposed).content.decode()
