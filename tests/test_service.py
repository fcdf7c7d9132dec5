"""The service as its operator sees it: health, the schedule of agents, settings and logs."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from sensors.agents import prepare_partitions
from sensors.models import ReadingBatch
from smartmaint import clock
from smartmaint.health import queues
from smartmaint.models import AgentRun
from tests.plants import make_plant, post

ROOT = Path(__file__).parents[1]
AGENTS = {
    "sensors.agents.count_events",
    "sensors.agents.detect_anomalies",
    "sensors.agents.validate_anomalies",
    "sensors.agents.notice_silence",
    "sensors.agents.watch_alarms",
    "sensors.agents.escalate_alarms",
    "sensors.agents.report_condition",
    "predictions.agents.report_forecasts",
    "maintenance.agents.report_maintenance",
    "sensors.agents.drop_old_readings",
    "sensors.agents.prepare_partitions",
    "predictions.agents.make_predictions",
    "predictions.agents.request_predictions",
    "predictions.agents.score_predictions",
    "predictions.agents.close_horizons",
    "maintenance.agents.schedule_tasks",
    "maintenance.agents.tell_replays",
    "smartmaint.notifications.agents.deliver_notifications",
    "smartmaint.notifications.agents.drop_old_notifications",
}


def test_the_process_answers_without_a_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_the_service_is_not_ready_before_beat_and_worker_ran(client):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["last_beat_age_s"] is None


@pytest.fixture
def all_at_work(db):
    call_command("ensure_schedule", stdout=StringIO())
    now = datetime.now(UTC)
    PeriodicTask.objects.update(last_run_at=now)
    AgentRun.objects.bulk_create([AgentRun(name=name, started_at=now, finished_at=now) for name in AGENTS])


def test_the_service_is_ready_when_all_are_at_work(client, all_at_work):
    response = client.get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert (body["ready"], body["problems"], body["oldest_due_row_age_s"], body["stuck_rows"]) == (
        True,
        [],
        None,
        {},
    )


def test_one_agent_that_no_longer_runs_is_named(client, all_at_work):
    long_ago = datetime.now(UTC) - timedelta(minutes=2)
    AgentRun.objects.filter(name="sensors.agents.detect_anomalies").update(finished_at=long_ago)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["problems"] == ["agent sensors.agents.detect_anomalies did not run lately"]


def test_an_agent_that_the_operator_switched_off_is_not_missed(client, all_at_work):
    AgentRun.objects.filter(name="sensors.agents.detect_anomalies").delete()
    PeriodicTask.objects.filter(task="sensors.agents.detect_anomalies").update(enabled=False)
    assert client.get("/readyz").status_code == 200


def test_work_that_waits_for_long_is_a_problem(client, all_at_work, organization):
    post(make_plant(organization).sensor, [1.0])
    ReadingBatch.objects.update(due_at=datetime.now(UTC) - timedelta(minutes=16))
    response = client.get("/readyz")
    assert (response.status_code, response.json()["problems"]) == (503, ["work waits for long"])
    assert response.json()["waiting_rows"] == {"sensors.ReadingBatch": 1}


def test_months_are_made_before_readings_need_them(db):
    prepare_partitions()
    month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).strftime("%Y_%m")
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"sensors_reading_{month}"])
        assert cursor.fetchone() == (True,)


def test_every_queue_is_known_to_health():
    assert {model.__name__ for model in queues()} == {
        "ReadingBatch",
        "EventCount",
        "Anomaly",
        "Prediction",
        "PredictionOutcome",
        "MaintenanceTask",
        "ReplayRun",
        "Notification",
    }


@pytest.mark.django_db
def test_the_schedule_is_made_and_what_the_operator_changed_stays(capsys):
    call_command("ensure_schedule")
    assert set(PeriodicTask.objects.values_list("task", flat=True)) == AGENTS
    detect = PeriodicTask.objects.get(task="sensors.agents.detect_anomalies")
    assert (detect.interval.every, detect.expire_seconds) == (2, 4)
    slower, _ = IntervalSchedule.objects.get_or_create(every=30, period="seconds")
    PeriodicTask.objects.filter(pk=detect.pk).update(interval=slower, enabled=False)
    PeriodicTask.objects.create(name="gone", task="sensors.agents.gone", interval=slower)

    call_command("ensure_schedule")

    detect.refresh_from_db()
    assert (detect.interval, detect.enabled) == (slower, False)
    assert not PeriodicTask.objects.filter(name="gone").exists()
    assert f"{len(AGENTS)} agents, 0 added, 1 removed" in capsys.readouterr().out


@pytest.mark.django_db
def test_what_else_the_operator_has_beat_do_is_left_alone(capsys):
    every_minute = IntervalSchedule.objects.create(every=60, period="seconds")
    agent = "sensors.agents.detect_anomalies"
    for name, task in {
        "own report": "plant.tasks.report",
        "own agent": "plant.agents.report",
        "detect, by day": agent,
        "detect, by night": agent,
    }.items():
        PeriodicTask.objects.create(name=name, task=task, interval=every_minute)
    for _ in range(2):
        IntervalSchedule.objects.create(every=2, period="seconds")

    call_command("ensure_schedule")

    tasks = list(PeriodicTask.objects.values_list("task", flat=True))
    assert sorted(tasks) == sorted([*AGENTS, agent, "plant.tasks.report", "plant.agents.report"])
    assert f"{len(AGENTS)} agents, {len(AGENTS) - 1} added, 0 removed" in capsys.readouterr().out


def python(code, **environment):
    """Run Python in a process of its own, with no setting of the product but those that are given."""
    surroundings = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
    usual = {name: os.environ[name] for name in surroundings if name in os.environ}
    usual["DJANGO_SETTINGS_MODULE"] = "smartmaint.settings"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=usual | environment,
        capture_output=True,
        text=True,
        check=False,
    )


SETUP = "import django; django.setup(); from django.conf import settings; "


def test_it_refuses_to_start_without_a_secret_key():
    result = python(SETUP)
    assert result.returncode != 0
    assert "Set SECRET_KEY" in result.stderr


def test_it_is_safe_where_nothing_is_said():
    code = SETUP + "print(settings.DEBUG, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE)"
    assert python(code, SECRET_KEY="x").stdout == "False True True\n"


def test_logs_are_json_where_asked_for():
    code = SETUP + "import structlog; structlog.get_logger('x').warning('hello', request_id='abc')"
    line = json.loads(python(code, SECRET_KEY="x", LOG_FORMAT="json").stderr)
    assert (line["event"], line["request_id"], line["level"]) == ("hello", "abc", "warning")


def test_a_log_format_that_is_none_is_named():
    assert "LOG_FORMAT is console or json" in python(SETUP, SECRET_KEY="x", LOG_FORMAT="xml").stderr


def test_domain_time_can_be_set_and_must_be_aware():
    moment = datetime(2020, 1, 2, 3, tzinfo=UTC)
    with clock.frozen(moment):
        assert clock.now() == moment
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    with pytest.raises(ValueError, match="time zone"), clock.frozen(datetime(2020, 1, 2)):
        pass
