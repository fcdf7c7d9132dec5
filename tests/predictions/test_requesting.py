"""Asking for predictions: one waits per limit, and the most urgent reason wins."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from equipment.models import Verdict
from predictions.agents import make_predictions, request_predictions
from predictions.models import Prediction, PredictionStatus, Trigger
from predictions.services import requesting
from predictions.services.making import enter_predictions, forecast_pending
from predictions.services.requesting import (
    request_due_predictions,
    request_prediction,
    request_prediction_by_person,
)
from sensors.agents import detect_anomalies, validate_anomalies
from sensors.models import Anomaly, AnomalyStatus, Level, Limit, ReadingBatch
from sensors.services.baselines import record_finding, restart_sensor_baselines
from smartmaint import clock
from smartmaint.work import run_pending
from tests.plants import foretell, make_limit, make_plant, post

pytestmark = pytest.mark.django_db


def test_only_the_outermost_limits_are_forecast(plant):
    inner = plant.limit
    outer = make_limit(plant.sensor, level=Level.HIGH_HIGH, value=11, failure_mode=plant.failure_mode)
    low = make_limit(plant.sensor, level=Level.LOW, value=0.1, failure_mode=plant.failure_mode)
    assert set(Limit.objects.outermost()) == {outer, low}
    Limit.objects.filter(pk=outer.pk).update(is_active=False)
    assert set(Limit.objects.outermost()) == {inner, low}


def test_asking_twice_keeps_one_pending_prediction(plant):
    request_prediction_by_person(sensor=plant.sensor)
    request_prediction_by_person(sensor=plant.sensor)
    assert Prediction.objects.get().trigger == Trigger.PERSON


def test_a_prediction_that_was_given_up_gets_another_chance(plant):
    (prediction,) = request_prediction_by_person(sensor=plant.sensor)
    Prediction.objects.update(due_at=None, parked_at=clock.now(), attempts=8, last_error="x")
    request_prediction_by_person(sensor=plant.sensor)
    prediction.refresh_from_db()
    assert (prediction.attempts, prediction.parked_at) == (0, None)
    assert prediction.due_at is not None


def test_periodic_predictions_need_news_and_an_hour(plant):
    request_predictions()
    assert Prediction.objects.count() == 0  # nothing was measured yet
    post(plant.sensor, [1.0])
    request_predictions()
    request_predictions()
    assert Prediction.objects.count() == 1
    make_predictions()
    with clock.frozen(clock.now() + timedelta(minutes=61)):
        request_predictions()
        assert Prediction.objects.count() == 1  # no news
        post(plant.sensor, [1.0])
        request_predictions()
    assert Prediction.objects.count() == 2


def test_a_request_ends_a_back_off(plant):
    (prediction,) = request_prediction_by_person(sensor=plant.sensor)
    Prediction.objects.update(due_at=datetime.now(UTC) + timedelta(hours=1), attempts=7, last_error="x")
    request_prediction_by_person(sensor=plant.sensor)
    prediction.refresh_from_db()
    assert (prediction.attempts, prediction.last_error) == (0, "")
    assert prediction.due_at <= datetime.now(UTC)


def test_a_waiting_prediction_takes_the_most_urgent_reason(plant):
    def trigger():
        return Prediction.objects.get().trigger

    post(plant.sensor, [2.0, 7.9])
    request_predictions()
    assert trigger() == Trigger.PERIOD
    request_prediction_by_person(sensor=plant.sensor)
    assert trigger() == Trigger.PERSON
    detect_anomalies()
    validate_anomalies()
    assert (trigger(), Prediction.objects.get().anomaly) == (Trigger.ANOMALY, Anomaly.objects.get())
    request_prediction_by_person(sensor=plant.sensor)
    assert trigger() == Trigger.ANOMALY


def test_an_anomaly_overtakes_the_prediction_that_is_being_made(plant):
    post(plant.sensor, [2.0])
    request_predictions()

    def forecast_while_an_anomaly_comes(predictions):
        answers = forecast_pending(predictions)
        post(plant.sensor, [7.9], last_at=clock.now() + timedelta(seconds=1))
        detect_anomalies()
        validate_anomalies()
        return answers

    tally = run_pending(
        Prediction, work=forecast_while_an_anomaly_comes, settle_all=enter_predictions, budget_seconds=0
    )
    assert (tally.settled, tally.overtaken) == (0, 1)
    with clock.frozen(clock.now() + timedelta(seconds=2)):
        make_predictions()
    prediction = Prediction.objects.get()
    assert (prediction.trigger, prediction.is_already_beyond) == (Trigger.ANOMALY, True)


def test_a_periodic_prediction_that_was_given_up_is_tried_again_after_an_hour(plant):
    post(plant.sensor, [1.0])
    assert request_due_predictions() == 1
    for minutes, tried_again in ((59, 0), (61, 1)):
        parked_at = datetime.now(UTC) - timedelta(minutes=minutes)
        Prediction.objects.update(due_at=None, parked_at=parked_at, attempts=8)
        assert request_due_predictions() == tried_again
    prediction = Prediction.objects.get()
    assert (prediction.attempts, prediction.parked_at) == (0, None)


def test_limits_that_wait_already_take_no_place_and_the_longest_wait_comes_first(plant, monkeypatch):
    monkeypatch.setattr(requesting, "PERIODIC_BATCH", 1)
    sensors = [plant.sensor]
    for number, hours in ((1, 2), (2, 3)):
        other = make_plant(plant.organization, name=f"pump-{number}")
        asked_at = clock.now() - timedelta(hours=hours)
        foretell(other, requested_at=asked_at, made_at=asked_at, cutoff_at=asked_at)
        sensors.append(other.sensor)
    for sensor in sensors:
        post(sensor, [1.0])
    asked = []
    while request_due_predictions():
        asked.append(Prediction.objects.latest("id").sensor)
    assert asked == [sensors[0], sensors[2], sensors[1]]


def test_a_probability_of_a_sensor_that_fell_silent_is_asked_anew_once(plant):
    asked_at = clock.now() - timedelta(hours=25)
    with clock.frozen(asked_at - timedelta(hours=1)):
        post(plant.sensor, [1.0])
    foretell(plant, requested_at=asked_at, made_at=asked_at, cutoff_at=asked_at)
    with clock.frozen(asked_at + timedelta(hours=23)):
        assert request_due_predictions() == 0
    assert request_due_predictions() == 1
    make_predictions()
    assert Prediction.objects.latest("id").status == PredictionStatus.NOT_POSSIBLE
    with clock.frozen(clock.now() + timedelta(days=2)):
        assert request_due_predictions() == 0


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_share_one_prediction(plant):
    asked = []

    def ask():
        try:
            asked.extend(request_prediction_by_person(sensor=plant.sensor))
        finally:
            connection.close()

    other = threading.Thread(target=ask)
    with transaction.atomic():
        asked.extend(request_prediction_by_person(sensor=plant.sensor))
        other.start()
        other.join(timeout=0.3)
        assert len(asked) == 1  # the other waits for what is not committed yet
    other.join()
    assert [prediction.pk for prediction in asked] == [Prediction.objects.get().pk] * 2


def watch(plant, values: list[float]) -> None:
    post(plant.sensor, values)
    detect_anomalies()
    validate_anomalies()
    make_predictions()


def test_the_end_of_a_credible_anomaly_asks_again_so_that_the_last_word_is_of_now(plant):
    now = clock.now()
    with clock.frozen(now):
        watch(plant, [2.0, 7.9])
    anomaly = Anomaly.objects.get()
    assert Prediction.objects.get().is_already_beyond
    with clock.frozen(now + timedelta(minutes=5)):
        watch(plant, [2.0])
    anomaly.refresh_from_db()
    assert anomaly.ended_at is not None
    last = Prediction.objects.latest("id")
    assert (last.trigger, last.anomaly) == (Trigger.ANOMALY, anomaly)
    assert not last.is_already_beyond
    with clock.frozen(now + timedelta(minutes=10)):
        watch(plant, [2.1])
    assert Prediction.objects.count() == 2  # what is over ends once


@pytest.mark.parametrize("verdict", [None, Verdict.NO_FAULT_FOUND])
def test_the_end_of_one_that_was_followed_up_asks_for_nothing(plant, verdict):
    """A repair or a finding since it began says more than that it is over."""
    now = clock.now()
    with clock.frozen(now):
        watch(plant, [2.0, 7.9])
    looked_at = now + timedelta(minutes=2)
    if verdict is None:
        restart_sensor_baselines(sensors=[plant.sensor], started_at=looked_at, reason="A new bearing")
        Anomaly.objects.update(ended_at=looked_at)
    else:
        record_finding(anomaly=Anomaly.objects.get(), verdict=verdict, found_at=looked_at)
    with clock.frozen(now + timedelta(minutes=5)):
        watch(plant, [2.0])
        assert request_prediction(anomaly=Anomaly.objects.get()) == []
    assert Anomaly.objects.get().ended_at is not None
    assert Prediction.objects.count() == 1


def test_the_end_of_one_that_nobody_believes_asks_for_nothing(plant):
    now = clock.now()
    with clock.frozen(now):
        post(plant.sensor, [2.0, 7.9])
        detect_anomalies()
    Anomaly.objects.update(
        status=AnomalyStatus.SUSPECTED_FALSE, validated_at=now, confidence=0.1, due_at=None
    )
    with clock.frozen(now + timedelta(minutes=5)):
        watch(plant, [2.0])
    assert Anomaly.objects.get().ended_at is not None
    assert not Prediction.objects.exists()


def test_a_forecast_made_while_an_anomaly_goes_on_is_not_called_certain(plant):
    now = clock.now()
    calm = np.random.default_rng(1).normal(2.0, 0.05, 100 * 24)
    post(plant.sensor, list(calm), interval=timedelta(hours=1), historical=True)
    detect_anomalies()
    usual = {
        "organization": plant.organization,
        "sensor": plant.sensor,
        "batch": ReadingBatch.objects.latest("id"),
        "kind": Anomaly.Kind.PROFILE,
        "direction": "high",
        "started_at": now - timedelta(hours=3),
        "peak_at": now,
        "peak_value": 5.0,
        "expected_value": 2.0,
        "score": 0.9,
        "detector_version": "1",
        "status": AnomalyStatus.CREDIBLE,
        "confidence": 0.9,
        "validated_at": now,
    }
    anomaly = Anomaly.objects.create(**usual)
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    said = Prediction.objects.latest("id").explanation
    assert (said["certainty"], said["excursion"]) == ("low", True)
    assert "An anomaly has been going on for 3 hours" in said["words"]
    Anomaly.objects.filter(pk=anomaly.pk).update(ended_at=now - timedelta(hours=1))
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    said = Prediction.objects.latest("id").explanation
    assert (said["certainty"], said["excursion"]) == ("good", False)
