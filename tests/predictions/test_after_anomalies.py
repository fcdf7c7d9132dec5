"""A credible anomaly leads to a task without any limit, by what people found after such anomalies."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from equipment.models import Failure, FailureMode, Verdict
from equipment.services import record_failure
from maintenance.machines import newest_predictions, worst_machines
from maintenance.models import Decision, MaintenanceTask, Proposal
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, approve_task, start_task
from predictions.agents import make_predictions, score_predictions
from predictions.models import Outcome, Prediction, PredictionOutcome
from predictions.services.accuracy import Selection, read_accuracy
from predictions.services.closing import close_past_horizons
from predictions.services.making import forecast_pending
from predictions.services.requesting import request_prediction
from predictions.services.scoring import missed_failures
from sensors.agents import detect_anomalies
from sensors.models import Anomaly, AnomalyFinding, Limit, ReadingBatch, Sensor
from sensors.services.judgement import settle_anomaly
from smartmaint import clock
from tests.plants import Plant, foretell, make_plant, post, set_policy

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def plant(organization) -> Plant:
    """Its sensor has no limit."""
    plant = make_plant(organization)
    plant.limit.delete()
    return plant


def make_anomaly(plant: Plant, *, hours_ago: float = 0, **more) -> Anomaly:
    started_at = clock.now() - hours_ago * HOUR
    post(plant.sensor, [2.0], last_at=started_at)
    ReadingBatch.objects.update(due_at=None)
    return Anomaly.objects.create(
        organization=plant.organization,
        sensor=plant.sensor,
        batch=ReadingBatch.objects.first(),
        **{
            "kind": "profile",
            "direction": "high",
            "started_at": started_at,
            "peak_at": started_at,
            "ended_at": started_at,
            "peak_value": 5.0,
            "expected_value": 2.0,
            "score": 0.9,
            "detector_version": "1",
            "detected_at": started_at,
            "status": "credible",
            "confidence": 0.9,
            "validated_at": started_at,
        }
        | more,
    )


def foretell_after(anomaly: Anomaly) -> Prediction:
    (prediction,) = request_prediction(anomaly=anomaly)
    make_predictions()
    prediction.refresh_from_db()
    return prediction


def found(plant: Plant, verdict: Verdict, *, times: int, **more) -> None:
    for number in range(times):
        anomaly = make_anomaly(plant, hours_ago=1000 + number, **more)
        AnomalyFinding.objects.create(
            organization=plant.organization,
            anomaly=anomaly,
            verdict=verdict,
            found_at=anomaly.started_at + 24 * HOUR,
        )


class TestWithoutALimit:
    def test_it_asks_for_one_prediction_that_tells_what_follows_such_anomalies(self, plant):
        anomaly = make_anomaly(plant)
        request_prediction(anomaly=anomaly)

        prediction = foretell_after(anomaly)

        assert Prediction.objects.count() == 1
        assert (prediction.status, prediction.limit, prediction.limit_value) == ("made", None, None)
        assert prediction.model_name == "findings_after_anomalies"
        assert prediction.p_90d == pytest.approx(0.3, abs=1e-3)
        assert prediction.passes_p10_at - prediction.cutoff_at < timedelta(days=2)
        assert prediction.passes_p50_at is None
        assert prediction.failure_mode.code == FailureMode.UNKNOWN
        assert "30% of machines fail" in prediction.explanation["words"]

    def test_silence_and_what_is_not_credible_ask_for_none(self, plant):
        assert request_prediction(anomaly=make_anomaly(plant, status="needs_a_look")) == []

    def test_it_becomes_an_inspection(self, plant):
        prediction = foretell_after(make_anomaly(plant))

        task = MaintenanceTask.objects.get()
        assert (task.prediction, task.failure_mode.code) == (prediction, FailureMode.UNKNOWN)
        assert (task.title, task.priority, task.status) == ("Inspect: Pump pump-7", "high", "proposed")
        assert task.required_by == prediction.passes_p10_at

    def test_below_the_policys_probability_it_does_not(self, plant):
        foretell_after(make_anomaly(plant, is_corroborated=False))
        assert Proposal.objects.get().decision == Decision.LOW_RISK

        set_policy(plant.organization, inspect_from_probability=0.05)
        foretell_after(make_anomaly(plant, direction="low", is_corroborated=False))
        assert MaintenanceTask.objects.count() == 1

    def test_nothing_more_is_proposed_while_one_is_open_and_two_days_after(self, plant, manager):
        foretell_after(make_anomaly(plant))
        foretell_after(make_anomaly(plant, direction="low"))
        task, actor = MaintenanceTask.objects.get(), Actor(user=manager, is_manager=True)
        finding = Finding(Verdict.NO_FAULT_FOUND, task.failure_mode)
        complete_task(
            task=start_task(task=approve_task(task=task, user=manager), actor=actor),
            actor=actor,
            finding=finding,
        )
        now = clock.now()
        for hours in (47, 49):
            with clock.frozen(now + hours * HOUR):
                foretell_after(make_anomaly(plant))

        decisions = list(Proposal.objects.order_by("pk").values_list("decision", flat=True))
        assert decisions == ["proposed", "merged", "cooldown", "proposed"]

    def test_whatever_mode_is_found_was_foretold(self, plant, manager):
        foretell_after(make_anomaly(plant, hours_ago=1))
        actor = Actor(user=manager, is_manager=True)
        task = start_task(task=approve_task(task=MaintenanceTask.objects.get(), user=manager), actor=actor)
        with pytest.raises(ValidationError, match="No mode was predicted"):
            complete_task(
                task=task, actor=actor, finding=Finding(Verdict.CONFIRMED_ANOTHER_MODE, plant.failure_mode)
            )
        complete_task(
            task=task, actor=actor, finding=Finding(Verdict.CONFIRMED_AS_PREDICTED, plant.failure_mode)
        )
        score_predictions()
        assert PredictionOutcome.objects.get().outcome == Outcome.TRUE_POSITIVE

    def test_a_failure_of_any_mode_is_what_was_meant(self, plant, organization):
        set_policy(organization, inspect_from_probability=0.9)
        prediction = foretell_after(make_anomaly(plant))
        record_failure(
            equipment=plant.machine,
            failure_mode=plant.failure_mode,
            failed_at=clock.now() + timedelta(days=2),
        )
        with clock.frozen(clock.now() + timedelta(days=91)):
            close_past_horizons()
            score_predictions()
        assert PredictionOutcome.objects.get().reason == "It failed within the horizon."
        assert list(missed_failures(organization)) == [Failure.objects.get()]
        assert prediction.p_90d < 0.5

    def test_a_failure_that_it_alone_foretold_is_missed_by_forecasts_and_not_by_the_service(
        self, plant, organization
    ):
        before = clock.now() - 48 * HOUR
        of_anomaly = {
            "limit": None,
            "limit_value": None,
            "anomaly": make_anomaly(plant),
            "trigger": "anomaly",
        }
        foretell(plant, made_at=before, cutoff_at=before, p30=0.8, p_90d=0.9, **of_anomaly)
        record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=before + 24 * HOUR)
        assert not missed_failures(organization).exists()
        results = read_accuracy(Selection((organization,))).results
        assert (results.true_positives, results.missed) == (0, 1)

    def test_pages_tell_it_until_somebody_has_looked(self, plant, organization):
        anomaly = make_anomaly(plant)
        prediction = foretell_after(anomaly)
        shown = newest_predictions(Limit.objects.none(), sensors=Sensor.objects.all())
        assert shown == worst_machines(organization, at_least=0.2) == [prediction]

        AnomalyFinding.objects.create(
            organization=organization, anomaly=anomaly, verdict="no_fault_found", found_at=clock.now()
        )
        assert worst_machines(organization, at_least=0.2) == []

    def test_the_pages_and_the_api_open(self, plant, manager_client, ingest_key, client):
        prediction = foretell_after(make_anomaly(plant))
        for address in (
            f"/machines/{plant.machine.pk}/",
            f"/admin/predictions/prediction/{prediction.pk}/change/",
            "/admin/predictions/prediction/?age=newest",
            f"/plots/prediction/{prediction.pk}.json",
            "/admin/maintenance/proposal/",
            "/admin/",
            "/",
        ):
            assert manager_client.get(address).status_code == 200, address
        page = manager_client.get(f"/machines/{plant.machine.pk}/").content.decode()
        assert "vibration velocity after an anomaly" in page
        answer = client.get("/api/v1/predictions", headers={"Authorization": f"Bearer {ingest_key[1]}"})
        (told,) = answer.json()["results"]
        assert (told["failure_mode"], told["level"], told["limit_value"]) == ("UNK", "", None)

    def test_the_ledger_keeps_one_waiting_and_each_with_its_anomaly(self, plant):
        anomaly = make_anomaly(plant)
        owned = {"organization": plant.organization, "sensor": plant.sensor, "due_at": clock.now()}
        Prediction.objects.create(**owned, anomaly=anomaly, trigger="anomaly")
        for wrong in (
            {"anomaly": anomaly, "trigger": "anomaly"},
            {"trigger": "person", "status": "not_possible"},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Prediction.objects.create(**owned | wrong)


class TestFindings:
    def test_what_was_found_after_such_anomalies_moves_the_risk(self, plant):
        found(plant, Verdict.NO_FAULT_FOUND, times=10)
        prediction = foretell_after(make_anomaly(plant))
        assert prediction.p_90d == pytest.approx(0.1, abs=1e-3)
        assert prediction.explanation["after_anomaly"]["findings"] == 10

    def test_other_groups_and_organisations_do_not(self, plant, other_organization):
        found(plant, Verdict.NO_FAULT_FOUND, times=3, is_corroborated=True)
        found(plant, Verdict.NO_FAULT_FOUND, times=3, kind="limit")
        found(plant, Verdict.SENSOR_FAULT, times=3, direction="low")
        found(make_plant(other_organization, name="pump-8"), Verdict.NO_FAULT_FOUND, times=3)
        assert foretell_after(make_anomaly(plant)).p_90d == pytest.approx(0.3, abs=1e-3)

    def test_each_pattern_counts_by_itself(self, plant):
        found(plant, Verdict.NO_FAULT_FOUND, times=10, pattern="spike")
        shift = foretell_after(make_anomaly(plant, pattern="shift"))
        spike = foretell_after(make_anomaly(plant, pattern="spike", direction="low"))
        assert shift.p_90d == pytest.approx(0.3, abs=1e-3)
        assert spike.p_90d == pytest.approx(0.25 / 15, abs=1e-3)
        assert "(level shift)" in shift.explanation["words"]

    def test_failures_tell_how_soon_they_come(self, plant):
        found(plant, Verdict.FAILED_BEFORE_REPAIR, times=5)
        told = foretell_after(make_anomaly(plant)).explanation["after_anomaly"]
        assert (told["share"], told["mean_lead_days"]) == (0.65, 2.0)


class TestBesideAForecast:
    @pytest.fixture
    def plant(self, organization):
        return make_plant(organization, limit=100.0)

    def test_the_larger_of_both_counts(self, plant):
        post(plant.sensor, [2.0 + 0.01 * (n % 7) for n in range(2000)], historical=True)
        detect_anomalies()
        prediction = foretell_after(make_anomaly(plant))

        told = prediction.explanation["after_anomaly"]
        assert told["by_forecast"]["30"] < 0.05
        assert prediction.p_30d == told["probabilities"]["30"] == pytest.approx(0.3, abs=1e-3)
        assert (prediction.limit, prediction.limit_value) == (plant.limit, 100.0)
        assert "the larger of both counts, that of the anomaly" in prediction.explanation["words"]
        assert MaintenanceTask.objects.get().failure_mode == plant.failure_mode

    def test_where_no_forecast_is_possible_it_is_all_there_is(self, plant):
        prediction = foretell_after(make_anomaly(plant))
        assert (prediction.status, prediction.model_name) == ("made", "findings_after_anomalies")
        assert (prediction.limit, prediction.limit_value) == (plant.limit, 100.0)
        assert prediction.explanation["after_anomaly"]["by_forecast"] is None
        assert "No forecast: " in prediction.explanation["words"]

    def test_the_hourly_ones_go_on_counting_it_until_somebody_has_looked(self, plant):
        anomaly = make_anomaly(plant)
        risks = [self.hourly(plant).explanation.get("after_anomaly") is not None]
        AnomalyFinding.objects.create(
            organization=plant.organization, anomaly=anomaly, verdict="no_fault_found", found_at=clock.now()
        )
        risks.append("after_anomaly" in self.hourly(plant).explanation)
        assert risks == [True, False]

    def hourly(self, plant) -> Prediction:
        prediction = Prediction(
            organization=plant.organization, sensor=plant.sensor, limit=plant.limit, trigger="period"
        )
        prediction.mark_due()
        prediction.save()
        make_predictions()
        prediction.refresh_from_db()
        return prediction


def test_a_person_who_finds_it_credible_asks_for_it_too(plant, manager):
    anomaly = make_anomaly(plant, status="needs_a_look", confidence=0.5)
    settle_anomaly(anomaly=anomaly, is_credible=True, user=manager)
    assert Prediction.objects.get().anomaly == anomaly


def test_anomalies_of_many_predictions_are_read_by_as_many_statements_as_that_of_one(organization, plant):
    others = [make_plant(organization, name=f"pump-{number}") for number in range(2)]
    for one in (plant, *others):
        request_prediction(anomaly=make_anomaly(one))
    waiting = [prediction.pk for prediction in Prediction.objects.order_by("id")]
    forecast_pending(list(Prediction.objects.all()))  # reads what the day has taught
    counts = []
    for pks in (waiting[1:2], waiting[1:], waiting):
        predictions = list(Prediction.objects.filter(pk__in=pks).order_by("id"))
        with CaptureQueriesContext(connection) as queries:
            answers = forecast_pending(predictions)
        counts.append(len(queries))
        assert all(answer.risk is not None for answer in answers)
    assert counts[0] == counts[1] == counts[2]
