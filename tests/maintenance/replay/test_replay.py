"""manage.py replay: a plant's past is lived again, what happened is told when it happened, and nothing is left."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from equipment.models import Failure
from maintenance.models import MaintenanceLog, MaintenanceTask
from maintenance.replay.living import Life, Pace
from maintenance.replay.mapping import Mapping
from maintenance.replay.past import Occurrence, Past, Series
from maintenance.replay.plant import (
    build_plant,
    find_plant,
    make_scratch,
    remove_leftovers,
    scratch_plant,
)
from predictions.agents import make_predictions, request_predictions
from predictions.models import Prediction
from sensors.agents import detect_anomalies
from sensors.models import Anomaly, Baseline, MachineEvent, Reading, ReadingBatch
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import Organization, User
from smartmaint.queues import apart

pytestmark = pytest.mark.django_db

BEGAN = datetime(2015, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at_us(days: float) -> int:
    return microseconds(BEGAN + days * DAY)


def make_past(*, days: int = 20, shift_at: float | None = 15, machines: int = 2, **more) -> Past:
    """Hourly readings of two machines; the first one's level shifts far away for three days."""
    noise = np.random.default_rng(4)
    ts_us = np.array([at_us(hour / 24) for hour in range(1, days * 24 + 1)])
    series = []
    for number in range(1, machines + 1):
        values = 50 + noise.normal(0, 1, len(ts_us))
        if number == 1 and shift_at is not None:
            values[(ts_us > at_us(shift_at)) & (ts_us <= at_us(shift_at + 3))] += 30
        series.append(Series(str(number), "pressure", ts_us, values))
    return Past(kinds={str(number): "press" for number in range(1, machines + 1)}, series=series, **more)


def lived(past: Past, *, with_events: bool = True, **pace):
    """The plant after its past was told; the caller looks at it inside the block."""
    with scratch_plant(past, Mapping(), keep=True) as plant:
        Life(past, plant, pace=Pace(**{"tick": 12 * HOUR} | pace), with_events=with_events).live()
    return plant


class TestTelling:
    def test_a_failure_completes_the_task_that_was_open_for_it_at_that_moment(self):
        plant = lived(make_past(failures=[Occurrence(at_us(17.5), "1", "comp1")]))

        log = MaintenanceLog.objects.get()
        assert (log.verdict, log.failure_mode.name) == ("failed_before_repair", "comp1")
        assert log.completed_at == BEGAN + 17.5 * DAY
        assert log.task.prediction is not None
        assert log.task.created_at >= BEGAN + 15 * DAY
        failure = Failure.objects.get()
        assert (failure.equipment, failure.failed_at) == (plant.machines["1"], BEGAN + 17.5 * DAY)
        assert Baseline.objects.get(sensor__key="1/pressure").started_at == failure.failed_at

    def test_what_nobody_foresaw_becomes_a_repair_that_starts_the_baseline_anew(self):
        failures = [Occurrence(at_us(9.1), "2", "comp1"), Occurrence(at_us(9.1), "2", "comp2")]
        plant = lived(make_past(shift_at=None, failures=failures))

        log = MaintenanceLog.objects.get()
        assert (log.task.type, log.verdict) == ("corrective", "failed_before_repair")
        assert set(Failure.objects.values_list("failure_mode__name", "equipment")) == {
            ("comp1", plant.machines["2"].pk),
            ("comp2", plant.machines["2"].pk),
        }
        assert Baseline.objects.get().started_at == BEGAN + 9.1 * DAY

    def test_planned_work_is_told_and_makes_no_other_machine_of_it(self):
        work = [Occurrence(at_us(9), "2", "comp1"), Occurrence(at_us(-9), "2", "comp1")]
        lived(make_past(shift_at=None, maintenance=work))

        log = MaintenanceLog.objects.get()
        assert (log.task.type, log.verdict, log.task.title) == (
            "preventive",
            "no_fault_found",
            "Planned: comp1",
        )
        assert not Baseline.objects.exists()

    def test_a_task_that_no_failure_follows_is_closed_and_teaches_nothing(self):
        lived(make_past())
        task = MaintenanceTask.objects.first()
        assert task.status == "cancelled"
        assert task.closed_at == task.created_at + 72 * HOUR
        assert not MaintenanceLog.objects.exists()

    def test_or_as_one_where_no_fault_was_found(self):
        lived(make_past(), verdict="no_fault_found", open_for=24 * HOUR)
        log = MaintenanceLog.objects.first()
        assert (log.verdict, log.completed_at - log.task.created_at) == ("no_fault_found", 24 * HOUR)


class TestCausality:
    def test_nothing_is_decided_before_what_it_was_decided_from(self):
        lived(make_past(events=[Occurrence(at_us(15.2), "1", "error1")]))

        anomalies = Anomaly.objects.filter(sensor__key="1/pressure", status="credible")
        assert anomalies.exists()
        for anomaly in Anomaly.objects.all():
            assert anomaly.started_at <= anomaly.detected_at <= anomaly.validated_at
        for prediction in Prediction.objects.all():
            assert prediction.anomaly.started_at <= prediction.cutoff_at <= prediction.made_at
        for task in MaintenanceTask.objects.all():
            assert task.created_at >= task.prediction.made_at

    def test_what_comes_later_changes_nothing_that_was_decided_before(self):
        """The same past, cut off: until there the tasks are the same."""

        def tasks(days: int) -> list[datetime]:
            past = make_past(days=24, failures=[Occurrence(at_us(17.5), "1", "comp1")])
            cut = [
                Series(one.machine, one.name, one.ts_us[one.ts_us <= at_us(days)], one.values[: days * 24])
                for one in past.series
            ]
            plant = lived(
                Past(past.kinds, cut, failures=[f for f in past.failures if f.at_us <= at_us(days)])
            )
            rows = MaintenanceTask.objects.filter(
                organization=plant.organization, created_at__lte=BEGAN + 17 * DAY
            )
            return list(rows.order_by("created_at").values_list("created_at", flat=True))

        assert tasks(17) == tasks(24) != []

    def test_events_come_when_they_happened(self):
        lived(make_past(shift_at=None, events=[Occurrence(at_us(9.2), "1", "error1", "Fault", "Overload")]))
        event = MachineEvent.objects.get()
        assert (event.kind, event.message, event.at) == ("fault", "Overload", BEGAN + 9.2 * DAY)
        assert timedelta(0) <= event.received_at - event.at < 12 * HOUR

    def test_or_not_at_all(self):
        lived(make_past(shift_at=None, events=[Occurrence(at_us(9), "1", "error1")]), with_events=False)
        assert not MachineEvent.objects.exists()


class TestApart:
    def test_agents_of_the_service_do_none_of_its_work(self):
        """Between two steps of a replay the service's own agents look, by the clock of today."""
        past = make_past(days=2, shift_at=None)
        with scratch_plant(past, Mapping(), keep=False) as plant:
            with apart(), clock.frozen(BEGAN + DAY):
                Life(past, plant, pace=Pace(), with_events=True)._arrive(at_us(1))
                assert ReadingBatch.objects.due().count() > 0
            for agent in (detect_anomalies, request_predictions, make_predictions):
                agent()
            assert ReadingBatch.objects.pending().count() > 0
            assert not Prediction.objects.exists()

    def test_nothing_is_left(self):
        kept_users = User.objects.count()
        past = make_past(days=3, shift_at=None, failures=[Occurrence(at_us(2), "1", "comp1")])
        with scratch_plant(past, Mapping(), keep=False) as plant:
            Life(past, plant, pace=Pace(), with_events=True).live()
            assert not Organization.objects.get(pk=plant.organization.pk).is_active
            assert Reading.objects.exists()
        for model in apps.get_models():
            if any(field.name == "organization" for field in model._meta.fields):
                assert not model._default_manager.exists(), model
        assert not Reading.objects.exists()
        assert User.objects.count() == kept_users

    def test_also_when_it_breaks_off(self):
        with pytest.raises(ZeroDivisionError), scratch_plant(make_past(days=2), Mapping(), keep=True):
            1 / 0  # noqa: B018
        assert not Organization.objects.exists()

    def test_what_a_killed_one_left_goes_with_the_next_and_what_was_kept_stays(self, organization):
        with scratch_plant(make_past(days=2), Mapping(), keep=True) as kept:
            pass
        with scratch_plant(make_past(days=2), Mapping(), keep=True) as killed:
            pass
        Organization.objects.filter(pk=killed.organization.pk).update(is_active=False)

        assert remove_leftovers() == 1
        assert set(Organization.objects.all()) == {organization, kept.organization}


class TestPlant:
    def test_kinds_that_begin_alike_are_classes_of_their_own(self):
        kinds = {"1": "Compressor, screw", "2": "Compressor, piston", "3": "Compressor", "4": ""}
        past = replace(make_past(days=1, shift_at=None, machines=4), kinds=kinds)
        plant = build_plant(make_scratch(Mapping()), past, Mapping())

        classes = {tag: machine.equipment_class.name for tag, machine in plant.machines.items()}
        assert classes == kinds | {"4": "Machines"}

    def test_what_goes_on_finds_what_was_built(self):
        words = ("VIB", "comp1", "Bearing of the motor", "Bearing of the gear")
        failures = [Occurrence(at_us(0.5), "1", what) for what in words]
        past = make_past(days=1, shift_at=None, failures=failures)
        built = build_plant(make_scratch(Mapping()), past, Mapping())

        found = find_plant(built.organization, past)

        assert found == built
        assert {mode.equipment_class for mode in found.modes.values()} == {None}


@pytest.fixture
def directory(tmp_path):
    past = make_past()
    lines = ["datetime,machineID,pressure"]
    for one in past.series:
        for us, value in zip(one.ts_us.tolist(), one.values.tolist(), strict=True):
            moment = datetime.fromtimestamp(us / 1e6, UTC)
            lines.append(f"{moment:%Y-%m-%d %H:%M:%S},{one.machine},{value:.4f}")
    (tmp_path / "PdM_telemetry.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "PdM_failures.csv").write_text("datetime,machineID,failure\n2015-01-18 12:00:00,1,comp1\n")
    return tmp_path


def test_the_command_writes_tasks_plots_and_a_report(directory, tmp_path, capsys):
    out = tmp_path / "tasks.csv"
    call_command("replay", str(directory), f"--tasks={out}", "--plots", "--seed=3", "--step-hours=6")

    told = capsys.readouterr().out
    assert "960 readings of 2 sensors on 2 machines, 0 events, 1 failure," in told
    assert "failures caught at least 24 h ahead: 1 of 1 (100%)" in told
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["machineID"], row["failure_followed"]) for row in rows] == [("1", "yes")]
    assert f"Wrote {out}, {out.with_suffix('.html')}." in told
    assert "2015-01-15 00:00:00" <= rows[0]["datetime"] <= "2015-01-17 12:00:00"
    assert out.with_suffix(".html").read_text().count("Machine 1") >= 1
    assert not Organization.objects.exists()


def test_on_request_the_organisation_stays(directory, tmp_path, capsys):
    call_command("replay", str(directory), f"--tasks={tmp_path / 'tasks.csv'}", "--keep", "--step-hours=24")
    organization = Organization.objects.get()
    assert organization.is_active
    assert organization.slug in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--step-hours=0"], "--step-hours"),
        (["--open-hours=0"], "--open-hours"),
        (["--seed=-1"], "--seed"),
        (["--tasks=/nowhere/tasks.csv"], "/nowhere/tasks.csv"),
    ],
)
def test_wrong_options_are_told_in_words(directory, tmp_path, options, words):
    with pytest.raises(CommandError, match=words):
        call_command("replay", str(directory), f"--tasks={tmp_path / 't.csv'}", *options)
    assert not Organization.objects.exists()


def test_a_past_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(CommandError, match="no such file"):
        call_command("replay", str(tmp_path), f"--tasks={tmp_path / 't.csv'}")
