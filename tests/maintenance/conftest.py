"""A plant, a task on it, and those who do something with it."""

import pytest

from maintenance.agents import schedule_tasks
from maintenance.services.tasks import Actor
from tests.plants import make_task


@pytest.fixture
def manager_actor(manager):
    return Actor(user=manager, is_manager=True)


@pytest.fixture
def technician_actor(plant):
    return Actor(user=plant.technician.user, is_manager=False)


@pytest.fixture
def task(plant, manager):
    """Approved, and booked with the plant's technician."""
    task = make_task(plant, manager)
    schedule_tasks()
    task.refresh_from_db()
    return task
