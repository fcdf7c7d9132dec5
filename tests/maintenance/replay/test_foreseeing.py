"""What a replay says of each failure: a task that was in time, or how far what was seen came."""

import pytest

from maintenance.models import MaintenancePolicy, MaintenanceTask, Proposal
from maintenance.replay.foreseeing import Outcome, Proposed, tell_failures
from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import Mapping
from maintenance.replay.past import Occurrence
from maintenance.replay.plant import scratch_plant
from maintenance.replay.report import failure_rows, make_report, missed_lines
from maintenance.replay.scoring import HOUR_US
from sensors.models import Anomaly, AnomalyStatus
from tests.maintenance.replay.test_replay import HOUR, at_us, lived, make_past

pytestmark = pytest.mark.django_db

FAILED_AT = at_us(17.5)
NOTHING = "Nothing unusual was noticed in the 72 h before."


def past_with_failure(machine: str = "1", *, at: int = FAILED_AT, **more):
    return make_past(failures=[Occurrence(at, machine, "comp1"), Occurrence(at, machine, "comp2")], **more)


def story(past, plant, *tasks):
    (told,) = tell_failures(past, plant, tasks)
    return told


def proposed(
    lead_h: float, *, machine: str = "2", closed_h: float | None = None, at: int = FAILED_AT
) -> Proposed:
    """A task that was proposed so many hours before the failure, and closed so many before it."""
    closed_us = None if closed_h is None else at - int(closed_h * HOUR_US)
    return Proposed("T-1", machine, at - int(lead_h * HOUR_US), closed_us)


def test_a_task_in_time_caught_it():
    past = past_with_failure()
    plant = lived(past)
    (row,) = failure_rows(make_report(past, plant, zone=Mapping().zone))

    assert (row["machineID"], row["datetime"], row["failure"]) == ("1", "2015-01-18 12:00:00", "comp1, comp2")
    assert row["outcome"] == "caught"
    assert 24 <= float(row["lead_h"]) <= 72
    assert MaintenanceTask.objects.first().number in row["why"]
    assert missed_lines(make_report(past, plant, zone=Mapping().zone)) == []


@pytest.fixture
def quiet():
    """A past in which nothing is to be seen of the failure."""
    past = past_with_failure("2", shift_at=None)
    return past, lived(past)


def test_nothing_was_noticed(quiet):
    told = story(*quiet)
    assert (told.outcome, told.lead_h) == (Outcome.MISSED, None)
    assert told.why == NOTHING


@pytest.mark.parametrize(
    ("task", "outcome", "words"),
    [
        (proposed(72), Outcome.CAUGHT, "T-1 was proposed 72 h before."),
        (proposed(72, closed_h=1), Outcome.CAUGHT, "T-1 was proposed 72 h before."),
        (proposed(1), Outcome.CAUGHT, "T-1 was proposed 1 h before."),
        (proposed(0.5), Outcome.LATE, "T-1 was proposed 30 min before."),
        (proposed(73, closed_h=1), Outcome.MISSED, "T-1 was proposed 73 h before, too early to count."),
        (proposed(200), Outcome.MISSED, "T-1 was proposed 200 h before, too early to count."),
        (proposed(300), Outcome.MISSED, "T-1 was proposed in the first week, too early to count."),
        (proposed(200, closed_h=128), Outcome.MISSED, NOTHING),
        (proposed(10, machine="1"), Outcome.MISSED, NOTHING),
        (proposed(-1), Outcome.MISSED, NOTHING),
    ],
)
def test_by_when_a_task_was_proposed(quiet, task, outcome, words):
    told = story(*quiet, task)
    assert (told.outcome, told.why) == (outcome, words)


def test_failures_of_the_first_days_are_left_out_and_those_before_the_readings_untold():
    at = at_us(3)
    past = make_past(
        shift_at=None, failures=[Occurrence(at, "2", "comp1"), Occurrence(at_us(-30), "2", "comp1")]
    )
    told = story(past, lived(past), proposed(2, at=at))
    assert (told.outcome, told.at_us) == (Outcome.LEFT_OUT, at)


@pytest.mark.parametrize(("days", "outcomes"), [((15, 16), "caught caught"), ((15, 19), "caught missed")])
def test_a_task_counts_as_for_the_score_and_is_told_of_the_next_failure_alone(days, outcomes):
    failures = [Occurrence(at_us(day), "2", "comp1") for day in days]
    past = make_past(shift_at=None, failures=failures)
    plant = lived(past)
    told = tell_failures(past, plant, [proposed(2, at=at_us(15))])
    assert " ".join(one.outcome for one in told) == outcomes
    assert told[-1].why in ("T-1 was proposed 26 h before.", NOTHING)


@pytest.mark.parametrize("shift_at", [15, 13.5])
def test_the_risk_was_too_low(shift_at):
    """Also where that was decided longer ago, when the excursion began that goes on."""
    past = past_with_failure(shift_at=shift_at)
    with scratch_plant(past, Mapping(), keep=True) as plant:
        MaintenancePolicy.objects.filter(organization=plant.organization).update(
            inspect_from_probability=1, propose_from_probability=1
        )
        Life(past, plant, pace=Pace(tick=12 * HOUR), with_events=True).live()

    told = story(past, plant)
    reason = Proposal.objects.filter(decision="low_risk").first().reason
    assert told.outcome == Outcome.MISSED
    assert told.why.startswith("Pressure unusually high, a new level, ")
    assert "h before. It was believed, and came to no task: " in told.why
    assert "is below 100%" in reason
    assert told.why.endswith(reason)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (AnomalyStatus.SUSPECTED_FALSE, "It was held for false: confidence 0.31; The sensor was replaced."),
        (
            AnomalyStatus.NEEDS_A_LOOK,
            "It was left to a person to judge: confidence 0.31; The sensor was replaced.",
        ),
        (AnomalyStatus.CREDIBLE, "It was believed, and nothing was forecast from it in time."),
    ],
)
def test_what_was_seen_was_not_believed(status, words):
    past = past_with_failure()
    plant = lived(past)
    Proposal.objects.all().delete()
    reasons = [
        {"text": "Every anomaly starts here", "adjustment": 0.5},
        {"text": "The sensor was replaced", "adjustment": -0.2},
        {"text": "A remark", "adjustment": None},
    ]
    Anomaly.objects.update(status=status, confidence=0.31, reasons=reasons)

    assert story(past, plant).why.endswith(words)


def test_the_lines_name_what_was_missed_and_end_somewhere(quiet, monkeypatch):
    past, plant = quiet
    many = make_past(
        shift_at=None, failures=[Occurrence(at_us(10) + number, "2", "comp1") for number in range(23)]
    )
    lines = missed_lines(make_report(past, plant, zone=Mapping().zone))
    assert lines == [f"missed: 2, 2015-01-18 12:00:00, comp1, comp2. {NOTHING}"]
    assert missed_lines(make_report(many, plant, zone=Mapping().zone))[-1] == "and 3 more"
