"""A plant in the middle of its story: readings, an anomaly, a prediction, a task; and one of another organisation."""

from datetime import timedelta

import pytest

from maintenance.agents import schedule_tasks
from maintenance.models import MaintenanceTask
from predictions.agents import make_predictions
from sensors.agents import detect_anomalies, validate_anomalies
from sensors.models import Anomaly, AnomalyStatus, ReadingBatch
from smartmaint import clock
from tests.plants import Plant, make_plant, post


def run_agents() -> None:
    for agent in (detect_anomalies, validate_anomalies, make_predictions, schedule_tasks):
        agent()


@pytest.fixture
def foreign_plant(other_organization) -> Plant:
    return make_plant(other_organization, name="alien-1")


@pytest.fixture
def proposed_task(plant) -> MaintenanceTask:
    """A reading over the limit became a task that waits for approval."""
    post(plant.sensor, [2.0, 2.1, 2.0, 7.9])
    run_agents()
    return MaintenanceTask.objects.get()


@pytest.fixture
def pending_task(proposed_task, manager_client) -> MaintenanceTask:
    manager_client.post(f"/admin/maintenance/maintenancetask/{proposed_task.pk}/approve/")
    proposed_task.refresh_from_db()
    return proposed_task


def make_anomaly(plant: Plant, *, status: str = AnomalyStatus.NEEDS_A_LOOK, days_ago: int = 1) -> Anomaly:
    """One that was judged, and is over."""
    post(plant.sensor, [2.0, 3.0], last_at=clock.now() - timedelta(days=days_ago))
    started_at = clock.now() - timedelta(days=days_ago)
    return Anomaly.objects.create(
        organization=plant.organization,
        sensor=plant.sensor,
        batch=ReadingBatch.objects.latest("id"),
        kind=Anomaly.Kind.PROFILE,
        direction="high",
        started_at=started_at,
        peak_at=started_at,
        ended_at=started_at + timedelta(hours=1),
        peak_value=3.0,
        expected_value=2.0,
        score=0.7,
        detector_version="1",
        status=status,
        confidence=0.55,
        reasons=[{"text": "Every anomaly starts here", "adjustment": 0.5}],
        validated_at=clock.now(),
    )
