"""The ledger's retention: what goes was counted by nothing, and no figure moves."""

from datetime import UTC, timedelta

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from equipment.models import Verdict
from equipment.services import record_failure
from maintenance.models import Proposal
from maintenance.services.proposing import propose_task
from predictions.agents import close_horizons, score_predictions
from predictions.models import ClosedHorizons, Prediction, PredictionOutcome
from predictions.services.accuracy import Selection, read_accuracy
from predictions.services.closing import close_past_horizons
from predictions.services.lessons import learn_recalibration, start_of_day
from predictions.services.scoring import missed_failures, request_score
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from tests.plants import Plant, foretell, make_plant

pytestmark = pytest.mark.django_db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
QUIET = {"p7": 0.0, "p30": 0.125, "p_90d": 0.25}


@pytest.fixture
def morning():
    """Of a day whose horizons have passed, in UTC and in Berlin."""
    return (clock.now() - 120 * DAY).astimezone(UTC).replace(hour=6, minute=0, second=0, microsecond=0)


def foretell_at(plant: Plant, made_at, **fields: object) -> Prediction:
    return foretell(plant, **({"made_at": made_at, "cutoff_at": made_at} | QUIET | fields))


def foretell_newest(plant: Plant) -> Prediction:
    return foretell_at(plant, clock.now() - HOUR)


def kept() -> list[Prediction]:
    return list(Prediction.objects.order_by("made_at", "pk"))


def test_of_a_quiet_day_the_first_stays_with_its_score(plant, morning):
    first, *_ = [foretell_at(plant, morning + hour * HOUR) for hour in range(8)]
    newest = foretell_newest(plant)
    close_horizons()
    score_predictions()
    assert kept() == [first, newest]
    assert PredictionOutcome.objects.scored().get().prediction == first


def test_the_day_is_one_of_utc_and_of_the_organisation(plant, morning):
    midnight = morning.replace(hour=0)  # one or two o'clock in Berlin
    moments = [midnight + hour * HOUR for hour in (-4, -3, -1, 0, 1)]
    before, _, of_berlin, of_utc, _ = [foretell_at(plant, moment) for moment in moments]
    newest = foretell_newest(plant)
    close_horizons()
    # In winter Berlin's day begins at 23:00 UTC, in summer at 22:00: -1 is the first of it either way.
    assert kept() == [before, of_berlin, of_utc, newest]


def test_the_newest_word_stays_whatever_it_is(plant, morning):
    """An older one would hold again in its place."""
    first = foretell_at(plant, morning)
    foretell_at(plant, morning + HOUR)
    nothing = {"status": "not_possible", "not_possible_because": "Too few readings."}
    foretell_at(plant, morning + 2 * HOUR, **nothing)
    newest = foretell_at(plant, morning + 3 * HOUR, **nothing)
    close_horizons()
    assert kept() == [first, newest]


def test_the_first_that_recalibration_counts_stays_too(plant, morning):
    beyond = foretell_at(plant, morning, is_already_beyond=True)
    foretell_at(plant, morning + HOUR, model_name="findings_after_anomalies")
    modelled = foretell_at(plant, morning + 2 * HOUR)
    foretell_at(plant, morning + 3 * HOUR, is_already_beyond=True)
    foretell_at(plant, morning + 4 * HOUR)
    newest = foretell_newest(plant)
    close_horizons()
    assert kept() == [beyond, modelled, newest]


def test_of_loud_ones_those_stay_that_a_failure_may_need(plant, morning):
    quiet = foretell_at(plant, morning)
    loud = [foretell_at(plant, morning + hour * HOUR, p_90d=0.9) for hour in range(1, 7)]
    restart_sensor_baselines(
        sensors=[plant.sensor], started_at=loud[2].made_at + HOUR / 2, reason="A new bearing"
    )
    newest = foretell_newest(plant)
    close_horizons()
    assert kept() == [quiet, loud[0], loud[3], loud[5], newest]


def test_what_somebody_asked_for_or_worked_on_stays(plant, morning, organization):
    first = foretell_at(plant, morning)
    person = foretell_at(plant, morning + HOUR, trigger="person")
    found = foretell_at(plant, morning + 2 * HOUR)
    request_score(predictions=[found], verdict=Verdict.NOT_INSPECTED, happened_at=morning + DAY)
    tasked = foretell_at(plant, morning + 3 * HOUR, p30=0.9, p_90d=0.95)
    merged = foretell_at(plant, morning + 4 * HOUR, p30=0.9, p_90d=0.95)
    assert propose_task(tasked).task == propose_task(merged).task is not None
    spare = foretell_at(plant, morning + 5 * HOUR)
    newest = foretell_newest(plant)
    for prediction in (first, spare):
        assert propose_task(prediction).task is None
    close_horizons()
    assert kept() == [first, person, found, tasked, merged, newest]
    assert Proposal.objects.count() == 3


def test_what_was_scored_before_goes_with_its_score(plant, morning):
    first, _, newest = [foretell_at(plant, morning + hour * HOUR) for hour in range(3)]
    close_horizons()
    assert kept() == [first, newest]
    again = foretell_at(plant, morning + HOUR)
    PredictionOutcome.objects.create(
        organization=plant.organization, prediction=again, happened_at=morning + 90 * DAY
    )
    score_predictions()
    ClosedHorizons.objects.update(made_until=morning)
    close_horizons()
    assert kept() == [first, newest]
    assert set(PredictionOutcome.objects.values_list("prediction", flat=True)) == {first.pk, newest.pk}


def test_what_is_young_and_what_is_of_others_stays(plant, morning, other_organization):
    young = clock.now() - 80 * DAY
    mine = [foretell_at(plant, young + hour * HOUR) for hour in range(3)]
    theirs = make_plant(other_organization, name="pump-8")
    others = [foretell_at(theirs, morning + hour * HOUR) for hour in range(3)]
    close_past_horizons(plant.organization)
    assert set(kept()) == {*mine, *others}


def test_the_ledger_is_as_firm_afterwards_as_it_was(plant, morning):
    for hour in range(3):
        foretell_at(plant, morning + hour * HOUR)
    close_horizons()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        Prediction.objects.all()._raw_delete(using="default")


def foretell_days(plant: Plant, first_at, rng: np.random.Generator, *, days: int) -> None:
    """By probabilities whose sums are exact, in whatever order they come."""
    for hour in range(24 * days):
        p = float(rng.choice([0.125, 0.25, 0.625, 0.875]))
        fields = rng.choice(
            [
                {},
                {},
                {"is_already_beyond": True},
                {"model_name": "findings_after_anomalies"},
                {"status": "not_possible", "not_possible_because": "Too few readings."},
            ]
        )
        moment = first_at + hour * HOUR
        foretell_at(plant, moment, **{"p7": p / 4, "p30": p / 2, "p_90d": p, "model_version": "1"} | fields)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_neither_accuracy_nor_recalibration_nor_what_was_missed_moves(plant, organization, morning, seed):
    rng = np.random.default_rng(seed)
    plants = [plant, make_plant(organization, name="pump-8")]
    for one in plants:
        foretell_days(one, morning, rng, days=3)
        foretell_newest(one)
        for hour in rng.integers(1, 72, size=2).tolist():
            restart_sensor_baselines(
                sensors=[one.sensor], started_at=morning + hour * HOUR + HOUR / 3, reason="Overhaul"
            )
        for hour in [*rng.integers(1, 72, size=2), *rng.integers(89 * 24, 93 * 24, size=2)]:
            record_failure(
                equipment=one.machine,
                failure_mode=one.failure_mode,
                failed_at=morning + int(hour) * HOUR + HOUR / 2,
            )

    def figures() -> tuple:
        learn_recalibration.cache_clear()
        missed = set(missed_failures(organization))
        accuracy = [read_accuracy(Selection((organization,), days)) for days in (30, 90, 365)]
        return accuracy, learn_recalibration(organization.pk, start_of_day(clock.now())), missed

    now = clock.now()
    with clock.frozen(now):
        before, count = figures(), Prediction.objects.count()
        close_horizons()
        score_predictions()
        assert figures() == before
    assert Prediction.objects.count() < count * 0.7
