"""Failures that a manager tells of, or takes back, reach the scores of predictions."""

from datetime import timedelta

import pytest

from equipment.models import Failure
from equipment.services import record_failure
from predictions.agents import close_horizons, score_predictions
from predictions.models import Outcome, PredictionOutcome
from smartmaint import clock
from tests.plants import foretell

pytestmark = pytest.mark.django_db

FAILURES = "/admin/equipment/failure/"


@pytest.fixture
def long_ago():
    return (clock.now() - timedelta(days=91)).replace(microsecond=0)


@pytest.fixture
def outcome(plant, long_ago):
    """Of a prediction whose horizon passed without a failure, as far as was known."""
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    close_horizons()
    score_predictions()
    return PredictionOutcome.objects.get()


def scored_anew(outcome) -> str:
    score_predictions()
    outcome.refresh_from_db()
    return outcome.outcome


def test_a_failure_that_a_manager_adds_has_predictions_scored_again(plant, outcome, long_ago, manager_client):
    failed_at = (long_ago + timedelta(days=20)).astimezone(plant.organization.zone)
    form = {
        "equipment": plant.machine.pk,
        "failure_mode": plant.failure_mode.pk,
        "failed_at_0": f"{failed_at:%Y-%m-%d}",
        "failed_at_1": f"{failed_at:%H:%M:%S}",
    }
    response = manager_client.post(f"{FAILURES}add/", form)
    assert response.status_code == 302, response.context["adminform"].form.errors
    failure = Failure.objects.get()
    assert (failure.failed_at, failure.organization) == (failed_at, plant.organization)
    assert scored_anew(outcome) == Outcome.TRUE_POSITIVE


@pytest.mark.parametrize("is_from_the_list", [False, True])
def test_a_failure_that_a_manager_deletes_has_predictions_scored_again(
    plant, outcome, long_ago, manager_client, is_from_the_list
):
    failure = record_failure(
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        failed_at=long_ago + timedelta(days=20),
    )
    assert scored_anew(outcome) == Outcome.TRUE_POSITIVE
    if is_from_the_list:
        picked = {"action": "delete_selected", "_selected_action": [failure.pk], "post": "yes"}
        response = manager_client.post(FAILURES, picked)
    else:
        response = manager_client.post(f"{FAILURES}{failure.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert Failure.objects.count() == 0
    assert scored_anew(outcome) == Outcome.TRUE_NEGATIVE
