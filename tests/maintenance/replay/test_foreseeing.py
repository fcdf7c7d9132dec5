"""What a replay says of each failure: a task that was in time, or how far what was seen came."""

import pytest

from maintenance.models import MaintenancePolicy, MaintenanceTask, Proposal
from maintenance.replay.foreseeing import Outcome, tell_failures
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


def past_with_failure(machine: str = "1", *, at: int = FAILED_AT, **more):
    return make_past(failures=[Occurrence(at, machine, "comp1"), Occurrence(at, machine, "comp2")], **more)


def story(past, plant, *tasks):
    (told,) = tell_failures(past, plant, tasks)
    return told


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
    assert told.why == "Nothing unusual was noticed in the 72 h before."


@pytest.mark.parametrize(
    ("lead_h", "outcome", "words"),
    [
        (72, Outcome.CAUGHT, "T-1 was proposed 72 h before."),
        (1, Outcome.CAUGHT, "T-1 was proposed 1 h before."),
        (0.5, Outcome.LATE, "T-1 was proposed 30 min before."),
        (73, Outcome.MISSED, "T-1 was proposed 73 h before, too early to count."),
    ],
)
def test_by_when_a_task_was_proposed(quiet, lead_h, outcome, words):
    told = story(*quiet, ("T-1", ("2", FAILED_AT - int(lead_h * HOUR_US))))
    assert (told.outcome, told.why) == (outcome, words)


def test_the_tasks_of_another_machine_or_of_a_later_time_do_not_count(quiet):
    others = ("T-1", ("1", FAILED_AT - HOUR_US)), ("T-2", ("2", FAILED_AT + HOUR_US))
    assert story(*quiet, *others).outcome == Outcome.MISSED


def test_failures_of_the_first_days_are_left_out():
    past = past_with_failure("2", at=at_us(3), shift_at=None)
    told = story(past, lived(past), ("T-1", ("2", at_us(2.9))))
    assert told.outcome == Outcome.LEFT_OUT


def test_the_risk_was_too_low():
    past = past_with_failure()
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
    assert lines == [
        "missed: 2, 2015-01-18 12:00:00, comp1, comp2. Nothing unusual was noticed in the 72 h before."
    ]
    assert missed_lines(make_report(many, plant, zone=Mapping().zone))[-1] == "and 3 more"
