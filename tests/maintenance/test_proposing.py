"""When a prediction becomes a task, and why it does not."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Criticality
from maintenance.models import Decision, MaintenanceTask, Priority, Proposal, TaskStatus, TaskType
from maintenance.services.proposing import propose_task, propose_tasks
from maintenance.services.tasks import cancel_task, create_task
from sensors.services.baselines import restart_baseline
from smartmaint import clock
from tests.plants import foretell, make_plant, set_policy

pytestmark = pytest.mark.django_db


def test_a_risk_below_the_policys_threshold_makes_no_task(plant):
    proposal = propose_task(foretell(plant, p30=0.49))
    assert (proposal.decision, proposal.task) == (Decision.LOW_RISK, None)
    assert proposal.reason == "49% within 30 days is below 50%."


def test_manual_policy_proposes_and_waits_for_a_manager(plant):
    task = propose_task(foretell(plant)).task
    assert (task.status, task.due_at, task.approved_at) == (TaskStatus.PROPOSED, None, None)


def test_automatic_policy_approves_by_itself(plant):
    set_policy(plant.organization, approval="automatic")
    task = propose_task(foretell(plant)).task
    assert task.status == TaskStatus.PENDING
    assert task.due_at is not None


@pytest.mark.parametrize(
    ("p7", "p30", "criticality", "priority"),
    [
        (0.6, 0.9, Criticality.B, Priority.HIGH),
        (0.1, 0.9, Criticality.B, Priority.MEDIUM),
        (0.6, 0.9, Criticality.A, Priority.CRITICAL),
        (0.1, 0.9, Criticality.A, Priority.HIGH),
    ],
)
def test_the_horizon_and_the_criticality_set_the_priority(plant, p7, p30, criticality, priority):
    plant.machine.criticality = criticality
    plant.machine.save()
    assert propose_task(foretell(plant, p7=p7, p30=p30)).task.priority == priority


def test_deciding_again_returns_what_was_decided(plant):
    prediction = foretell(plant)
    assert propose_task(prediction) == propose_task(prediction)
    assert MaintenanceTask.objects.count() == 1


def test_a_newer_prediction_hurries_an_open_task_and_never_calms_it(plant):
    first = propose_task(foretell(plant)).task
    sooner = clock.now() + timedelta(days=1)
    merged = propose_task(foretell(plant, p7=0.7, passes_p10_at=sooner))
    assert (merged.decision, merged.task) == (Decision.MERGED, first)
    merged.task.refresh_from_db()
    assert (merged.task.priority, merged.task.required_by) == (Priority.HIGH, sooner)
    propose_task(foretell(plant))
    merged.task.refresh_from_db()
    assert merged.task.priority == Priority.HIGH


def test_after_work_was_closed_there_is_a_cooldown(plant, manager):
    task = propose_task(foretell(plant)).task
    cancel_task(task=task, user=manager, reason="Looked at it")
    assert propose_task(foretell(plant)).decision == Decision.COOLDOWN
    with clock.frozen(clock.now() + timedelta(hours=49)):
        assert propose_task(foretell(plant)).decision == Decision.PROPOSED


def order(plant, manager, **fields):
    """A manager's own order for the fault that the limit is about."""
    usual = {"type": TaskType.CORRECTIVE, "title": "Change the bearing", "created_by": manager}
    return create_task(equipment=plant.machine, failure_mode=plant.failure_mode, **(usual | fields))


def test_a_managers_own_order_for_the_fault_takes_the_prediction_on(plant, manager):
    task = order(plant, manager)
    proposal = propose_task(foretell(plant))
    assert (proposal.decision, proposal.task) == (Decision.MERGED, task)


def test_a_managers_own_order_that_was_closed_lately_counts_too(plant, manager):
    cancel_task(task=order(plant, manager), user=manager, reason="Looked at it")
    assert propose_task(foretell(plant)).decision == Decision.COOLDOWN


def test_routine_work_on_the_machine_hides_no_prediction(plant, manager):
    order(plant, manager, type=TaskType.PREVENTIVE)
    assert propose_task(foretell(plant)).decision == Decision.PROPOSED


def test_a_prediction_joins_the_task_of_an_earlier_one_before_an_order(plant, manager):
    task = propose_task(foretell(plant)).task
    order(plant, manager)
    assert propose_task(foretell(plant)).task == task


def test_a_prediction_from_before_a_repair_makes_no_task(plant):
    prediction = foretell(plant)
    restart_baseline(
        equipment=plant.machine, started_at=prediction.cutoff_at + timedelta(seconds=1), reason="Repaired"
    )
    proposal = propose_task(prediction)
    assert (proposal.decision, proposal.task) == (Decision.SUPERSEDED, None)


@pytest.mark.django_db(transaction=True)
def test_a_closing_task_takes_no_prediction_on(plant, manager):
    """The decision waits for the one who is closing the task, and then sees it closed."""
    task = propose_task(foretell(plant)).task
    prediction = foretell(plant)
    decided = []

    def propose():
        try:
            decided.append(propose_task(prediction).decision)
        finally:
            connection.close()

    other = threading.Thread(target=propose)
    with transaction.atomic():
        cancel_task(task=task, user=manager, reason="Looked at it")
        other.start()
        other.join(timeout=0.3)
        assert other.is_alive()
    other.join()
    assert decided == [Decision.COOLDOWN]


def test_the_days_budget_is_held_and_starts_anew_at_local_midnight(organization, plant):
    set_policy(organization, daily_budget=1)
    other = make_plant(organization, name="fan-4")
    assert propose_task(foretell(plant)).decision == Decision.PROPOSED
    assert propose_task(foretell(other)).decision == Decision.OVER_BUDGET
    with clock.frozen(clock.now() + timedelta(days=1)):
        assert propose_task(foretell(other)).decision == Decision.PROPOSED


def test_decisions_made_together_are_those_made_one_after_another(organization, other_organization, plant):
    set_policy(organization, daily_budget=1)
    second, elsewhere = make_plant(organization, name="fan-4"), make_plant(other_organization, name="fan-5")
    known = foretell(plant, p30=0.2)
    before = propose_task(known)
    predictions = [
        foretell(second, p30=0.1),
        foretell(plant),
        known,
        foretell(plant, p30=0.7),
        foretell(second),
        foretell(elsewhere),
    ]
    proposals = propose_tasks(predictions)
    assert [proposal.decision for proposal in proposals] == [
        Decision.LOW_RISK,
        Decision.PROPOSED,
        Decision.LOW_RISK,
        Decision.MERGED,
        Decision.OVER_BUDGET,
        Decision.PROPOSED,
    ]
    assert [proposal.prediction for proposal in proposals] == predictions
    assert proposals[2] == before
    assert [proposal.organization for proposal in proposals] == [organization] * 5 + [other_organization]
    assert propose_tasks(predictions[::-1]) == proposals[::-1]


def test_no_budget_means_no_limit(organization, plant):
    set_policy(organization, daily_budget=None)
    plants = [plant, *(make_plant(organization, name=f"pump-{n}") for n in range(20, 32))]
    decisions = {propose_task(foretell(one)).decision for one in plants}
    assert decisions == {Decision.PROPOSED}


def test_the_database_holds_one_open_predictive_task(plant):
    task = propose_task(foretell(plant)).task
    task.pk = None
    with pytest.raises(IntegrityError, match="task_one_open_predictive"), transaction.atomic():
        task.save()


def test_a_proposal_has_a_task_exactly_when_it_says_so(plant):
    prediction = foretell(plant)
    with pytest.raises(IntegrityError, match="proposal_task_by_decision"), transaction.atomic():
        Proposal.objects.create(
            organization=plant.organization, prediction=prediction, decision=Decision.PROPOSED, reason="x"
        )
