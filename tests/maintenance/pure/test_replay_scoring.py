"""A replay's score: what counts as caught, as false, and as too early to count."""

import pytest

from maintenance.replay.scoring import HOUR_US, score

DAY_H = 24


def hours(machine: str, *at_h: float) -> list[tuple[str, int]]:
    return [(machine, int(at * HOUR_US)) for at in at_h]


def score_of(*, tasks=(), failures=(), alarms=(), anomalies=(), days: int = 30, machines: int = 1):
    return score(
        tasks=tasks,
        failures=failures,
        alarms=alarms,
        anomalies=anomalies,
        begins_us=0,
        ends_us=days * DAY_H * HOUR_US,
        machines=machines,
    )


FAILED_AT = 20 * DAY_H


@pytest.mark.parametrize(
    ("lead_h", "caught"),
    [
        (0.5, {1: 0, 6: 0, 12: 0, 24: 0}),
        (1, {1: 1, 6: 0, 12: 0, 24: 0}),
        (13, {1: 1, 6: 1, 12: 1, 24: 0}),
        (72, {1: 1, 6: 1, 12: 1, 24: 1}),
        (73, {1: 0, 6: 0, 12: 0, 24: 0}),
    ],
)
def test_a_failure_is_caught_by_a_task_in_the_three_days_before(lead_h, caught):
    found = score_of(tasks=hours("a", FAILED_AT - lead_h), failures=hours("a", FAILED_AT))
    assert (found.caught, found.failures) == (caught, 1)
    assert found.false_tasks == (lead_h > 72)


def test_another_machines_task_catches_nothing_and_is_false():
    found = score_of(tasks=hours("b", FAILED_AT - 20), failures=hours("a", FAILED_AT), machines=2)
    assert (found.caught[12], found.false_tasks, found.precision) == (0, 1, 0.0)
    assert found.false_per_machine_month == pytest.approx(1 / (2 * 23 * 24 / 730))


def test_the_first_week_counts_for_nothing():
    found = score_of(
        tasks=hours("a", 100, 167),
        failures=hours("a", 180, 215),
        alarms=hours("a", 100, 200),
        anomalies=hours("a", 100, 200, 210),
    )
    assert (found.failures, found.tasks, found.alarms, found.anomalies) == (0, 0, 1, 2)
    assert (found.recall(12), found.precision) == (None, None)


def test_modes_of_one_moment_are_one_failure_and_so_are_tasks():
    found = score_of(tasks=hours("a", *[FAILED_AT - 20] * 2), failures=hours("a", FAILED_AT, FAILED_AT))
    assert (found.failures, found.tasks, found.recall(12)) == (1, 1, 1.0)


def test_a_past_of_less_than_a_week_has_no_rates():
    found = score_of(days=5)
    assert (found.false_per_machine_month, found.alarms_per_day, found.failures) == (None, None, 0)
