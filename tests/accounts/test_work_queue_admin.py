"""What is stuck in a queue of the work engine: seen, and tried again."""

from datetime import UTC, datetime

import pytest

from sensors.models import ReadingBatch
from smartmaint.accounts.models import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]

LIST = "/admin/sensors/readingbatch/"


def batch(organization: Organization, *, parked: bool) -> ReadingBatch:
    moment = datetime.now(UTC)
    return ReadingBatch.objects.create(
        organization=organization,
        received=0,
        inserted=0,
        updated=0,
        unchanged=0,
        rejected=0,
        attempts=8 if parked else 1,
        parked_at=moment if parked else None,
        due_at=None if parked else moment,
        last_error="ValueError: broken" if parked else "",
    )


def test_the_filter_shows_own_rows_that_are_stuck_or_pending(viewer_client, organization, other_organization):
    stuck, pending = batch(organization, parked=True), batch(organization, parked=False)
    batch(other_organization, parked=True)
    for value, expected in [("stuck", [stuck]), ("pending", [pending])]:
        response = viewer_client.get(f"{LIST}?work={value}")
        assert list(response.context["cl"].result_list) == expected


def test_a_manager_has_own_stuck_rows_tried_again(manager_client, organization, other_organization):
    stuck, foreign = batch(organization, parked=True), batch(other_organization, parked=True)
    picked = {"action": "try_again", "_selected_action": [stuck.pk, foreign.pk]}
    page = manager_client.post(LIST, picked, follow=True)
    assert "1 put back in the queue." in page.content.decode()
    assert list(ReadingBatch.objects.due().values_list("pk", "attempts", "last_error")) == [(stuck.pk, 0, "")]


def test_trying_again_what_is_not_stuck_changes_nothing_and_says_so(manager_client, organization):
    pending = batch(organization, parked=False)
    page = manager_client.post(LIST, {"action": "try_again", "_selected_action": [pending.pk]}, follow=True)
    assert "None of these is stuck." in page.content.decode()
    assert ReadingBatch.objects.get().attempts == 1


def test_a_viewer_cannot_have_anything_tried_again(viewer_client, organization):
    stuck = batch(organization, parked=True)
    viewer_client.post(LIST, {"action": "try_again", "_selected_action": [stuck.pk]})
    assert list(ReadingBatch.objects.stuck()) == [stuck]
