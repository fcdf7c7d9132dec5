"""What earlier predictions teach: the champion keeps its place, and what came true corrects probabilities."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from equipment.models import Failure
from predictions.agents import make_predictions
from predictions.models import Prediction
from predictions.services.lessons import last_champions, learn_recalibration
from predictions.services.making import forecast_pending
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import detect_anomalies
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from tests.plants import foretell, post

pytestmark = pytest.mark.django_db

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def forecast_now(plant) -> Prediction:
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    return Prediction.objects.made().first()


def post_rising(plant) -> None:
    rng = np.random.default_rng(1)
    values = [2.0 + 0.002 * hour + float(rng.normal(0, 0.05)) for hour in range(40 * 24)]
    post(plant.sensor, values, interval=timedelta(hours=1), historical=True)
    detect_anomalies()


def test_a_stored_forecast_can_be_made_again_exactly(plant):
    post_rising(plant)
    first = forecast_now(plant)
    second = forecast_now(plant)
    for stored in (first, second):
        with clock.frozen(stored.cutoff_at):
            [again] = forecast_pending([stored])
        said = again.forecast
        assert said.probability == {days: stored.probability_within(days) for days in said.probability}
        assert said.path_quantiles == stored.path["quantiles"]
        assert said.explanation == stored.explanation
        assert said.settings == stored.settings


def test_the_champion_of_the_last_prediction_is_the_incumbent_of_the_next(plant):
    post_rising(plant)
    first = forecast_now(plant)
    second = forecast_now(plant)
    assert first.settings["incumbent"] == "profile_and_residuals"
    assert second.settings["incumbent"] == first.explanation["contest"]["winner"]
    # The same readings are no new evidence: the place does not change hands again.
    assert second.explanation["contest"]["winner"] == first.explanation["contest"]["winner"]
    assert second.explanation["contest"]["changed"] == ""


def test_a_change_of_champion_says_from_whom_and_why(plant):
    post_rising(plant)
    contest = forecast_now(plant).explanation["contest"]
    assert contest["changed"].startswith("changed from profile_and_residuals because")
    assert contest["winner"] in contest["changed"]


def test_a_champion_is_forgotten_after_a_week(plant):
    contest = {"winner": "drift", "held_at_us": 0, "reason": "It won.", "changed": "", "mean_errors": {}}
    now = clock.now()
    foretell(plant, made_at=now - ONE_DAY, explanation={"contest": contest})
    assert last_champions([plant.limit.pk], cutoff_at=now)[plant.limit.pk].name == "drift"
    assert last_champions([plant.limit.pk], cutoff_at=now + 8 * ONE_DAY) == {}


def foretell_daily(plant, *, days: int, p: float, **fields) -> None:
    for back in range(1, days + 1):
        made_at = UNTIL - back * ONE_DAY + timedelta(hours=1)
        for hour in (0, 1):  # the second of a day does not count
            moment = made_at + timedelta(hours=hour)
            foretell(plant, p7=p, p30=p, p_90d=p, made_at=moment, cutoff_at=moment, **fields)


def test_too_few_resolved_predictions_correct_nothing_and_say_so(plant):
    foretell_daily(plant, days=20, p=0.5)
    learned = learn_recalibration(plant.organization.pk, UNTIL)
    # Resolved at 7 days are 13 of 20 days, at 14 days 6; the day that ends at midnight is not over.
    assert (learned.outcomes, learned.failures, learned.is_fitted) == (13 + 6, 0, False)
    assert "Not recalibrated" in learned.words


def test_a_failure_is_true_for_those_before_it_and_a_repair_before_it_resolves_nothing(plant):
    foretell_daily(plant, days=40, p=0.5)
    failed_at = UNTIL - 20 * ONE_DAY
    Failure.objects.create(
        organization=plant.organization,
        equipment=plant.machine,
        failure_mode=plant.failure_mode,
        failed_at=failed_at,
    )
    learned = learn_recalibration(plant.organization.pk, UNTIL)
    # Within 7 days of the failure lie the 7 days before it, within 14 the 14, and of those with 30 days all ten.
    assert learned.failures == 7 + 14 + 10
    restart_sensor_baselines(sensors=[plant.sensor], started_at=failed_at - 5 * ONE_DAY, reason="WO-1")
    learn_recalibration.cache_clear()
    repaired = learn_recalibration(plant.organization.pk, UNTIL)
    # Only the five days after the repair still see the failure as theirs, by 7 and by 14 days.
    assert repaired.failures == 5 + 5
    assert repaired.outcomes < learned.outcomes


def test_many_organisations_are_read_once_a_day_each(plant, django_assert_num_queries):
    learn_recalibration.cache_clear()
    several = range(1_000, 1_200)
    with django_assert_num_queries(200):
        for organization_id in several:
            learn_recalibration(organization_id, UNTIL)
    with django_assert_num_queries(0):
        for organization_id in several:
            learn_recalibration(organization_id, UNTIL)


def test_what_was_corrected_before_is_learned_from_as_it_was_before(plant):
    raw = {"probabilities": {"before_recalibration": {"7": 0.5, "14": 0.5, "30": 0.5, "90": 0.5}}}
    foretell_daily(plant, days=150, p=0.01, explanation=raw)
    for back in range(10, 150, 20):
        Failure.objects.create(
            organization=plant.organization,
            equipment=plant.machine,
            failure_mode=plant.failure_mode,
            failed_at=UNTIL - back * ONE_DAY,
        )
    learned = learn_recalibration(plant.organization.pk, UNTIL)
    assert learned.is_fitted
    share = learned.failures / learned.outcomes
    corrected = float(learned.apply(np.array([0.5]), np.array([14.0]))[0])
    assert corrected == pytest.approx(share, abs=0.25)
    assert corrected > 0.3
