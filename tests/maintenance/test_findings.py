"""What a finding must agree with, and what a correction takes back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event, Timer

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from equipment.models import Failure, FailureMode, Verdict
from equipment.services import record_failure
from maintenance.models import MaintenanceLog, TaskStatus
from maintenance.services.completing import Finding, complete_task, correct_log
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import approve_task, lock_task, start_task
from predictions.agents import score_predictions
from predictions.models import Outcome, PredictionOutcome
from sensors.models import Anomaly, Baseline
from smartmaint import clock
from tests.admin.conftest import make_anomaly
from tests.plants import foretell, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(manager_actor):
    return manager_actor


@pytest.fixture
def noise(plant):
    return FailureMode.objects.get(equipment_class=plant.machine.equipment_class, code="NOI")


@pytest.fixture
def foretold_task(plant, manager, actor):
    """Born from a prediction, and being worked on."""
    task = propose_task(foretell(plant)).task
    return start_task(task=approve_task(task=task, user=manager), actor=actor)


def order(plant, actor):
    """A manager's own order, being worked on by nobody who was booked."""
    return start_task(task=make_task(plant, actor.user), actor=actor)


def test_a_task_without_a_technician_can_be_completed(plant, actor):
    log = complete_task(
        task=order(plant, actor), actor=actor, finding=Finding(Verdict.EARLY, plant.failure_mode)
    )
    assert (log.technician, log.written_by) == (None, actor.user)


def test_another_mode_is_not_the_one_that_was_foretold(plant, foretold_task, actor):
    finding = Finding(Verdict.CONFIRMED_ANOTHER_MODE, plant.failure_mode)
    with pytest.raises(ValidationError) as refusal:
        complete_task(task=foretold_task, actor=actor, finding=finding)
    assert refusal.value.message_dict == {
        "failure_mode": ["This is the mode that was predicted. Choose the one you found."]
    }
    foretold_task.refresh_from_db()
    assert (foretold_task.status, MaintenanceLog.objects.count()) == (TaskStatus.IN_PROGRESS, 0)


def test_a_correction_must_agree_with_the_prediction_too(plant, foretold_task, actor, noise):
    log = complete_task(task=foretold_task, actor=actor, finding=Finding(Verdict.EARLY, plant.failure_mode))
    with pytest.raises(ValidationError, match="Predicted was Vibration"):
        correct_log(log=log, actor=actor, finding=Finding(Verdict.CONFIRMED_AS_PREDICTED, noise))


@pytest.mark.parametrize("verdict", [Verdict.FAILED_BEFORE_REPAIR, Verdict.EARLY])
def test_what_befell_another_mode_was_not_foretold(plant, foretold_task, actor, noise, verdict):
    complete_task(task=foretold_task, actor=actor, finding=Finding(verdict, noise))
    score_predictions()

    outcome = PredictionOutcome.objects.get()
    assert (outcome.verdict, outcome.outcome) == (Verdict.CONFIRMED_ANOTHER_MODE, Outcome.FALSE_POSITIVE)
    assert set(Failure.objects.values_list("failure_mode__code", flat=True)) <= {"NOI"}
    assert MaintenanceLog.objects.get().verdict == verdict


def test_a_failure_of_unknown_mode_is_not_another_one(plant, foretold_task, actor):
    unknown = FailureMode.objects.unknown_of(plant.organization.pk)
    complete_task(task=foretold_task, actor=actor, finding=Finding(Verdict.FAILED_BEFORE_REPAIR, unknown))
    score_predictions()
    assert PredictionOutcome.objects.get().outcome == Outcome.TRUE_POSITIVE


def test_an_order_that_no_prediction_joined_may_find_what_it_finds(plant, actor, noise):
    finding = Finding(Verdict.CONFIRMED_AS_PREDICTED, noise)
    assert complete_task(task=order(plant, actor), actor=actor, finding=finding).failure_mode == noise


def test_an_order_that_a_prediction_joined_must_agree_with_it(plant, actor, noise):
    task = order(plant, actor)
    propose_task(foretell(plant))
    with pytest.raises(ValidationError, match="Predicted was Vibration"):
        complete_task(task=task, actor=actor, finding=Finding(Verdict.CONFIRMED_AS_PREDICTED, noise))


def test_a_correction_to_no_fault_gives_the_history_back(plant, actor):
    log = complete_task(
        task=order(plant, actor), actor=actor, finding=Finding(Verdict.EARLY, plant.failure_mode)
    )
    assert Baseline.objects.get().started_at == log.completed_at

    correct_log(log=log, actor=actor, finding=Finding(Verdict.NO_FAULT_FOUND, plant.failure_mode))

    assert Baseline.objects.count() == 0


def test_a_correction_leaves_the_baseline_that_another_task_made(plant, actor):
    early = Finding(Verdict.EARLY, plant.failure_mode)
    at = clock.now() + timedelta(minutes=5)
    first, second = order(plant, actor), order(plant, actor)
    with clock.frozen(at):
        log = complete_task(task=first, actor=actor, finding=early)
        complete_task(task=second, actor=actor, finding=early)

    correct_log(log=log, actor=actor, finding=Finding(Verdict.NO_FAULT_FOUND, plant.failure_mode))

    assert Baseline.objects.get().started_at == at


def test_a_correction_takes_back_its_own_failure_alone(plant, actor):
    """One that another finding tells of, or that a person told before, stays."""
    failed = Finding(Verdict.FAILED_BEFORE_REPAIR, plant.failure_mode)
    early = Finding(Verdict.EARLY, plant.failure_mode)
    at = clock.now() + timedelta(minutes=5)
    first, second = order(plant, actor), order(plant, actor)
    with clock.frozen(at):
        logs = [complete_task(task=task, actor=actor, finding=failed) for task in (first, second)]

    correct_log(log=logs[0], actor=actor, finding=early)
    assert Failure.objects.get().failed_at == at
    correct_log(log=logs[1], actor=actor, finding=early)
    assert Failure.objects.count() == 0

    record_failure(
        equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=at + timedelta(hours=1)
    )
    third = order(plant, actor)
    with clock.frozen(at + timedelta(hours=1)):
        log = complete_task(task=third, actor=actor, finding=failed)
    correct_log(log=log, actor=actor, finding=early)
    assert Failure.objects.get().failed_at == at + timedelta(hours=1)


def test_a_failure_that_is_told_late_has_closed_predictions_scored_anew(plant, actor):
    """And its withdrawal has them scored once more."""
    at = clock.now()
    prediction = foretell(plant, p30=0.1)
    outcome = PredictionOutcome.objects.create(
        organization=plant.organization,
        prediction=prediction,
        happened_at=at + timedelta(days=90),
        outcome=Outcome.TRUE_NEGATIVE,
        scored_at=at + timedelta(days=90),
    )
    task = order(plant, actor)
    with clock.frozen(at + timedelta(days=91)):
        failed = Finding(Verdict.FAILED_BEFORE_REPAIR, plant.failure_mode, downtime_minutes=30 * 24 * 60)
        log = complete_task(task=task, actor=actor, finding=failed)
        score_predictions()
        outcome.refresh_from_db()
        knowing = outcome.outcome
        correct_log(log=log, actor=actor, finding=Finding(Verdict.NO_FAULT_FOUND, plant.failure_mode))
        score_predictions()
        outcome.refresh_from_db()
    assert (knowing, outcome.outcome) == (Outcome.TRUE_POSITIVE, Outcome.TRUE_NEGATIVE)


@pytest.mark.django_db(transaction=True)
def test_a_finding_waits_for_what_goes_from_an_anomaly_to_the_task(plant, actor):
    """An anomaly that ends asks for a prediction, and that for its task; a finding ends the anomaly too."""
    task, anomaly = order(plant, actor), make_anomaly(plant)
    Anomaly.objects.update(ended_at=None)
    has_anomaly, may_go_on = Event(), Event()

    def from_the_anomaly_to_the_task() -> None:
        try:
            with transaction.atomic():
                Anomaly.objects.select_for_update(no_key=True).get(pk=anomaly.pk)
                has_anomaly.set()
                may_go_on.wait(30)
                lock_task(task)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        going = other.submit(from_the_anomaly_to_the_task)
        assert has_anomaly.wait(30)
        Timer(1, may_go_on.set).start()
        log = complete_task(task=task, actor=actor, finding=Finding(Verdict.EARLY, plant.failure_mode))
        going.result()
    anomaly.refresh_from_db()
    assert anomaly.ended_at == log.completed_at
