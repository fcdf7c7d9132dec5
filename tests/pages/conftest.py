"""The plant of the page tests: a pump, its technician's log-in, and a task that a prediction proposed."""

from datetime import timedelta

import pytest
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.test import Client

from equipment.models import Verdict
from maintenance.models import Booking, MaintenanceLog, MaintenanceTask
from maintenance.services.completing import Finding, complete_task
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import Actor, approve_task, start_task
from smartmaint import clock
from tests.conftest import logged_in
from tests.plants import Plant, foretell, make_standard_job, make_technician


@pytest.fixture
def owner_client(plant) -> Client:
    """The technician whose job it is."""
    return logged_in(plant.technician.user)


@pytest.fixture
def other_technician_client(technician_user, organization) -> Client:
    """A technician, but not of this job."""
    make_technician(organization, username="", user=technician_user)
    return logged_in(technician_user)


@pytest.fixture
def proposed(plant) -> MaintenanceTask:
    make_standard_job(plant.failure_mode, skills=("Bearings",))
    return propose_task(foretell(plant)).task


@pytest.fixture
def pending(proposed, plant, manager) -> MaintenanceTask:
    """Approved and booked from an hour ago for two hours."""
    return booked(approve_task(task=proposed, user=manager), plant)


def booked(task: MaintenanceTask, plant: Plant, *, in_hours: float = -1) -> MaintenanceTask:
    begin = clock.now() + timedelta(hours=in_hours)
    Booking.objects.create(
        organization=plant.organization,
        task=task,
        technician=plant.technician,
        period=DateTimeTZRange(begin, begin + timedelta(hours=2), "[)"),
        reason="First free",
    )
    task.technician, task.due_at = plant.technician, None
    task.save()
    return task


@pytest.fixture
def started(pending, plant) -> MaintenanceTask:
    with clock.frozen(clock.now() - timedelta(minutes=50)):
        return start_task(task=pending, actor=Actor(user=plant.technician.user, is_manager=False))


@pytest.fixture
def typed(plant) -> dict[str, object]:
    """What a technician fills in."""
    return {
        "verdict": Verdict.CONFIRMED_AS_PREDICTED,
        "failure_mode": plant.failure_mode.pk,
        "cause": "Bearing dry",
        "remedy": "Bearing changed",
        "notes": "Look at pump 8 too",
        "downtime_minutes_hours": "1",
        "downtime_minutes_minutes": "30",
        "labour_minutes_hours": "",
        "labour_minutes_minutes": "45",
        "completed_at": "",
    }


@pytest.fixture
def completed(started, plant) -> MaintenanceLog:
    return complete_task(
        task=started,
        actor=Actor(user=plant.technician.user, is_manager=False),
        finding=Finding(Verdict.EARLY, plant.failure_mode, cause="Dirt", downtime_minutes=20),
    )
