"""What each app says of a machine's health, and where people see it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from equipment.models import Equipment, Health, HealthPart
from maintenance.agents import report_maintenance
from maintenance.models import MaintenanceTask, Priority
from predictions.agents import report_forecasts
from sensors.agents import report_condition
from sensors.condition import Trouble, anomaly_penalty, told
from sensors.models import Anomaly, Level, Sensor
from sensors.services.alarms.handling import shelve_alarm, take_out_of_service
from smartmaint import clock
from tests.alarms import notice, raised
from tests.plants import foretell, make_limit, make_plant, make_sensor, make_task, post

pytestmark = pytest.mark.django_db


def report() -> None:
    for agent in (report_condition, report_forecasts, report_maintenance):
        agent()


def part_of(machine, name) -> tuple[float | None, str]:
    report()
    return HealthPart.objects.values_list("score", "reason").get(equipment=machine, part=name)


@pytest.fixture
def measured(plant):
    post(plant.sensor, [2.0], historical=True)
    return plant


class TestCondition:
    def test_a_calm_machine(self, measured):
        assert part_of(measured.machine, "condition") == (100, "Nothing out of the ordinary is noticed.")

    def test_what_is_noticed_takes_from_it(self, measured):
        worst = make_limit(
            measured.sensor, value=9, failure_mode=measured.failure_mode, level=Level.HIGH_HIGH
        )
        other = make_sensor(measured.machine, "pump-7/oil")
        notice(measured.sensor, limit=worst)
        notice(other, score=0.8)
        score, reason = part_of(measured.machine, "condition")
        assert score == pytest.approx(100 * 0.4 * 0.8)
        assert (
            reason
            == "pump-7/vibration is beyond its high-high limit (−60%); pump-7/oil is unusually high (−20%)"
        )

    def test_what_is_not_believed_or_over_takes_nothing(self, measured):
        notice(measured.sensor, limit=measured.limit, status="suspected_false")
        notice(measured.sensor, direction="low", ended_at=clock.now() + timedelta(seconds=1))
        assert part_of(measured.machine, "condition")[0] == 100

    def test_a_machine_of_which_nothing_is_known_is_not_healthy(self, measured):
        bare = Equipment.objects.create(
            organization=measured.organization,
            site=measured.site,
            tag="HALL",
            name="Hall",
            equipment_class=measured.machine.equipment_class,
        )
        unmeasured = make_plant(measured.organization, name="fan")
        assert part_of(bare, "condition") == (None, "It has no sensors of its own.")
        assert part_of(unmeasured.machine, "condition")[1] == "None of its sensors has sent a reading yet."
        assert Health.objects.get(pk=bare.pk).score is None

    def test_a_machine_that_is_silent_says_nothing(self, measured):
        notice(measured.sensor, kind=Anomaly.Kind.NO_DATA)
        assert part_of(measured.machine, "condition") == (None, "Nothing comes from its sensors.")
        post(make_sensor(measured.machine, "pump-7/oil"), [1.0], historical=True)
        assert part_of(measured.machine, "condition")[0] == pytest.approx(90)

    def test_switched_off_sensors_do_not_count(self, measured):
        notice(measured.sensor, limit=measured.limit)
        Sensor.objects.update(is_active=False)
        assert part_of(measured.machine, "condition") == (None, "It has no sensors of its own.")


class TestAlarms:
    def test_a_standing_alarm_takes_by_its_severity_also_on_the_shelf(self, measured, manager):
        alarm = raised(measured)
        assert part_of(measured.machine, "alarms") == (pytest.approx(85), "minor: Vibration (−15%)")
        shelve_alarm(alarm=alarm, by=manager, hours=1)
        assert part_of(measured.machine, "alarms")[1] == "minor: Vibration, shelved (−15%)"
        take_out_of_service(alarm=alarm, by=manager, reason="Broken")
        assert part_of(measured.machine, "alarms") == (100, "No alarm stands.")


class TestForecast:
    def test_the_worst_that_is_foretold(self, measured):
        foretell(measured, p30=0.28)
        low = make_limit(measured.sensor, value=1, failure_mode=measured.failure_mode, level=Level.LOW)
        foretell(measured, limit=low, p7=0.0, p30=0.1)
        score, reason = part_of(measured.machine, "forecast")
        assert score == pytest.approx(72)
        assert reason == "28 % within 30 days at its worst: Vibration, by pump-7/vibration."

    def test_beyond_the_limit_nothing_is_left(self, measured):
        foretell(measured, p7=1.0, p30=1.0, is_already_beyond=True)
        assert part_of(measured.machine, "forecast") == (
            0,
            "pump-7/vibration is beyond its high limit now: Vibration.",
        )

    def test_without_a_forecast_it_says_why(self, measured):
        assert part_of(measured.machine, "forecast") == (None, "There is not enough data for a forecast.")
        measured.limit.is_active = False
        measured.limit.save()
        assert part_of(measured.machine, "forecast") == (None, "No sensor of it has a limit.")


class TestMaintenance:
    def test_overdue_work_takes_by_its_priority(self, measured, manager):
        assert part_of(measured.machine, "maintenance") == (100, "No work is overdue.")
        past = clock.now() - timedelta(days=1)
        tasks = [
            make_task(measured, manager, required_by=past, priority=priority)
            for priority in (Priority.CRITICAL, Priority.MEDIUM)
        ]
        score, reason = part_of(measured.machine, "maintenance")
        assert score == pytest.approx(42.5)
        assert reason == f"{tasks[0].number} is overdue (−50%); {tasks[1].number} is overdue (−15%)"
        MaintenanceTask.objects.update(required_by=clock.now() + timedelta(days=1))
        assert part_of(measured.machine, "maintenance")[0] == 100


def test_troubles_are_told_the_worst_first_and_not_all():
    troubles = [Trouble(f"number {place}", place / 10) for place in range(1, 6)]
    score, words = told(troubles, nothing="")
    assert words == "number 5 (−50%); number 4 (−40%); number 3 (−30%); and 2 more"
    assert score == pytest.approx(100 * 0.9 * 0.8 * 0.7 * 0.6 * 0.5)


def test_a_score_beyond_its_range_takes_no_more_than_all_and_no_less_than_nothing():
    assert anomaly_penalty(kind="profile", level="", score=7.0) == 0.25
    assert anomaly_penalty(kind="profile", level="", score=-1.0) == 0.0


def test_people_see_it_with_each_part(viewer_client, manager_client, measured):
    foretell(measured, p30=0.9)
    now = clock.now()
    with clock.frozen(now - timedelta(days=3)):
        report()
    raised(measured)
    report()

    page = viewer_client.get(reverse("machine", args=[measured.machine.pk])).content.decode()
    for words in ("Condition", "weighs 40 %", "beyond its high limit", "No work is overdue.", "<polyline"):
        assert words in page, words
    row = viewer_client.get(reverse("machine-list")).context["machines"][0]
    assert (row.health, row.health_level) == (62, "high")
    dashboard = manager_client.get("/admin/").content.decode()
    assert "Health of the machines" in dashboard
    assert "Forecast: 90 % within 30 days" in dashboard
    listed = manager_client.get("/admin/equipment/equipment/").content.decode()
    assert "62" in listed
    detail = manager_client.get(f"/admin/equipment/equipment/{measured.machine.pk}/change/").content.decode()
    assert "No work is overdue." in detail


def test_what_is_left_out_is_said(viewer_client, measured):
    report()
    page = viewer_client.get(reverse("machine", args=[measured.machine.pk])).content.decode()
    assert "Left out, having nothing to say: forecast." in page
    assert "nothing to say" in page


def test_before_anything_was_reported_nothing_is_shown(viewer_client, measured):
    page = viewer_client.get(reverse("machine", args=[measured.machine.pk])).content.decode()
    assert "health-heading" not in page
    assert viewer_client.get(reverse("machine-list")).context["machines"][0].health is None


def test_many_machines_take_as_many_queries_as_few(organization):
    def queries_with(number: int) -> int:
        post(make_plant(organization, name=f"fan-{number}").sensor, [2.0], historical=True)
        with CaptureQueriesContext(connection) as captured:
            for agent in (report_condition, report_forecasts, report_maintenance):
                agent()
        return len(captured)

    queries_with(9)  # The first run of an agent leaves its mark with another statement.
    few = queries_with(0)
    assert [queries_with(number) for number in (1, 2, 3)] == [few] * 3


def test_a_calm_fleet_writes_nothing(measured):
    report()
    with CaptureQueriesContext(connection) as captured:
        report()
    written = [
        query["sql"] for query in captured if not query["sql"].startswith(("SELECT", "SAVEPOINT", "RELEASE"))
    ]
    assert all("smartmaint_agentrun" in sql or "pg_advisory" in sql for sql in written)
