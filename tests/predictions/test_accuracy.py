"""Accuracy from the ledger: what is resolved when, what counts once, and that closing work moves nothing."""

from datetime import timedelta

import pytest

from equipment.models import Verdict
from equipment.services import record_failure
from maintenance.models import MaintenanceTask
from maintenance.services.completing import Finding, complete_task
from maintenance.services.proposing import propose_task
from maintenance.services.tasks import Actor, approve_task, start_task
from predictions.agents import close_horizons, score_predictions
from predictions.models import Prediction
from predictions.services import accuracy, accuracy_sql
from predictions.services.accuracy import (
    Accuracy,
    Scores,
    Selection,
    TooMuchToRead,
    read_accuracy,
    read_scores,
)
from predictions.services.scoring import request_score
from sensors.models import HourlyRollup
from sensors.services.baselines import restart_sensor_baselines
from sensors.storage import microseconds
from smartmaint import clock
from tests.plants import Plant, foretell, make_plant

pytestmark = pytest.mark.django_db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def long_ago():
    """So long that every horizon has ended, and that all of them ended within the year."""
    return clock.now() - 100 * DAY


def foretell_at(plant: Plant, made_at, **fields: object) -> Prediction:
    return foretell(plant, made_at=made_at, cutoff_at=made_at, **fields)


def fail(plant: Plant, failed_at) -> None:
    record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=failed_at)


def repair(plant: Plant, repaired_at) -> None:
    restart_sensor_baselines(sensors=[plant.sensor], started_at=repaired_at, reason="Overhaul")


def of(plant: Plant, **fields: object) -> Selection:
    return Selection((plant.organization,), **({"days": 365} | fields))


def fates(scores: Scores) -> dict[int, str]:
    """By days ahead what became of the only prediction there is."""
    words = {(1, 1, 0): "failed", (1, 0, 0): "quiet", (0, 0, 1): "censored"}
    return {
        days: words[tally.resolved, tally.failed, tally.censored] for days, tally in scores.of_all.items()
    }


@pytest.mark.parametrize(
    ("repaired", "failed", "expected"),
    [
        (None, None, ("quiet", "quiet", "quiet", "quiet")),
        (None, 10, ("quiet", "failed", "failed", "failed")),
        (None, 90, ("quiet", "quiet", "quiet", "failed")),
        (10, None, ("quiet", "censored", "censored", "censored")),
        (20, 10, ("quiet", "failed", "failed", "failed")),
        (10, 20, ("quiet", "censored", "censored", "censored")),
        (10, 10, ("quiet", "failed", "failed", "failed")),
        (7, None, ("censored", "censored", "censored", "censored")),
        (None, -1, ("quiet", "quiet", "quiet", "quiet")),
        (-1, None, ("quiet", "quiet", "quiet", "quiet")),
    ],
)
def test_a_prediction_is_resolved_at_each_horizon_by_what_came_first(
    plant, long_ago, repaired, failed, expected
):
    foretell_at(plant, long_ago)
    if repaired is not None:
        repair(plant, long_ago + repaired * DAY)
    if failed is not None:
        fail(plant, long_ago + failed * DAY)
    assert fates(read_scores(of(plant))) == dict(zip((7, 14, 30, 90), expected, strict=True))


def test_what_is_younger_than_its_horizon_is_not_resolved_even_by_a_failure(plant):
    """Or failures, which are known at once, would look frequent beside those that still may not come."""
    made_at = clock.now() - 10 * DAY
    foretell_at(plant, made_at)
    fail(plant, made_at + 3 * DAY)
    assert fates(read_scores(of(plant))) == {7: "failed"}


def test_the_sums_are_those_of_the_probabilities_of_each_horizon(plant, long_ago):
    foretell_at(plant, long_ago, p7=0.1, p30=0.6, p_90d=0.9)
    fail(plant, long_ago + 20 * DAY)
    scores = read_scores(of(plant))
    assert scores.of_all[7].squared_error == pytest.approx(0.01)
    assert scores.of_all[14].squared_error == pytest.approx(0.01)
    assert scores.of_all[30].squared_error == pytest.approx(0.16)
    assert scores.of_all[90].squared_error == pytest.approx(0.01)
    assert scores.of_all[30].probability == pytest.approx(0.6)
    assert [place for place, tally in enumerate(scores.of_bins[30]) if tally.resolved] == [6]
    assert [place for place, tally in enumerate(scores.of_bins[90]) if tally.resolved] == [9]


def test_of_a_limit_and_a_day_the_first_prediction_counts(plant, long_ago):
    """The day is the organisation's: 22:30 UTC is the next one in Berlin, in summer and in winter after 23:00."""
    midnight = long_ago.astimezone(plant.organization.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for hour, p in ((1, 0.2), (2, 0.4), (23, 0.5), (25, 0.6)):
        foretell_at(plant, midnight + hour * HOUR, p7=0.0, p30=p)
    tally = read_scores(of(plant)).of_all[30]
    assert (tally.resolved, tally.probability) == (2, pytest.approx(0.8))


def test_stretches_failures_and_limits_are_counted_apart(plant, organization, long_ago):
    other = make_plant(organization, name="pump-8")
    for day in range(10):
        foretell_at(plant, long_ago - 60 * DAY + day * DAY)
    foretell_at(other, long_ago)
    fail(plant, long_ago - 45 * DAY)
    tally = read_scores(of(plant)).of_all[30]
    assert (tally.resolved, tally.failed, tally.failures, tally.limits) == (11, 10, 1, 2)
    assert tally.stretches in (2, 3)  # Ten days lie in one or two stretches of thirty.


def test_what_people_confirmed_counts_as_the_failure_that_it_was(plant, long_ago):
    first, *_ = [foretell_at(plant, long_ago + day * DAY) for day in range(3)]
    found_at = long_ago + 10 * DAY
    request_score(predictions=[first], verdict=Verdict.CONFIRMED_AS_PREDICTED, happened_at=found_at)
    repair(plant, found_at)
    tally = read_scores(of(plant)).of_all[14]
    assert (tally.resolved, tally.failed, tally.failures, tally.censored) == (3, 3, 1, 0)


def test_a_finding_counts_once_however_many_predictions_joined_it(plant, organization, long_ago):
    for name, verdict in (("pump-8", Verdict.EARLY), ("pump-9", Verdict.NO_FAULT_FOUND)):
        machine = make_plant(organization, name=name)
        joined = [foretell_at(machine, long_ago + hour * HOUR) for hour in (0, 30, 60)]
        request_score(predictions=joined, verdict=verdict, happened_at=long_ago + 10 * DAY)
    results = read_accuracy(of(plant)).results
    assert (results.true_positives, results.false_positives) == (1, 1)
    assert (results.true_negatives, results.censored, results.undecided) == (0, 0, 0)


def test_a_failure_foretold_counts_once_with_the_longest_time_before_it(plant, long_ago, monkeypatch):
    monkeypatch.setattr("predictions.accuracy.ENOUGH_LEAD_TIMES", 1)
    foretell_at(plant, long_ago - DAY, p30=0.1, p_90d=0.2)
    for day in range(5):
        foretell_at(plant, long_ago + day * DAY)
    fail(plant, long_ago + 20 * DAY)
    results = read_accuracy(of(plant)).results
    assert (results.true_positives, results.missed) == (1, 0)
    assert results.lead_times.median == pytest.approx(20)


def test_a_failure_that_nothing_foretold_is_missed(plant, long_ago):
    foretell_at(plant, long_ago, p30=0.1, p_90d=0.2)
    fail(plant, long_ago + 20 * DAY)
    results = read_accuracy(of(plant)).results
    assert (results.true_positives, results.true_negatives, results.missed) == (0, 0, 1)
    assert read_accuracy(of(plant, class_code="CO")).results.missed == 0
    assert read_accuracy(of(plant, version="prophet 2")).results.missed is None


def test_horizons_that_pass_repairs_and_open_ones_are_told_apart(plant, organization, long_ago):
    foretell_at(plant, long_ago, p30=0.1, p_90d=0.2)
    foretell_at(make_plant(organization, name="pump-8"), long_ago, p30=0.1, p_90d=0.9)
    repaired = make_plant(organization, name="pump-9")
    foretell_at(repaired, long_ago)
    repair(repaired, long_ago + 40 * DAY)
    foretell_at(make_plant(organization, name="pump-10"), clock.now() - DAY)
    results = read_accuracy(of(plant)).results
    assert (results.true_negatives, results.loud, results.censored, results.undecided) == (2, 1, 1, 1)


def test_the_period_is_that_of_what_came_true(plant):
    made_at = clock.now() - 59 * DAY
    foretell_at(plant, made_at)
    fail(plant, made_at + 5 * DAY)
    assert set(read_scores(of(plant, days=30)).of_all) == {30}  # Its 7 and 14 days ended earlier.
    assert set(read_scores(of(plant, days=90)).of_all) == {7, 14, 30}
    assert read_accuracy(of(plant, days=30)).results.true_positives == 0
    assert read_accuracy(of(plant, days=90)).results.true_positives == 1


def test_a_selection_narrows_and_tells_its_parts_apart(plant, other_organization, long_ago):
    foreign = make_plant(other_organization, name="alien-1")
    foretell_at(plant, long_ago, model_name="prophet", model_version="1")
    foretell_at(plant, long_ago + DAY, model_name="prophet", model_version="2")
    foretell_at(foreign, long_ago, model_name="prophet", model_version="1")
    own = read_scores(of(plant))
    assert {version: tally.resolved for version, tally in own.by_version[30].items()} == {
        "prophet 1": 1,
        "prophet 2": 1,
    }
    assert {code: tally.resolved for code, tally in own.by_class[30].items()} == {"PU": 2}
    assert read_scores(of(plant, version="prophet 2")).of_all[30].resolved == 1
    assert read_scores(of(plant, class_code="CO")).of_all == {}
    both = read_scores(Selection((plant.organization, other_organization), 365))
    assert {key: tally.resolved for key, tally in both.by_organization[30].items()} == {
        plant.organization.pk: 2,
        other_organization.pk: 1,
    }
    assert read_scores(Selection((), 365)).of_all == {}


@pytest.mark.parametrize("verdict", [Verdict.NOT_INSPECTED, Verdict.DUPLICATE, Verdict.DEFERRED])
def test_closing_work_without_a_finding_changes_no_figure(plant, long_ago, technician_user, manager, verdict):
    """Neither now nor when the horizon has passed: the ledger keeps such a prediction as undecided for good."""
    actor = Actor(user=manager, is_manager=True)
    foretell_at(plant, long_ago, p30=0.1, p_90d=0.6)
    quiet = foretell_at(make_plant(plant.organization, name="pump-8"), long_ago)
    recent = foretell_at(make_plant(plant.organization, name="pump-9"), clock.now() - 40 * DAY)
    fail(plant, long_ago + 20 * DAY)
    tasks = [propose_task(prediction).task for prediction in (quiet, recent)]

    def figures() -> Accuracy:
        return read_accuracy(of(plant))

    close_horizons()
    score_predictions()
    before = figures()
    assert before.results.undecided == before.results.true_negatives == before.results.true_positives == 1
    for task in tasks:
        approve_task(task=task, user=manager)
        task = MaintenanceTask.objects.get(pk=task.pk)
        start_task(task=task, actor=actor)
        complete_task(
            task=task, actor=actor, finding=Finding(verdict=verdict, failure_mode=task.failure_mode)
        )
    close_horizons()
    score_predictions()
    assert figures() == before


PATH_HOURS = (3, 6, 24, 96, 480)


def foretell_path(plant: Plant, made_at, *, middle: float = 2.0) -> Prediction:
    """Nine in ten within 1 of the middle, eight in ten within 0.5."""
    spread = {"p05": -1, "p10": -0.5, "p50": 0, "p90": 0.5, "p95": 1}
    return foretell_at(
        plant,
        made_at,
        path={
            "ts_us": [microseconds(made_at + hours * HOUR) for hours in PATH_HOURS],
            "quantiles": {name: [middle + wide] * len(PATH_HOURS) for name, wide in spread.items()},
        },
    )


def roll_up(plant: Plant, started_at, mean: float) -> None:
    HourlyRollup.objects.create(
        sensor=plant.sensor,
        started_at=started_at.replace(minute=0, second=0, microsecond=0),
        count=12,
        mean=mean,
        minimum=mean,
        maximum=mean,
    )


def test_later_hours_are_compared_with_the_bands_foretold_for_them(plant, long_ago):
    foretell_path(plant, long_ago)
    for hours, mean in zip(PATH_HOURS, (2.0, 2.7, 3.1, 1.5, 0.9), strict=True):
        roll_up(plant, long_ago + hours * HOUR, mean)
    found = read_accuracy(of(plant)).coverage
    assert (found.of_all.paths, found.of_all.hours) == (1, 5)
    assert (found.of_all.inside_90, found.of_all.inside_80) == (3, 2)
    assert {place: (one.hours, one.inside_90) for place, one in found.by_ahead.items()} == {
        0: (3, 2),
        1: (1, 1),
        2: (1, 0),
    }
    assert found.by_class == {"PU": found.of_all}
    assert read_accuracy(of(plant, days=90)).coverage.of_all.hours == 1


def test_a_repair_ends_the_comparison(plant, long_ago):
    foretell_path(plant, long_ago)
    for hours in PATH_HOURS:
        roll_up(plant, long_ago + hours * HOUR, 2.0)
    repair(plant, long_ago + 30 * HOUR)
    assert read_accuracy(of(plant)).coverage.of_all.hours == 3


def test_a_sensor_and_week_have_one_path_however_many_limits_and_days(plant, long_ago):
    monday = (long_ago - long_ago.weekday() * DAY).replace(hour=12)
    for day in range(5):
        foretell_path(plant, monday + day * DAY)
        roll_up(plant, monday + day * DAY + 3 * HOUR, 2.0)
    assert read_accuracy(of(plant)).coverage.of_all.hours == 1  # The one of Monday's, three hours after it.


def test_there_is_a_bound_to_the_paths_that_are_compared(plant, long_ago, monkeypatch):
    monkeypatch.setattr(accuracy, "MOST_PATHS", 2)
    for week in range(3):
        foretell_path(plant, long_ago + 7 * week * DAY)
        roll_up(plant, long_ago + 7 * week * DAY + 3 * HOUR, 2.0)
    assert read_accuracy(of(plant)).coverage.of_all.paths == 2


def test_the_figures_take_the_same_few_queries_however_many_predictions(
    plant, long_ago, django_assert_num_queries
):
    for _ in range(2):
        for read, queries in ((read_scores, 4), (read_accuracy, 8)):
            # A savepoint, its limits, the figures, its release; and the same for missed failures.
            with django_assert_num_queries(queries):
                read(of(plant))
        for day in range(20):
            foretell_path(plant, long_ago + day * DAY)


def test_what_takes_too_long_is_given_up(plant, monkeypatch):
    monkeypatch.setattr(accuracy_sql, "SCORES", "SELECT pg_sleep(60) WHERE %(now)s IS NOT NULL")
    monkeypatch.setattr(accuracy, "LONGEST_READ_S", 0.01)
    with pytest.raises(TooMuchToRead, match="too many predictions"):
        read_scores(of(plant))
