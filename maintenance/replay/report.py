"""What a replay came to: the tasks as a file, the figures in words."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from maintenance.models import MaintenanceTask, TaskType
from maintenance.replay.foreseeing import Foreseen, Outcome, Proposed, tell_failures
from maintenance.replay.past import Past
from maintenance.replay.plant import ReplayPlant
from maintenance.replay.scoring import LEADS_H, Moment, Score, is_false, score
from sensors.models import Alarm, Anomaly, AnomalyStatus
from sensors.storage import microseconds, moment

COLUMNS = (
    "machineID",
    "datetime",
    "task",
    "sensor",
    "anomaly_began",
    "anomaly_kind",
    "corroborated",
    "probability_7d",
    "probability_30d",
    "priority",
    "closed",
    "status",
    "failure_followed",
)
FAILURE_COLUMNS = ("machineID", "datetime", "failure", "outcome", "lead_h", "why")
# More are in the file of the failures.
MOST_MISSED_LINES = 20


@dataclass(frozen=True)
class ToldTask:
    """A task that a prediction proposed, as the report needs it."""

    machine: str
    created_at: datetime
    closed_at: datetime | None
    row: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What was proposed and what was believed, with the score."""

    tasks: list[ToldTask]
    anomalies: list[Moment]
    alarms: list[Moment]
    failures: list[Moment]
    foreseen: list[Foreseen]
    score: Score
    zone: ZoneInfo
    left_out: list[str]


def make_report(past: Past, plant: ReplayPlant, *, zone: ZoneInfo) -> Report:
    """Read what the replay left in its organisation, and score it by the past's failures."""
    failures = sorted({(one.machine, one.at_us) for one in past.failures})
    tasks = _tasks(plant, failures, zone)
    credible = Anomaly.objects.filter(organization=plant.organization, status=AnomalyStatus.CREDIBLE)
    told = credible.exclude(kind=Anomaly.Kind.NO_DATA).values_list("sensor__equipment__tag", "detected_at")
    anomalies = sorted((machine, microseconds(at)) for machine, at in told)
    raised = Alarm.objects.for_organization(plant.organization).values_list("equipment__tag", "raised_at")
    alarms = sorted((machine, microseconds(at)) for machine, at in raised)
    proposed = [
        Proposed(
            task.row["task"],
            task.machine,
            microseconds(task.created_at),
            None if task.closed_at is None else microseconds(task.closed_at),
        )
        for task in tasks
    ]
    return Report(
        tasks=tasks,
        anomalies=anomalies,
        alarms=alarms,
        failures=failures,
        foreseen=tell_failures(past, plant, proposed),
        zone=zone,
        left_out=past.left_out,
        score=score(
            tasks=[(task.machine, task.created_us) for task in proposed],
            failures=failures,
            alarms=alarms,
            anomalies=anomalies,
            begins_us=past.begins_us,
            ends_us=past.ends_us,
            machines=len(past.kinds),
        ),
    )


def _tasks(plant: ReplayPlant, failures: Sequence[Moment], zone: ZoneInfo) -> list[ToldTask]:
    rows = (
        MaintenanceTask.objects.filter(organization=plant.organization, type=TaskType.PREDICTIVE)
        .select_related("equipment", "prediction__sensor", "prediction__anomaly")
        .order_by("created_at", "pk")
    )
    return [_told(task, failures, zone) for task in rows]


def _told(task: MaintenanceTask, failures: Sequence[Moment], zone: ZoneInfo) -> ToldTask:
    prediction = task.prediction
    assert prediction is not None
    anomaly, machine = prediction.anomaly, task.equipment.tag
    follows = not is_false((machine, microseconds(task.created_at)), failures)
    values = (
        machine,
        _local(task.created_at, zone),
        task.number,
        prediction.sensor.key,
        _local(anomaly.started_at, zone) if anomaly else "",
        (anomaly.pattern or anomaly.kind) if anomaly else "",
        "" if anomaly is None or anomaly.is_corroborated is None else _yes(anomaly.is_corroborated),
        f"{prediction.p_7d:.3f}",
        f"{prediction.p_30d:.3f}",
        task.priority,
        _local(task.closed_at, zone) if task.closed_at else "",
        task.status,
        _yes(follows),
    )
    return ToldTask(machine, task.created_at, task.closed_at, dict(zip(COLUMNS, values, strict=True)))


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _local(moment: datetime, zone: ZoneInfo) -> str:
    """In the zone of the files and without an offset, as their times are."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def write_tasks(report: Report, stream: TextIO) -> None:
    """One line per task that a prediction proposed, by machine and moment (event time)."""
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(task.row for task in report.tasks)


def save_tasks(report: Report, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_tasks(report, stream)


def failure_rows(report: Report) -> list[dict[str, Any]]:
    """A row per failure, by the names of `FAILURE_COLUMNS`: whether a task foresaw it, or why none did."""
    return [
        dict(
            zip(
                FAILURE_COLUMNS,
                (
                    one.machine,
                    _local(moment(one.at_us), report.zone),
                    ", ".join(one.modes),
                    one.outcome.value,
                    "" if one.lead_h is None else f"{one.lead_h:.1f}",
                    one.why,
                ),
                strict=True,
            )
        )
        for one in report.foreseen
    ]


def write_failures(rows: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """One line per failure, of what `failure_rows` gives."""
    writer = csv.DictWriter(stream, FAILURE_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)


def save_failures(report: Report, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_failures(failure_rows(report), stream)


def missed_lines(report: Report) -> list[str]:
    """Each failure that no task foresaw in time, with the reason; the first of them where there are many."""
    missed = [
        f"{row['outcome']}: {row['machineID']}, {row['datetime']}, {row['failure']}. {row['why']}"
        for row in failure_rows(report)
        if row["outcome"] in (Outcome.MISSED, Outcome.LATE)
    ]
    more = len(missed) - MOST_MISSED_LINES
    return [*missed[:MOST_MISSED_LINES], *([f"and {more} more"] if more > 0 else [])]


def report_lines(report: Report) -> list[str]:
    """The figures in words."""
    found = report.score
    lines = [
        f"failures caught at least {lead} h ahead: {found.caught[lead]} of {found.failures}{_share(found.recall(lead))}"
        for lead in LEADS_H
    ]
    precision = (
        "none were proposed" if found.precision is None else f"{found.precision:.0%} followed by a failure"
    )
    return [
        *lines,
        f"tasks: {found.tasks}, {precision}",
        f"false tasks per machine and month: {_figure(found.false_per_machine_month)}",
        f"alarms per day: {_figure(found.alarms_per_day)}",
        f"credible anomalies per day: {_figure(found.anomalies_per_day)}",
        "Left out: the first week's tasks, and failures until two days after it.",
        *(f"Left out of {one}" for one in report.left_out),
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f" ({share:.0%})"


def _figure(number: float | None) -> str:
    return "not known" if number is None else f"{number:.2f}"
