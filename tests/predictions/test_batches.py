"""Many predictions at once: each as it would be alone, the urgent ones first, and none stopped by another."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from maintenance.models import Decision, Proposal
from predictions import agents
from predictions.agents import make_predictions
from predictions.models import Prediction, PredictionStatus, Trigger
from predictions.services.histories import in_portions, read_histories
from predictions.services.making import forecast_pending
from predictions.services.requesting import request_due_predictions, request_prediction_by_person
from predictions.signals import predictions_made
from sensors.agents import detect_anomalies
from sensors.models import HourlyRollup, Limit
from smartmaint import clock
from smartmaint.work import Tally
from tests.plants import make_plant, post
from tests.predictions.pure.series import noise

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def fleet(plant):
    """Four pumps with ten days of hourly readings that rise at different speeds; the last one's have a gap."""
    plants = [plant, *(make_plant(plant.organization, name=f"pump-{number}") for number in range(3))]
    now = clock.now()
    for number, one in enumerate(plants):
        values = [
            4 + 0.003 * number * hour + 0.2 * (hour % 24 < 8) + float(deviation)
            for hour, deviation in enumerate(noise(240, sd=0.1, seed=number))
        ]
        recent = 100 if number == 3 else 240
        post(one.sensor, values[:90], last_at=now - 150 * HOUR, interval=HOUR, historical=True)
        post(one.sensor, values[-recent:], last_at=now, interval=HOUR, historical=True)
    detect_anomalies()
    return plants


def said(forecast):
    """What the ledger keeps of a forecast, to the digits that are kept."""
    return (
        forecast.probability,
        (forecast.crossing_p10_us, forecast.crossing_p50_us, forecast.crossing_p90_us),
        forecast.path_ts_us,
        forecast.path_quantiles,
        forecast.reason,
        forecast.settings,
    )


def test_a_forecast_can_be_made_again_alone_as_it_was_made_among_others(fleet):
    assert request_due_predictions() == 4
    make_predictions()
    stored = list(Prediction.objects.order_by("id"))
    assert {prediction.model_name for prediction in stored} == {"prophet"}
    assert len({prediction.settings["seed"] for prediction in stored}) == 4
    for prediction in stored:
        with clock.frozen(prediction.cutoff_at):
            (alone,) = forecast_pending([prediction])
        assert alone.forecast.path_quantiles == prediction.path["quantiles"]
        assert {days: prediction.probability_within(days) for days in (1, 7, 14, 30, 90)} == (
            alone.forecast.probability
        )
        assert alone.forecast.reason == prediction.explanation["words"]
    with clock.frozen(stored[0].cutoff_at):
        there, back = forecast_pending(stored), forecast_pending(stored[::-1])[::-1]
    assert [said(answer.forecast) for answer in there] == [said(answer.forecast) for answer in back]


def test_a_batch_is_read_and_written_by_as_many_statements_as_one(fleet):
    # The first run leaves its mark by an insert, the others by an update; and it reads what the day has taught.
    request_prediction_by_person(sensor=fleet[0].sensor)
    make_predictions()
    counts = []
    for plants in (fleet[:1], fleet[:2]):
        for one in plants:
            request_prediction_by_person(sensor=one.sensor)
        with CaptureQueriesContext(connection) as queries:
            make_predictions()
        counts.append(len(queries))
    assert Proposal.objects.filter(decision=Decision.LOW_RISK).count() == 4
    assert counts[0] == counts[1]


def test_one_that_an_anomaly_asks_for_waits_for_one_batch_of_periodic_ones(fleet, monkeypatch):
    monkeypatch.setattr(agents, "PERIODIC_TOGETHER", 1)
    urgent, *others = fleet
    request_due_predictions()
    Prediction.objects.filter(sensor=urgent.sensor).delete()
    order = []

    def follow(sender, *, predictions, **kwargs):
        order.append([(one.sensor_id, one.trigger) for one in predictions])
        if len(order) == 1:
            request_prediction_by_person(sensor=urgent.sensor)

    predictions_made.connect(follow)
    try:
        make_predictions()
    finally:
        predictions_made.disconnect(follow)
    ids = [one.sensor.pk for one in others]
    assert order == [
        [(ids[0], Trigger.PERIOD)],
        [(urgent.sensor.pk, Trigger.PERSON)],
        [(ids[1], Trigger.PERIOD)],
        [(ids[2], Trigger.PERIOD)],
    ]


def test_one_failing_series_costs_no_other_its_place_in_the_batch(fleet):
    Limit.objects.filter(sensor=fleet[1].sensor).update(on_delay_s=float("inf"))
    request_due_predictions()
    with CaptureQueriesContext(connection) as queries:
        make_predictions()
    failing = Prediction.objects.get(status=PredictionStatus.PENDING)
    assert (failing.sensor, failing.attempts) == (fleet[1].sensor, 1)
    assert Prediction.objects.made().count() == 3
    # The three were read and written together, not one by one after the failure.
    assert sum("sensors_hourlyrollup" in query["sql"] for query in queries) <= 2


def test_one_that_cannot_be_written_stops_no_other(fleet):
    """The ledger refuses one of them: probabilities that fall."""
    request_due_predictions()
    bad = Prediction.objects.order_by("id")[2]

    def forecast_one_wrong(predictions):
        answers = forecast_pending(predictions)
        for prediction, answer in zip(predictions, answers, strict=True):
            if prediction.pk == bad.pk:
                answer.forecast.probability[7] = 2.0
        return answers

    tally = agents.run_pending(
        Prediction, work=forecast_one_wrong, settle_all=agents.enter_predictions, budget_seconds=0
    )
    assert tally == Tally(settled=3, failed=1)
    bad.refresh_from_db()
    assert "IntegrityError" in bad.last_error


def test_histories_are_read_in_portions_whatever_their_number_of_readings(fleet, monkeypatch):
    until = clock.now()
    since = {one.sensor.pk: until - timedelta(days=9) for one in fleet}
    [everything] = in_portions(since, until=until)
    whole = read_histories(everything, until=until)
    monkeypatch.setattr("predictions.services.histories.READINGS_AT_ONCE", 100)
    portions = list(in_portions(since, until=until))
    assert [len(portion) for portion in portions] == [2, 2]
    parts = {
        key: value for portion in portions for key, value in read_histories(portion, until=until).items()
    }
    for sensor_id, measured in whole.items():
        assert measured.values.tolist() == parts[sensor_id].values.tolist()


def test_readings_are_counted_before_any_rollup_knows_of_them(fleet, monkeypatch):
    HourlyRollup.objects.all().delete()
    until = clock.now()
    since = {one.sensor.pk: until - timedelta(days=9) for one in fleet}
    monkeypatch.setattr("predictions.services.histories.READINGS_AT_ONCE", 100)
    assert [len(portion) for portion in in_portions(since, until=until)] == [2, 2]


def test_of_a_sensor_with_too_many_readings_only_the_newest_count_one_by_one(fleet, monkeypatch):
    until = clock.now()
    sensor = fleet[0].sensor
    since = {sensor.pk: until - timedelta(days=9)}
    [everything] = in_portions(since, until=until)
    whole = read_histories(everything, until=until)[sensor.pk]
    monkeypatch.setattr("predictions.services.histories.READINGS_AT_ONCE", 20)
    [newest] = in_portions(since, until=until)
    assert until - 20 * HOUR < newest[sensor.pk].raw_from <= until - 19 * HOUR
    # What is older is read by the hour, and one reading an hour is its own mean.
    part = read_histories(newest, until=until)[sensor.pk]
    assert set(whole.values.tolist()) == set(part.values.tolist())


def test_no_sensor_is_no_portion(db):
    assert list(in_portions({}, until=clock.now())) == []
