import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.test import Client, TestCase, override_settings
from django.utils.timezone import now

from equipment.models import Failure
from maintenance.models import Booking, Decision, MaintenanceLog, TaskStatus
from predictions.models import Prediction
from sensors.models import (
    Anomaly,
    AnomalyFinding,
    Baseline,
    DetectorState,
    HourlyRollup,
    Reading,
    ReadingBatch,
)
from sensors.storage import microseconds
from smartmaint.accounts.models import Organization, User
from smartmaint.accounts.services import authenticate_api_key, create_organization
from smartmaint.demo.installation import State, load_demo, remove_demo, state_of_demo
from smartmaint.demo.logins import logins_path, read_logins
from smartmaint.demo.plant import NORTHWIND, ORGANISATIONS, RIVERSIDE
from smartmaint.health import queues
from smartmaint.models import AgentRun

EPOCH = datetime.now(UTC).replace(microsecond=0)
DAYS = 24
COLD_STORE = ("refrigeration", "chiller-1", "chiller-2")
PLANS = (
    replace(
        RIVERSIDE,
        machines=tuple(machine for machine in RIVERSIDE.machines if machine.tag in COLD_STORE),
        stories=tuple(story for story in RIVERSIDE.stories if story.machine in COLD_STORE),
    ),
    replace(NORTHWIND, machines=NORTHWIND.machines[1:]),
)


def load(plans=PLANS, *, days, on_step=lambda words: None):
    return load_demo(
        plans, epoch_us=microseconds(EPOCH), days=days, on_step=on_step, on_stored=lambda readings: None
    )


@pytest.fixture
def var(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path


class TestLoadedDemo(TestCase):
    """Loaded once for all: 24 days of the refrigeration plant, in which two stories happen, and the quarry."""

    @classmethod
    def setUpTestData(cls):
        folder = cls.enterClassContext(TemporaryDirectory())
        quick = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        cls.enterClassContext(override_settings(VAR_DIR=Path(folder), PASSWORD_HASHERS=quick))
        cls.logins = load(days=DAYS)
        cls.riverside = Organization.objects.get(slug="riverside-foods")
        cls.northwind = Organization.objects.get(slug="northwind-quarry")

    def rows(self, model):
        return model.objects.filter(organization=self.riverside)

    def test_every_reading_is_there_once(self):
        silent_for = 3
        assert Reading.objects.filter(sensor__organization=self.northwind).count() == DAYS * 288
        assert (
            Reading.objects.filter(sensor__organization=self.riverside).count()
            == (8 * DAYS - silent_for) * 288
        )
        assert Reading.objects.filter(ts__gte=EPOCH).count() == 0

    def test_detection_has_seen_all_and_every_hour_is_rolled_up(self):
        newest = {state.sensor.key: state.last_ts for state in DetectorState.objects.select_related("sensor")}

        assert len(newest) == 9
        assert EPOCH - newest["chiller-1/power"] <= timedelta(minutes=5)
        assert sum(HourlyRollup.objects.values_list("count", flat=True)) == Reading.objects.count()

    def test_nothing_is_left_to_do(self):
        for queue in queues():
            assert not queue.objects.pending().exists()
            assert not queue.objects.stuck().exists()

    def test_both_stories_became_rows_that_follow_from_one_another(self):
        told = {log.verdict: log for log in self.rows(MaintenanceLog)}

        assert set(told) == {"sensor_fault", "confirmed_another_mode"}
        for log in told.values():
            task, prediction = log.task, log.task.prediction
            assert prediction.data_to_at <= prediction.cutoff_at == prediction.made_at
            assert prediction.p_30d >= 0.5
            assert prediction.proposal.decision == Decision.PROPOSED
            assert (
                prediction.made_at == task.created_at < task.started_at < task.closed_at == log.completed_at
            )
            assert task.status == TaskStatus.COMPLETED
            assert prediction.outcome.outcome == "false_positive"
            assert prediction.outcome.scored_at == log.completed_at
            assert [entry.history_date for entry in task.history.order_by("history_id")][-1] == task.closed_at

    def test_the_sensor_fault_began_with_an_anomaly_that_was_judged(self):
        anomalies = self.rows(Anomaly).filter(sensor__key="chiller-1/suction-pressure")
        task = self.rows(MaintenanceLog).get(verdict="sensor_fault").task

        assert task.prediction.anomaly in anomalies
        assert AnomalyFinding.objects.get(anomaly=task.prediction.anomaly).verdict == "sensor_fault"
        assert not anomalies.exclude(status="credible").exists()
        assert not anomalies.open().exists()

    def test_a_sensor_fault_restarts_its_own_sensor_and_a_repair_the_machine(self):
        restarted = set(self.rows(Baseline).values_list("sensor__key", flat=True))

        assert restarted == {
            "chiller-1/suction-pressure",
            *(
                f"chiller-2/{name}"
                for name in ("suction-pressure", "discharge-pressure", "supply-temperature", "power")
            ),
        }

    def test_the_failure_that_was_found_is_dated_by_its_downtime(self):
        (failure,) = self.rows(Failure)

        assert failure.failure_mode.code == "ELP"
        assert failure.failed_at == EPOCH - timedelta(days=12, hours=4)

    def test_a_booking_names_the_technician_of_the_story(self):
        worked = Booking.objects.filter(organization=self.riverside, is_active=True, task__status="completed")

        assert {booking.technician.user.username for booking in worked} == {"priya"}
        assert {booking.booked_by.username for booking in worked} == {"sofia"}

    def test_every_limit_has_a_prediction_of_today(self):
        today = self.rows(Prediction).filter(requested_at=EPOCH)

        (silent,) = today.filter(status="not_possible")
        assert today.count() == 6
        assert silent.sensor.key == "chiller-2/discharge-pressure"
        assert silent.not_possible_because.endswith("hours old; after 3 hours it is too old.")

    def test_history_pages_nobody_and_came_in_requests_of_the_usual_size(self):
        batches = self.rows(ReadingBatch)

        assert max(batches.values_list("received", flat=True)) <= 10_000
        assert not self.rows(Anomaly).filter(batch__is_historical=True).exists()
        assert batches.filter(is_historical=False).count() == 4

    def test_the_quarrys_manager_sees_the_quarry_only(self):
        client = Client()
        client.force_login(User.objects.get(username="greta"))

        keys = {sensor["key"] for sensor in client.get("/api/v1/sensors").json()["results"]}
        assert keys == {sensor.key for _, sensor in PLANS[1].sensors}
        assert client.get("/api/v1/sensors/chiller-1/power").status_code == 404
        for what in ("anomalies", "tasks"):
            assert client.get(f"/api/v1/{what}").json()["count"] == 0

    def test_the_saved_log_ins_open_the_door_and_only_the_owner_reads_them(self):
        assert read_logins() == self.logins
        assert stat.S_IMODE(logins_path().stat().st_mode) == 0o600
        assert authenticate_api_key(self.logins.api_key).organization == self.riverside
        assert {one.username for one in self.logins.people} == set(
            User.objects.values_list("username", flat=True)
        )
        assert User.objects.get(username="sofia").check_password(self.logins.password)

    def test_removal_takes_all_of_it_and_leaves_others_alone(self):
        other = create_organization(name="Third Mill", time_zone="UTC")

        remove_demo(PLANS)

        assert list(Organization.objects.all()) == [other]
        assert list(User.objects.values_list("username", flat=True)) == ["operator"]
        assert not Reading.objects.exists()
        for model in apps.get_models():
            if any(field.name == "organization" for field in model._meta.fields):
                assert not model._base_manager.exclude(organization=other).exists()


def output_of(*arguments, **options) -> str:
    lines = StringIO()
    call_command(*arguments, stdout=lines, **options)
    return lines.getvalue()


def test_the_command_loads_both_organisations_and_prints_the_log_ins(db, var):
    printed = output_of("load_demo", days=1)

    logins = read_logins()
    assert logins.password in printed
    assert logins.api_key in printed
    assert all(login.username in printed for login in logins.people)
    assert set(Organization.objects.filter(is_active=True).values_list("slug", flat=True)) == {
        "riverside-foods",
        "northwind-quarry",
    }
    assert Reading.objects.count() == 42 * 288

    with pytest.raises(CommandError, match="loaded already"):
        call_command("load_demo")
    assert output_of("load_demo", if_empty=True) == printed
    assert Reading.objects.count() == 42 * 288

    logins_path().unlink()
    assert "changepassword" in output_of("load_demo", if_empty=True)


def test_a_load_that_was_cut_short_starts_anew(db, var):
    def break_off(words):
        if words.startswith("Northwind"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(days=1, on_step=break_off)
    cut_short = read_logins()
    assert state_of_demo(ORGANISATIONS) == State.INCOMPLETE
    assert not Organization.objects.filter(is_active=True).exists()
    assert not User.objects.filter(is_superuser=True).exists()

    printed = output_of("load_demo", if_empty=True, days=1)

    assert "cut short" in printed
    assert state_of_demo(ORGANISATIONS) == State.COMPLETE
    assert read_logins().api_key != cut_short.api_key
    assert User.objects.get(username="operator").check_password(read_logins().password)


def test_a_demo_is_not_loaded_beside_an_organisation_unless_asked(db, var, organization):
    assert "no demo was loaded" in output_of("load_demo", if_empty=True)
    assert list(Organization.objects.all()) == [organization]


def test_somebody_elses_organisation_of_that_name_is_never_taken_for_the_demo(db, var, organization):
    Organization.objects.update(is_active=False)

    assert state_of_demo(ORGANISATIONS) == State.ABSENT
    with pytest.raises(CommandError, match="cannot be loaded"):
        call_command("load_demo", days=1)
    assert list(Organization.objects.all()) == [organization]


def test_a_name_that_is_taken_is_told_in_words(db, var, organization):
    with pytest.raises(CommandError, match=r"cannot be loaded: .*already exists"):
        call_command("load_demo", days=1)
    assert not logins_path().exists()


def test_a_demo_is_not_loaded_while_agents_are_at_work(db, var):
    AgentRun.objects.create(name="some agent", started_at=now(), finished_at=now())

    with pytest.raises(CommandError, match="stop worker and beat"):
        call_command("load_demo")
    assert not Organization.objects.exists()
