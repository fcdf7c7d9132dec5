"""The life of a task, and what completion hands back."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from equipment.models import Failure, FailureMode, Verdict
from maintenance.models import Booking, MaintenanceLog, MaintenanceTask, TaskStatus
from maintenance.models.tasks import TRANSITIONS
from maintenance.services.completing import Finding, complete_task, correct_log
from maintenance.services.tasks import (
    Actor,
    NotAllowed,
    TaskRefused,
    approve_task,
    become,
    cancel_task,
    hold_task,
    reject_task,
    start_task,
)
from sensors.models import Baseline
from smartmaint import clock
from tests.plants import make_technician

pytestmark = pytest.mark.django_db


def finding(plant, verdict=Verdict.CONFIRMED_AS_PREDICTED, **more):
    return Finding(verdict=verdict, failure_mode=plant.failure_mode, **more)


def test_a_task_made_by_hand_is_booked(plant, task):
    assert (task.status, task.technician) == (TaskStatus.PENDING, plant.technician)
    assert Booking.objects.get().reason != ""


@pytest.mark.parametrize("before", TaskStatus.values)
@pytest.mark.parametrize("after", TaskStatus.values)
def test_the_transition_table_is_the_only_way(before, after):
    task = MaintenanceTask(pk=1, status=before, title="x")
    if after in TRANSITIONS[before]:
        become(task, TaskStatus(after))
        assert task.status == after
    else:
        with pytest.raises(TaskRefused, match=r"already|You cannot"):
            become(task, TaskStatus(after))
        assert task.status == before


def test_start_hold_go_on_complete(plant, task, technician_actor):
    start_task(task=task, actor=technician_actor)
    held = hold_task(task=task, actor=technician_actor, reason="Waits for a bearing")
    assert (held.status, held.hold_reason) == (TaskStatus.ON_HOLD, "Waits for a bearing")
    again = start_task(task=task, actor=technician_actor)
    assert (again.status, again.hold_reason) == (TaskStatus.IN_PROGRESS, "")

    log = complete_task(task=task, actor=technician_actor, finding=finding(plant, remedy="Changed"))

    task.refresh_from_db()
    assert (task.status, task.closed_at) == (TaskStatus.COMPLETED, log.completed_at)
    assert (log.technician, log.remedy, log.equipment) == (plant.technician, "Changed", plant.machine)


def test_a_task_of_somebody_else_is_refused(organization, task):
    other = Actor(user=make_technician(organization, username="other").user, is_manager=False)
    with pytest.raises(NotAllowed, match="not yours"):
        start_task(task=task, actor=other)


def test_a_manager_may_do_it_for_the_technician(plant, task, manager_actor):
    start_task(task=task, actor=manager_actor)
    log = complete_task(task=task, actor=manager_actor, finding=finding(plant))
    assert (log.written_by, log.technician) == (manager_actor.user, plant.technician)


def test_a_task_that_was_not_started_cannot_be_completed(plant, task, technician_actor):
    with pytest.raises(TaskRefused, match=r"You cannot complete WO-\d+: it is pending"):
        complete_task(task=task, actor=technician_actor, finding=finding(plant))
    assert MaintenanceLog.objects.count() == 0


def test_a_second_completion_is_refused_and_loses_nothing(plant, task, technician_actor):
    start_task(task=task, actor=technician_actor)
    complete_task(task=task, actor=technician_actor, finding=finding(plant, notes="first"))
    with pytest.raises(TaskRefused, match="is completed already"):
        complete_task(task=task, actor=technician_actor, finding=finding(plant, notes="second"))
    assert MaintenanceLog.objects.get().notes == "first"


@pytest.mark.django_db(transaction=True)
def test_two_people_completing_at_once_leave_one_log(plant, task, technician_actor, manager_actor):
    start_task(task=task, actor=technician_actor)
    ready, results = threading.Barrier(2), []

    def complete(actor):
        try:
            ready.wait()
            complete_task(task=task, actor=actor, finding=finding(plant))
            results.append("completed")
        except TaskRefused as refusal:
            results.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=complete, args=[actor]) for actor in (technician_actor, manager_actor)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [f"{task.number} is completed already.", "completed"]
    assert MaintenanceLog.objects.count() == 1


def test_completion_cannot_lie_in_the_future_or_before_the_start(plant, task, technician_actor):
    start_task(task=task, actor=technician_actor)
    now = clock.now()
    for moment, words in ((now + timedelta(hours=1), "future"), (now - timedelta(days=1), "before it was")):
        with pytest.raises(TaskRefused, match=words):
            complete_task(task=task, actor=technician_actor, finding=finding(plant), completed_at=moment)
    task.refresh_from_db()
    assert task.status == TaskStatus.IN_PROGRESS


def test_a_failure_mode_of_another_organisation_is_refused(plant, task, technician_actor, other_organization):
    start_task(task=task, actor=technician_actor)
    foreign = FailureMode.objects.for_organization(other_organization).first()
    with pytest.raises(ValidationError, match="your own organisation"):
        complete_task(task=task, actor=technician_actor, finding=Finding(Verdict.EARLY, failure_mode=foreign))
    task.refresh_from_db()
    assert task.status == TaskStatus.IN_PROGRESS


@pytest.mark.parametrize(
    ("verdict", "failures", "baselines"),
    [
        (Verdict.CONFIRMED_AS_PREDICTED, 0, 1),
        (Verdict.FAILED_BEFORE_REPAIR, 1, 1),
        (Verdict.CONFIRMED_ANOTHER_MODE, 1, 1),
        (Verdict.EARLY, 0, 1),
        (Verdict.NO_FAULT_FOUND, 0, 0),
        (Verdict.SENSOR_FAULT, 0, 0),
        (Verdict.DEFERRED, 0, 0),
        (Verdict.NOT_INSPECTED, 0, 0),
        (Verdict.DUPLICATE, 0, 0),
    ],
)
def test_a_verdict_has_its_consequences(plant, task, technician_actor, verdict, failures, baselines):
    start_task(task=task, actor=technician_actor)
    complete_task(task=task, actor=technician_actor, finding=finding(plant, verdict))
    assert (Failure.objects.count(), Baseline.objects.count()) == (failures, baselines)


def test_a_failure_happened_as_long_before_as_the_machine_stood(plant, task, technician_actor):
    start_task(task=task, actor=technician_actor)
    told = finding(plant, Verdict.FAILED_BEFORE_REPAIR, downtime_minutes=90)
    log = complete_task(task=task, actor=technician_actor, finding=told)
    assert Failure.objects.get().failed_at == log.completed_at - timedelta(minutes=90)


def test_a_correction_is_a_new_entry_that_points_back(plant, task, technician_actor):
    start_task(task=task, actor=technician_actor)
    failed = finding(plant, Verdict.FAILED_BEFORE_REPAIR)
    log = complete_task(task=task, actor=technician_actor, finding=failed)

    corrected = correct_log(log=log, actor=technician_actor, finding=finding(plant, Verdict.EARLY))

    assert (corrected.corrects, corrected.completed_at) == (log, log.completed_at)
    assert Failure.objects.count() == 0
    with pytest.raises(TaskRefused, match="corrected already"):
        correct_log(log=log, actor=technician_actor, finding=failed)


@pytest.mark.parametrize(
    "change", ["UPDATE maintenance_maintenancelog SET notes = 'x'", "DELETE FROM maintenance_maintenancelog"]
)
def test_the_log_is_append_only_in_the_database(plant, task, technician_actor, change):
    start_task(task=task, actor=technician_actor)
    complete_task(task=task, actor=technician_actor, finding=finding(plant))
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL smartmaint.purging = 'on'")
        cursor.execute("DELETE FROM maintenance_maintenancelog")
        assert cursor.rowcount == 1


def test_approving_and_rejecting_need_a_proposal(plant, task, manager):
    with pytest.raises(TaskRefused, match="You cannot approve"):
        approve_task(task=task, user=manager)
    with pytest.raises(TaskRefused, match="You cannot reject"):
        reject_task(task=task, user=manager, reason="no")


def test_cancelling_needs_a_reason_and_frees_the_technician(plant, task, manager):
    with pytest.raises(TaskRefused, match="Say why"):
        cancel_task(task=task, user=manager, reason="  ")
    cancelled = cancel_task(task=task, user=manager, reason="Machine was sold")
    assert cancelled.status == TaskStatus.CANCELLED
    assert Booking.objects.filter(is_active=True).count() == 0


def test_what_must_never_be_is_refused_by_the_database(task):
    for wrong in (
        {"status": "lost"},
        {"status": TaskStatus.COMPLETED},
        {"status": TaskStatus.IN_PROGRESS},
        {"priority": "urgent"},
        {"duration_minutes": 0},
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            MaintenanceTask.objects.filter(pk=task.pk).update(**wrong)
