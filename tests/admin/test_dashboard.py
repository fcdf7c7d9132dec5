"""The first page of the admin: what needs a manager now, and no number that claims more than is known."""

from datetime import timedelta

import pytest

from equipment.models import Verdict
from equipment.services import record_failure
from maintenance.models import MaintenanceTask
from maintenance.services.completing import Finding, complete_task
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import Actor, approve_task, start_task
from predictions.agents import score_predictions
from predictions.models import Outcome, Prediction, PredictionOutcome, Trigger
from smartmaint import clock
from tests.admin.conftest import make_anomaly
from tests.plants import foretell, post

pytestmark = pytest.mark.django_db


def overview(client) -> dict:
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.context


def test_what_waits_is_counted_and_linked(manager_client, plant, proposed_task):
    make_anomaly(plant)
    MaintenanceTask.objects.create(
        organization=plant.organization,
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        type="inspection",
        title="Look",
        status="pending",
        not_booked_because="Nobody has the skill Welding.",
        required_by=clock.now() - timedelta(days=2),
    )
    waiting = {part.title: part for part in overview(manager_client)["waiting"]}
    counts = {title: part.count for title, part in waiting.items()}
    # The proposed task is overdue too: its sensor is beyond the limit now.
    assert counts == {
        "Alarms to acknowledge": 1,
        "Tasks to approve": 1,
        "Anomalies that need a look": 1,
        "Not booked": 1,
        "Overdue": 2,
    }
    assert waiting["Not booked"].rows[0][1] == "Nobody has the skill Welding."
    for part in waiting.values():
        assert manager_client.get(part.link).context["cl"].result_count == part.count
        assert manager_client.get(part.rows[0][2]).status_code == 200


def test_what_was_begun_or_closed_no_longer_waits_for_a_booking(manager_client, manager, pending_task):
    MaintenanceTask.objects.update(not_booked_because="Nobody has the skill Welding.")

    def not_booked() -> tuple[int, int]:
        [part] = [part for part in overview(manager_client)["waiting"] if part.title == "Not booked"]
        return part.count, manager_client.get(part.link).context["cl"].result_count

    assert not_booked() == (1, 1)
    start_task(task=pending_task, actor=Actor(user=manager, is_manager=True))
    assert not_booked() == (0, 0)


def test_a_machine_stands_there_once_with_its_worst(manager_client, proposed_task):
    [row] = overview(manager_client)["machines_at_risk"]
    assert (row["machine"], row["p_30d"], row["is_already_beyond"]) == (
        proposed_task.equipment,
        "now",
        True,
    )


def test_a_risk_that_nobody_would_speak_of_is_left_out(manager_client, plant):
    foretell(plant, p7=0.01, p30=0.04)
    assert overview(manager_client)["machines_at_risk"] == []
    assert "no prediction that holds now says 5 % or more" in manager_client.get("/admin/").content.decode()


def test_the_loops_last_week_is_counted(manager_client, plant, proposed_task):
    steps = {step: count for step, count, _ in overview(manager_client)["steps"]}
    assert steps == {"readings stored": 4, "anomalies": 1, "predictions": 1, "tasks": 1, "findings": 0}


def decide(plant, outcomes: list[str]) -> None:
    for outcome in outcomes:
        PredictionOutcome.objects.create(
            organization=plant.organization,
            prediction=Prediction.objects.create(
                organization=plant.organization,
                sensor=plant.sensor,
                limit=plant.limit,
                trigger=Trigger.PERIOD,
                status="not_possible",
                not_possible_because="made for a test",
                made_at=clock.now(),
                cutoff_at=clock.now(),
            ),
            happened_at=clock.now(),
            outcome=outcome,
            scored_at=clock.now(),
        )


def test_few_decided_predictions_are_no_accuracy(manager_client, plant):
    decide(plant, [Outcome.TRUE_POSITIVE] * 4 + [Outcome.CENSORED, Outcome.UNDECIDED])
    page = manager_client.get("/admin/").content.decode()
    assert "Not enough data." in page
    assert "4 of at least 5 predictions are decided so far." in page


def test_enough_of_them_are(manager_client, plant):
    decide(plant, [Outcome.TRUE_POSITIVE] * 3 + [Outcome.FALSE_POSITIVE, Outcome.FALSE_NEGATIVE])
    accuracy = overview(manager_client)["accuracy"]
    assert (accuracy["share"], accuracy["false_alarms"], accuracy["missed"]) == ("60%", 1, 0)


def test_a_finding_counts_once_however_many_predictions_joined_its_task(manager_client, manager, plant):
    actor = Actor(user=manager, is_manager=True)
    task = propose_task(foretell(plant)).task
    for _ in range(5):
        propose_task(foretell(plant))
    task = start_task(task=approve_task(task=task, user=manager), actor=actor)
    complete_task(task=task, actor=actor, finding=Finding(Verdict.NO_FAULT_FOUND, plant.failure_mode))
    score_predictions()
    accuracy = overview(manager_client)["accuracy"]
    assert (accuracy["decided"], accuracy["false_alarms"]) == (1, 1)


def test_failures_that_nobody_foretold_stand_beside_it(manager_client, plant):
    record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=clock.now())
    page = manager_client.get("/admin/").content.decode()
    assert "1 failure came that no prediction had foretold." in page


def test_an_empty_plant_is_told_in_words(manager_client):
    page = manager_client.get("/admin/").content.decode()
    assert "Nothing waits for your approval." in page
    assert "No prediction holds now." in page


def test_nothing_of_another_organisation_is_counted(outsider_client, proposed_task, plant):
    post(plant.sensor, [3.0])
    context = overview(outsider_client)
    assert [part.count for part in context["waiting"]] == [0, 0, 0, 0, 0]
    assert context["machines_at_risk"] == []
    assert [count for _, count, _ in context["steps"]] == [0, 0, 0, 0, 0]


def test_the_operator_is_asked_to_choose(operator_client, proposed_task):
    page = operator_client.get("/admin/").content.decode()
    assert "You look at all organisations." in page


@pytest.mark.parametrize(
    ("client_name", "offered", "withheld"),
    [
        ("viewer_client", ["Tasks", "Equipment"], ["Members", "API keys", "Users"]),
        ("manager_client", ["Tasks", "Members"], ["API keys", "Users"]),
        ("org_admin_client", ["Members", "API keys"], ["Users"]),
        ("operator_client", ["Members", "API keys", "Users"], []),
    ],
)
def test_the_sidebar_offers_what_a_person_may_open(request, client_name, offered, withheld):
    groups = overview(request.getfixturevalue(client_name))["sidebar_navigation"]
    titles = {item["title"] for group in groups for item in group["items"]}
    assert set(offered) <= titles
    assert not titles & set(withheld)
