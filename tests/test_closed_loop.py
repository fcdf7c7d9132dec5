"""The product's whole story, agent by agent: from a posted reading to a technician's finding, and back."""

from datetime import timedelta

import pytest

from equipment.models import Verdict
from maintenance.agents import schedule_tasks
from maintenance.models import Booking, Decision, MaintenanceTask, Priority, Proposal, TaskStatus, TaskType
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, start_task
from predictions.agents import make_predictions, request_predictions, score_predictions
from predictions.models import Outcome, Prediction, PredictionOutcome, PredictionStatus, Trigger
from sensors.agents import detect_anomalies, validate_anomalies
from sensors.models import Anomaly, AnomalyFinding, AnomalyStatus, Baseline, HourlyRollup, SensorLatest
from smartmaint import clock
from tests.plants import make_plant, post, set_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def plant(organization):
    set_policy(organization, approval="automatic")
    return make_plant(organization)


def run_agents():
    for agent in (detect_anomalies, validate_anomalies, make_predictions, schedule_tasks, score_predictions):
        agent()


def test_a_reading_over_the_limit_becomes_a_booked_task(plant):
    post(plant.sensor, [2.0, 2.1, 2.0, 7.9])

    run_agents()

    anomaly = Anomaly.objects.get()
    assert (anomaly.kind, anomaly.direction, anomaly.level) == ("limit", "high", "H")
    assert (anomaly.status, anomaly.peak_value, anomaly.expected_value) == (AnomalyStatus.CREDIBLE, 7.9, 7.1)
    assert anomaly.reasons[1] == {"text": "A limit that people set was passed", "adjustment": 0.3}
    prediction = Prediction.objects.get()
    assert (prediction.status, prediction.trigger, prediction.anomaly) == ("made", Trigger.ANOMALY, anomaly)
    assert (prediction.is_already_beyond, prediction.p_1d, prediction.limit_value) == (True, 1.0, 7.1)
    task = MaintenanceTask.objects.get()
    assert (task.prediction, task.type, task.status) == (prediction, TaskType.PREDICTIVE, TaskStatus.PENDING)
    assert (task.priority, task.failure_mode) == (Priority.HIGH, plant.failure_mode)
    booking = Booking.objects.get()
    assert (booking.task, booking.technician, booking.is_active) == (task, plant.technician, True)
    assert booking.period.upper - booking.period.lower == timedelta(minutes=60)


def test_a_finding_flows_back(plant):
    post(plant.sensor, [2.0, 7.9])
    run_agents()
    task, actor = MaintenanceTask.objects.get(), Actor(user=plant.technician.user, is_manager=False)

    start_task(task=task, actor=actor)
    finding = Finding(
        verdict=Verdict.CONFIRMED_AS_PREDICTED,
        failure_mode=plant.failure_mode,
        remedy="Bearing changed",
        downtime_minutes=90,
    )
    log = complete_task(task=task, actor=actor, finding=finding)
    run_agents()

    outcome = PredictionOutcome.objects.get()
    assert (outcome.outcome, outcome.verdict) == (Outcome.TRUE_POSITIVE, Verdict.CONFIRMED_AS_PREDICTED)
    assert not outcome.is_date_censored
    assert Baseline.objects.get().started_at == log.completed_at
    anomaly = Anomaly.objects.get()
    assert anomaly.ended_at == log.completed_at
    assert AnomalyFinding.objects.get().anomaly == anomaly


def test_what_people_found_teaches_the_next_judgement(plant):
    post(plant.sensor, [2.0, 7.9], last_at=clock.now() - timedelta(minutes=20))
    run_agents()
    actor = Actor(user=plant.technician.user, is_manager=False)
    task = start_task(task=MaintenanceTask.objects.get(), actor=actor)
    complete_task(
        task=task, actor=actor, finding=Finding(Verdict.NO_FAULT_FOUND, failure_mode=plant.failure_mode)
    )

    post(plant.sensor, [2.0])
    post(plant.sensor, [8.0], last_at=clock.now() + timedelta(minutes=5))
    run_agents()

    first, second = Anomaly.objects.order_by("started_at")
    assert (first.confidence, second.confidence) == (0.8, 0.65)
    assert second.status == AnomalyStatus.NEEDS_A_LOOK
    assert second.reasons[-1] == {
        "text": "1 like it proved false before, on this sensor",
        "adjustment": -0.15,
    }


def test_a_second_excursion_opens_no_second_task(plant):
    post(plant.sensor, [2.0, 7.9], last_at=clock.now() - timedelta(minutes=20))
    run_agents()
    post(plant.sensor, [2.0], last_at=clock.now() - timedelta(minutes=10))
    post(plant.sensor, [8.4])
    run_agents()

    assert Anomaly.objects.count() == 2
    assert list(Proposal.objects.order_by("id").values_list("decision", flat=True)) == [
        Decision.PROPOSED,
        Decision.MERGED,
    ]
    assert MaintenanceTask.objects.count() == 1


def test_historical_readings_page_nobody(plant):
    post(plant.sensor, [2.0, 9.9, 2.0], historical=True)
    run_agents()

    assert Anomaly.objects.count() == 0
    assert HourlyRollup.objects.filter(maximum=9.9).count() == 1
    assert SensorLatest.objects.get().value == 2.0


def test_a_rising_trend_is_foretold_before_it_passes(plant):
    days = 20
    values = [2 + 4.2 * hour / (24 * days) + 0.05 * (-1) ** hour for hour in range(24 * days)]
    post(plant.sensor, values, interval=timedelta(hours=1), historical=True)
    run_agents()
    request_predictions()
    run_agents()

    prediction = Prediction.objects.get()
    assert (prediction.status, prediction.trigger) == (PredictionStatus.MADE, Trigger.PERIOD)
    # 0.21 mm/s a day, 0.9 to go.
    assert timedelta(days=3) < prediction.passes_p50_at - prediction.made_at < timedelta(days=6)
    assert prediction.p_30d > 0.9
    assert MaintenanceTask.objects.get().prediction == prediction
