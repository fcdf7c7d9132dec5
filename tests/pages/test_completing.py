"""The form that closes the loop: complete a job, and correct its log."""

import re
import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from equipment.models import FailureMode, Verdict
from maintenance.forms import VERDICT_SENTENCES, HoursAndMinutesField
from maintenance.models import MaintenanceLog, TaskStatus
from smartmaint import clock
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db


def complete(client: Client, task, typed):
    return client.post(reverse("job-complete", args=[task.pk]), typed)


def test_every_verdict_has_its_sentence():
    assert set(VERDICT_SENTENCES) == set(Verdict)


def test_the_form_chooses_no_verdict_but_the_tasks_mode(owner_client, started):
    page = owner_client.get(reverse("job-complete", args=[started.pk])).content.decode()

    assert page.count('type="radio"') == 9
    assert "checked" not in page
    assert f'<option value="{started.failure_mode_id}" selected>' in page


def test_the_modes_are_those_of_the_machines_class(owner_client, started, organization, other_organization):
    form = owner_client.get(reverse("job-complete", args=[started.pk])).context["form"]

    modes = set(form.fields["failure_mode"].queryset)
    assert {mode.organization for mode in modes} == {organization}
    assert {mode.equipment_class for mode in modes} == {started.equipment.equipment_class, None}
    assert "UNK" in {mode.code for mode in modes}


def test_a_finding_is_logged_and_closes_the_job(owner_client, started, plant, typed):
    answer = complete(owner_client, started, typed)

    assert answer.url == reverse("job", args=[started.pk])
    log = MaintenanceLog.objects.get()
    assert (log.task, log.verdict, log.failure_mode) == (started, typed["verdict"], plant.failure_mode)
    assert (log.cause, log.remedy, log.notes) == ("Bearing dry", "Bearing changed", "Look at pump 8 too")
    assert (log.downtime_minutes, log.labour_minutes) == (90, 45)
    assert (log.technician, log.written_by) == (plant.technician, plant.technician.user)
    started.refresh_from_db()
    assert started.status == TaskStatus.COMPLETED


def test_times_left_empty_are_not_known(owner_client, started, typed):
    complete(
        owner_client,
        started,
        typed | {"downtime_minutes_hours": "", "downtime_minutes_minutes": "", "labour_minutes_minutes": ""},
    )

    log = MaintenanceLog.objects.get()
    assert (log.downtime_minutes, log.labour_minutes) == (None, None)
    page = owner_client.get(reverse("job", args=[started.pk])).content.decode()
    assert "<dt>Downtime</dt><dd>not known</dd>" in page


def test_no_downtime_is_something_that_is_known(owner_client, started, typed):
    complete(owner_client, started, typed | {"downtime_minutes_hours": "0", "downtime_minutes_minutes": ""})

    assert MaintenanceLog.objects.get().downtime_minutes == 0


def test_a_missing_verdict_is_an_error_at_its_field_and_the_rest_is_kept(owner_client, started, typed):
    del typed["verdict"]

    answer = complete(owner_client, started, typed)

    assert answer.status_code == 422
    form = answer.context["form"]
    assert form.errors == {"verdict": ["Choose what you found: the prediction is measured by it."]}
    page = answer.content.decode()
    assert '<a class="error-link" href="#id_verdict">What did you find?</a>' in page
    for words in ("Bearing dry", "Bearing changed", "Look at pump 8 too", 'value="30"', 'value="45"'):
        assert words in page
    assert not MaintenanceLog.objects.exists()


def test_what_is_wrong_with_a_field_is_read_aloud_with_it(owner_client, started, typed):
    wrong = {"verdict": "", "cause": "x" * 5001, "downtime_minutes_minutes": "-5"}

    page = complete(owner_client, started, typed | wrong).content.decode()

    named = {name for names in re.findall(r'aria-describedby="([^"]+)"', page) for name in names.split()}
    assert {"id_verdict_error", "id_cause_error", "id_downtime_minutes_error"} <= named
    assert named <= set(re.findall(r' id="([^"]+)"', page))


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("downtime_minutes_hours", "many", "Write the hours as a whole number."),
        ("downtime_minutes_minutes", "-5", "Minutes cannot be negative."),
        ("downtime_minutes_hours", "90000", "That is more than nine years."),
        ("completed_at", "yesterday", "Enter a valid date/time."),
        (
            "failure_mode",
            "999999999",
            "Select a valid choice. That choice is not one of the available choices.",
        ),
        ("cause", "x" * 5001, "Ensure this value has at most 5000 characters (it has 5001)."),
        ("notes", "a\x00b", "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(owner_client, started, typed, field, value, error):
    answer = complete(owner_client, started, typed | {field: value})

    name = "downtime_minutes" if field.startswith("downtime") else field
    assert answer.context["form"].errors == {name: [error]}
    assert not MaintenanceLog.objects.exists()


def test_verdict_and_mode_must_agree_on_a_prediction(owner_client, started, plant, typed):
    other = FailureMode.objects.get(equipment_class=plant.machine.equipment_class, code="NOI")

    same_mode = complete(owner_client, started, typed | {"verdict": Verdict.CONFIRMED_ANOTHER_MODE})
    other_mode = complete(owner_client, started, typed | {"failure_mode": other.pk})

    assert same_mode.context["form"].errors == {
        "failure_mode": ["This is the mode that was predicted. Choose the one you found."]
    }
    assert list(other_mode.context["form"].errors) == ["failure_mode"]


def local(moment: datetime, zone) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}"


def test_the_time_of_completion_is_read_in_the_organisations_zone(owner_client, started, organization, typed):
    ended_at = (clock.now() - timedelta(minutes=10)).replace(second=0, microsecond=0)

    complete(owner_client, started, typed | {"completed_at": local(ended_at, organization.zone)})

    assert MaintenanceLog.objects.get().completed_at == ended_at


def test_completion_lies_between_the_start_and_now(owner_client, started, organization, typed):
    early = started.started_at - timedelta(minutes=2)
    late = clock.now() + timedelta(minutes=2)

    before_start = complete(owner_client, started, typed | {"completed_at": local(early, organization.zone)})
    in_future = complete(owner_client, started, typed | {"completed_at": local(late, organization.zone)})

    [error] = before_start.context["form"].errors["completed_at"]
    assert error.startswith("The job was started later than that: ")
    assert in_future.context["form"].errors == {"completed_at": ["That is in the future."]}


def test_the_minute_of_the_start_is_late_enough(owner_client, started, organization, typed):
    complete(owner_client, started, typed | {"completed_at": local(started.started_at, organization.zone)})

    assert MaintenanceLog.objects.get().completed_at == started.started_at


def test_a_second_completion_shows_what_is_logged_and_what_was_typed(
    owner_client, manager_client, started, plant, typed
):
    complete(owner_client, started, typed)

    answer = complete(manager_client, started, typed | {"verdict": Verdict.EARLY, "cause": "Loose bolt"})

    assert answer.status_code == 409
    page = answer.content.decode()
    assert f"{started.number} is completed already." in page
    assert "What is logged, by tech-pump-7" in page
    assert "Confirmed as predicted" in page
    assert "Loose bolt" in page
    assert MaintenanceLog.objects.get().cause == "Bearing dry"


def test_a_second_completion_with_errors_keeps_the_words_too(owner_client, started, typed):
    complete(owner_client, started, typed)
    del typed["verdict"]

    answer = complete(owner_client, started, typed | {"cause": "Loose bolt"})

    assert answer.status_code == 409
    assert "What is logged, by you" in answer.content.decode()
    assert "Loose bolt" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_complete_at_once_one_is_told(started, plant, manager, typed):
    clients = [logged_in(plant.technician.user), logged_in(manager)]
    both_ready, codes = threading.Barrier(2), []

    def run(client: Client) -> None:
        both_ready.wait()
        codes.append(complete(client, started, typed).status_code)
        connection.close()

    threads = [threading.Thread(target=run, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [302, 409]
    assert MaintenanceLog.objects.count() == 1


def test_a_job_that_was_not_started_cannot_be_completed(owner_client, pending, typed):
    form = owner_client.get(reverse("job-complete", args=[pending.pk]), follow=True)
    answer = complete(owner_client, pending, typed)

    assert f"{pending.number} was not started yet: start it first." in form.content.decode()
    assert answer.status_code == 409
    assert "Bearing dry" in answer.content.decode()


@pytest.mark.parametrize(
    ("visitor", "code", "logs"),
    [
        ("owner_client", 302, 1),
        ("other_technician_client", 403, 0),
        ("manager_client", 302, 1),
        ("viewer_client", 403, 0),
        ("outsider_client", 404, 0),
    ],
)
def test_who_may_complete(request, started, typed, visitor, code, logs):
    answer = complete(request.getfixturevalue(visitor), started, typed)

    assert answer.status_code == code
    assert MaintenanceLog.objects.count() == logs


def test_a_technician_who_lost_the_job_keeps_the_words(other_technician_client, started, typed):
    page = complete(other_technician_client, started, typed).content.decode()

    assert "is not yours" in page
    assert "Bearing dry" in page


@given(st.integers(0, 80_000), st.integers(0, 59))
def test_hours_and_minutes_come_back_as_they_were_written(hours, minutes):
    field = HoursAndMinutesField()

    total = field.clean([str(hours), str(minutes)])

    assert total == 60 * hours + minutes
    assert field.widget.decompress(total) == [hours, minutes]


def test_times_are_shown_in_the_organisations_zone(owner_client, completed, organization):
    with timezone.override(organization.zone):
        at = timezone.localtime(completed.completed_at)

    page = owner_client.get(reverse("job", args=[completed.task_id])).content.decode()

    assert f"{at:%a} {at.day} {at:%b} {at:%H:%M}</time>" in page
