"""Putting the log of a job right."""

import pytest
from django.test import Client
from django.urls import reverse

from equipment.models import Verdict
from maintenance.models import MaintenanceLog

pytestmark = pytest.mark.django_db


def correct(client: Client, log, typed):
    return client.post(reverse("job-correct", args=[log.task_id]), typed | {"entry": log.pk})


def test_a_correction_starts_from_the_entry_and_takes_its_place(owner_client, completed, typed):
    form = owner_client.get(reverse("job-correct", args=[completed.task_id])).context["form"]
    assert (form["verdict"].value(), form["cause"].value(), form["downtime_minutes"].value()) == (
        "early",
        "Dirt",
        20,
    )

    answer = correct(owner_client, completed, typed)

    assert answer.url == reverse("job", args=[completed.task_id])
    correction = MaintenanceLog.objects.get(corrects=completed)
    assert (correction.verdict, correction.cause) == (Verdict.CONFIRMED_AS_PREDICTED, "Bearing dry")
    page = owner_client.get(answer.url).content.decode()
    assert "Earlier entries, since corrected (1)" in page


def test_of_two_corrections_of_one_entry_the_second_is_told(owner_client, manager_client, completed, typed):
    correct(owner_client, completed, typed)

    answer = correct(manager_client, completed, typed | {"cause": "Loose bolt"})

    assert answer.status_code == 409
    page = answer.content.decode()
    assert "This entry was corrected already: correct the newer one." in page
    assert "Loose bolt" in page
    assert MaintenanceLog.objects.count() == 2


def test_a_correction_that_contradicts_itself_is_shown_at_its_field(owner_client, completed, typed):
    answer = correct(owner_client, completed, typed | {"verdict": Verdict.CONFIRMED_ANOTHER_MODE})

    assert answer.status_code == 422
    assert answer.context["form"].errors == {
        "failure_mode": ["This is the mode that was predicted. Choose the one you found."]
    }
    assert "Bearing dry" in answer.content.decode()
    assert MaintenanceLog.objects.count() == 1


@pytest.mark.parametrize(
    ("visitor", "corrections"),
    [
        ("owner_client", 1),
        ("other_technician_client", 0),
        ("manager_client", 1),
        ("viewer_client", 0),
        ("outsider_client", 0),
    ],
)
def test_who_may_correct(request, completed, typed, visitor, corrections):
    correct(request.getfixturevalue(visitor), completed, typed)

    assert MaintenanceLog.objects.filter(corrects=completed).count() == corrections


def test_there_is_nothing_to_correct_before_the_completion(owner_client, started):
    assert owner_client.get(reverse("job-correct", args=[started.pk])).status_code == 404
