"""Too many machine events, as a rule says, are an anomaly like any other; and what a changed rule does."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from equipment.models import FailureMode
from maintenance.agents import schedule_tasks
from maintenance.models import MaintenanceTask
from predictions.agents import make_predictions, request_predictions
from predictions.models import Prediction
from sensors.agents import count_events, notice_silence, watch_alarms
from sensors.models import Alarm, Anomaly, EventCount, EventRule, Limit, SenderAbsence, Sensor
from sensors.services.baselines import restart_baseline, withdraw_baseline
from sensors.services.condition import report_condition
from sensors.services.event_counts import recount_rule
from sensors.services.facts import gather_facts
from smartmaint import clock
from tests.alarms import notice
from tests.event_rules import HOUR, NOW, counts, later, make_rule, report, work
from tests.plants import make_plant, make_sensor, post, set_policy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ten_o_clock():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def rule(plant) -> EventRule:
    """Three errors of one machine within a day tell of vibration."""
    return make_rule(plant)


class TestAnomalies:
    @pytest.fixture
    def excursion(self, plant, rule) -> Anomaly:
        report(plant, 3, 2, 0)
        work()
        return Anomaly.objects.get()

    def test_too_many_are_a_credible_anomaly_and_corroborated(self, plant, excursion):
        assert (excursion.kind, excursion.direction, excursion.level) == ("limit", "high", "H")
        assert (excursion.started_at, excursion.ended_at, excursion.peak_value) == (NOW, None, 3)
        assert (excursion.status, excursion.confidence) == ("credible", 1.0)
        assert excursion.is_corroborated
        assert excursion.limit.failure_mode == plant.failure_mode

    def test_it_ends_by_itself_when_few_enough_are_left(self, excursion):
        with later(20):
            work()
            excursion.refresh_from_db()
            assert excursion.ended_at is None
        with later(21):
            work()
            excursion.refresh_from_db()
            assert excursion.ended_at == NOW + 21 * HOUR
        assert Anomaly.objects.count() == 1

    def test_changes_of_state_corroborate_their_own_count(self, plant):
        make_rule(plant, reported="state", times=1)
        report(plant, 0.1, kind="state")
        work()
        assert Anomaly.objects.values_list("status", "is_corroborated").get() == ("credible", True)

    def test_it_is_no_other_sensor_of_its_machine(self, plant, excursion):
        make_rule(plant, name="Any error", code="*", times=1)
        report(plant, 0, code="F2")
        work()
        vibration = notice(plant.sensor)
        assert Anomaly.objects.count() == 3
        assert gather_facts(vibration)["other_sensors"] == 0
        assert gather_facts(excursion)["other_sensors"] == 1

    def test_its_sisters_are_those_of_the_same_rule(self, plant, organization, rule, excursion):
        make_rule(plant, name="Brake errors", code="B*", times=1)
        sisters = [make_plant(organization, name=name) for name in ("pump-8", "pump-9")]
        report(sisters[0], 0, code="B1")
        work()
        assert Anomaly.objects.count() == 2
        assert gather_facts(excursion)["sister_machines"] == 0
        report(sisters[1], 3, 2, 0)
        work()
        assert gather_facts(excursion)["sister_machines"] == 1

    def test_a_sensor_of_that_quantity_is_no_sister_of_it(self, plant, organization, excursion):
        other = make_plant(organization, name="pump-8")
        counter = make_sensor(other.machine, "pump-8/strokes", quantity=excursion.sensor.quantity, unit="1")
        strokes = notice(counter)
        assert gather_facts(strokes)["sister_machines"] == gather_facts(excursion)["sister_machines"] == 0

    def test_an_alarm_stands_until_it_ends(self, plant, excursion):
        alarm = Alarm.objects.get()
        assert (alarm.failure_mode, alarm.equipment) == (plant.failure_mode, plant.machine)
        assert alarm.summary == "Drive errors: 3 events within 24 h, too many from 3 on"
        with later(30):
            work()
            watch_alarms()
            alarm.refresh_from_db()
            assert not alarm.is_active

    def test_what_follows_is_a_prediction_by_findings_of_the_rule_s_mode(self, plant, excursion):
        assert [one.limit for one in Prediction.objects.all()] == [None]
        make_predictions()
        prediction = Prediction.objects.get()
        assert prediction.failure_mode == plant.failure_mode
        assert (prediction.status, prediction.is_already_beyond) == ("made", False)
        assert 0.1 < prediction.p_90d < 0.3
        # No forecast is made of a count, not by the hour either.
        with later(2):
            request_predictions()
            assert Prediction.objects.filter(sensor=excursion.sensor, limit__isnull=False).count() == 0
        assert not Limit.objects.outermost().filter(sensor=excursion.sensor).exists()

    def test_an_inspection_is_proposed_for_the_rule_s_mode(self, plant, organization, excursion):
        set_policy(organization, approval="automatic", inspect_from_probability=0.1)
        make_predictions()
        schedule_tasks()
        assert MaintenanceTask.objects.get().failure_mode == plant.failure_mode

    def test_a_late_event_makes_it_an_anomaly_at_once(self, plant, rule):
        report(plant, 2, 1)
        work()
        report(plant, 3)
        work()
        assert Anomaly.objects.values_list("status", "ended_at").get() == ("credible", None)

    def test_so_does_the_next_one_though_detection_looks_back_once_an_hour(self, plant):
        make_rule(plant, times=4)
        report(plant, 2, 1)
        work()
        for minutes, hours in ((1, 3), (2, 4)):
            with later(minutes / 60):
                report(plant, hours)
                work()
        assert Anomaly.objects.get().ended_at is None

    def test_what_was_over_long_ago_pages_nobody(self, plant, rule):
        report(plant, 1003, 1002, 1001)
        work()
        assert counts()[2] == (-1001, 3)
        assert not Anomaly.objects.exists()

    def test_what_began_long_ago_and_goes_on_is_told(self, plant):
        make_rule(plant, within_hours=720)
        report(plant, 303, 302, 301)
        work()
        assert Anomaly.objects.get().ended_at is None

    def test_only_its_limit_watches_a_count(self, plant):
        make_rule(plant, name="Never", times=10_000, within_hours=720)
        for day in range(28):
            report(plant, *(24 * day + hour for hour in range(12)), code=f"E1{day}")
        report(plant, *(minute / 60 for minute in range(60)))
        work()
        assert not Anomaly.objects.filter(sensor__event_count__rule__name="Never").exists()

    def test_a_count_is_never_silent_and_no_sign_of_life(self, plant):
        make_rule(plant, within_hours=0.05)
        post(plant.sensor, [2.0])
        report(plant, 0)
        for minute in range(60):
            with later(minute / 60):
                count_events()
                notice_silence()
        assert counts() == [(0, 1), (0.05, 0)]
        assert Anomaly.objects.get(kind="no_data").sensor == plant.sensor
        # It is all that is known of the organisation: it tells of the absence of all senders.
        assert SenderAbsence.objects.get().api_key is None

    def test_a_repair_ends_it_and_what_came_before_counts_no_longer(self, plant, excursion):
        with later(1):
            restart_baseline(equipment=plant.machine, started_at=clock.now(), reason="Task 1: mended")
            work()
            excursion.refresh_from_db()
            assert excursion.ended_at == clock.now()
            assert counts()[-1] == (1, 0)
        with later(2):
            report(plant, 0)
            work()
            assert counts()[-1] == (2, 1)
        with later(25):
            work()
            assert counts()[-1] == (2, 1)
        assert Anomaly.objects.open().count() == 0
        with later(25.5):
            withdraw_baseline(equipment=plant.machine, started_at=NOW + HOUR, reason_prefix="Task 1")
            count_events()
            assert counts()[-1] == (25.5, 1)

    def test_health_knows_of_it_though_the_machine_has_no_sensor(self, plant, excursion):
        Sensor.objects.filter(pk=plant.sensor.pk).update(is_active=False)
        report_condition()
        (part,) = plant.machine.health_parts.filter(part="condition")
        assert part.score is not None
        with later(30):
            work()
            report_condition()
            part.refresh_from_db()
            assert (part.score, part.reason) == (None, "It has no sensors of its own.")


class TestRules:
    def changed(self, rule, **fields):
        for name, value in fields.items():
            setattr(rule, name, value)
        rule.full_clean()
        rule.save()
        recount_rule(rule)
        work()

    @pytest.fixture
    def excursion(self, plant, rule) -> Anomaly:
        report(plant, 3, 2, 1)
        work()
        return Anomaly.objects.get()

    def test_a_rule_that_is_switched_off_ends_it(self, rule, excursion):
        self.changed(rule, is_active=False)
        excursion.refresh_from_db()
        assert excursion.ended_at == NOW
        assert counts() == [(-3, 1), (-2, 2), (-1, 3), (0, 0)]

    def test_while_it_is_off_nothing_counts_and_when_it_is_on_again_all_does(self, plant, rule, excursion):
        self.changed(rule, is_active=False)
        with later(1):
            report(plant, 0)
            count_events()
            assert counts()[-1] == (0, 0)
        with later(2):
            self.changed(rule, is_active=True)
            assert counts()[-1] == (2, 4)
            assert Anomaly.objects.open().count() == 1

    def test_a_larger_number_ends_it(self, rule, excursion):
        with later(1):
            self.changed(rule, times=5)
            excursion.refresh_from_db()
            assert excursion.ended_at == NOW + HOUR
        assert list(Limit.objects.filter(sensor=excursion.sensor).values_list("value", flat=True)) == [5]
        assert excursion.limit.history.count() == 2

    def test_a_smaller_number_and_another_mode_hold_from_then_on(self, plant, organization, rule):
        report(plant, 2, 1)
        work()
        assert not Anomaly.objects.exists()
        unknown = FailureMode.objects.unknown_of(organization.pk)
        self.changed(rule, times=2, failure_mode=unknown)
        excursion = Anomaly.objects.get()
        assert (excursion.started_at, excursion.limit.failure_mode) == (NOW, unknown)

    def test_another_window_holds_from_then_on(self, rule, excursion):
        self.changed(rule, within_hours=1.5)
        excursion.refresh_from_db()
        assert excursion.ended_at == NOW
        assert counts()[-1] == (0, 1)
        assert EventCount.objects.get().next_change_at == NOW + HOUR / 2

    def test_a_new_rule_counts_what_its_window_holds_already(self, plant):
        report(plant, 30, 3, 2, 1)
        rule = make_rule(plant)
        recount_rule(rule)
        work()
        assert counts() == [(0, 3)]
        assert Anomaly.objects.get().started_at == NOW

    def test_a_limit_that_was_changed_by_hand_is_the_rule_s_again_with_the_next_event(self, plant, rule):
        report(plant, 2)
        count_events()
        Limit.objects.filter(sensor__event_count__rule=rule).update(value=17)
        report(plant, 1)
        count_events()
        assert Limit.objects.get(sensor__event_count__rule=rule).value == 3

    @pytest.mark.parametrize(
        "wrong",
        [
            {"times": 0},
            {"times": 10_001},
            {"within_hours": 0},
            {"within_hours": -1},
            {"within_hours": 721},
            {"within_hours": float("nan")},
            {"code": ""},
            {"reported": "odd"},
        ],
    )
    def test_what_no_rule_can_be(self, plant, wrong):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_rule(plant, **wrong)
        rule = make_rule(plant)
        for name, value in wrong.items():
            setattr(rule, name, value)
        with pytest.raises(ValidationError):
            rule.full_clean()

    def test_the_mode_is_one_of_the_class(self, plant):
        rule = make_rule(plant)
        rule.equipment_class = None
        with pytest.raises(ValidationError, match="Only machines of the class"):
            rule.full_clean()

    def test_a_rule_and_a_machine_have_one_count(self, plant, rule):
        report(plant, 1)
        with pytest.raises(IntegrityError), transaction.atomic():
            EventCount.objects.create(organization=plant.organization, rule=rule, equipment=plant.machine)
