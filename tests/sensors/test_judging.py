"""What validation knows around an anomaly: events, other sensors and machines, and what people found before."""

from datetime import timedelta

import pytest

from equipment.models import Equipment, Verdict
from predictions.models import Prediction
from sensors.agents import detect_anomalies, validate_anomalies
from sensors.ingest.events import EventRow, ParsedEvents
from sensors.models import Anomaly, AnomalyStatus, MachineEvent, ReadingBatch, ValidationRule
from sensors.services.baselines import record_finding
from sensors.services.events import record_events
from sensors.services.facts import gather_facts
from sensors.services.judgement import judge_anomaly, settle_anomaly, validate_anomaly
from sensors.services.trying import try_rule
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.work import Tally, each, run_pending
from tests.plants import Plant, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now():
    with clock.frozen(clock.now().replace(microsecond=0)):
        yield clock.now()


def make_anomaly(plant: Plant, *, hours_ago: float = 1, sensor=None, **more) -> Anomaly:
    """Unlike its own past, as detection writes it; to be judged."""
    sensor = sensor or plant.sensor
    started_at = clock.now() - hours_ago * HOUR
    with clock.frozen(started_at):
        post(sensor, [2.0], last_at=started_at)
    ReadingBatch.objects.update(due_at=None)
    anomaly = Anomaly(
        organization=sensor.organization,
        sensor=sensor,
        batch=ReadingBatch.objects.first(),
        **{
            "kind": "profile",
            "direction": "high",
            "score": 0.9,
            "noticed_at": started_at,
            "detected_at": started_at,
        }
        | more,
        started_at=started_at,
        peak_at=started_at,
        peak_value=5.0,
        expected_value=2.0,
        detector_version="1",
    )
    anomaly.mark_due()
    anomaly.save()
    return anomaly


def report(plant: Plant, *, hours_ago: float, code: str = "E17", kind: str = "error"):
    row = EventRow(0, plant.machine.tag, code, microseconds(clock.now() - hours_ago * HOUR), kind, message="")
    return record_events(organization=plant.organization, parsed=ParsedEvents(rows=[row]))


def judged(anomaly: Anomaly) -> Anomaly:
    validate_anomalies()
    anomaly.refresh_from_db()
    return anomaly


class TestEvents:
    @pytest.mark.parametrize(
        ("lasted_hours", "hours_before", "around"),
        [
            (1, 36, 1),
            (1, 37, 0),
            (1, 0, 1),
            (1, -1, 1),
            (1, -12, 1),
            (1, -13, 0),
            (20, -20, 1),
            (20, -21, 0),
            (None, -48, 1),
            (None, -49, 0),
            (55, -49, 0),
        ],
    )
    def test_one_belongs_to_an_anomaly_from_36_hours_before_to_12_after_or_while_it_lasts(
        self, plant, now, lasted_hours, hours_before, around
    ):
        ended_at = lasted_hours and now - 60 * HOUR + lasted_hours * HOUR
        anomaly = make_anomaly(plant, hours_ago=60, ended_at=ended_at)
        report(plant, hours_ago=60 + hours_before)

        facts = gather_facts(anomaly)

        assert (facts["events_around"], facts["hours_to_event"]) == (around, abs(hours_before))
        assert facts["events_before"] == (around if hours_before >= 0 else 0)
        assert facts["events_after"] == (around if hours_before < 0 else 0)

    def test_what_was_buffered_over_a_weekend_meets(self, plant, now):
        plant.limit.on_delay_s = 300
        plant.limit.save()
        post(plant.sensor, [2.0, 8.0, 8.1], last_at=now - 60 * HOUR)
        detect_anomalies()
        report(plant, hours_ago=58)

        anomaly = judged(Anomaly.objects.get())

        assert (anomaly.noticed_at, anomaly.detected_at) == (now - 60 * HOUR, now)
        assert anomaly.is_corroborated
        assert gather_facts(anomaly)["hours_to_event"] == 2

    def test_an_event_of_today_does_not_belong_to_what_was_measured_last_week(self, plant):
        anomaly = make_anomaly(plant, hours_ago=100, detected_at=clock.now())
        report(plant, hours_ago=0)
        assert gather_facts(anomaly)["events_around"] == 0

    def test_nothing_is_known_where_nobody_reports(self, plant):
        assert gather_facts(make_anomaly(plant)).get("events_around") is None

    def test_that_a_sister_reports_makes_silence_of_this_one_tell(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)

        facts = gather_facts(make_anomaly(plant))

        assert (facts["events_around"], facts["hours_to_event"]) == (0, 720)

    def test_a_change_of_state_is_no_error(self, plant):
        report(plant, hours_ago=1, kind="state")
        assert gather_facts(make_anomaly(plant)).get("events_around") is None

    def test_another_organisations_events_count_for_nothing(self, plant, other_organization):
        report(make_plant(other_organization, name="pump-8"), hours_ago=1)
        assert gather_facts(make_anomaly(plant)).get("events_around") is None

    def test_what_comes_in_later_was_not_known(self, plant, now):
        anomaly = make_anomaly(plant)
        report(plant, hours_ago=1)
        with clock.frozen(now - timedelta(minutes=1)):
            assert gather_facts(anomaly).get("events_around") is None

    def test_an_error_around_it_raises_the_confidence_and_none_lowers_it(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        alone = judged(make_anomaly(plant, hours_ago=30, direction="low"))
        report(plant, hours_ago=1)
        with_event = judged(make_anomaly(plant, hours_ago=0.5))

        assert (alone.confidence, with_event.confidence) == (0.4, 0.85)
        assert "The machine's controller reported an error around that time" in [
            reason["text"] for reason in with_event.reasons
        ]


class TestReopening:
    @pytest.fixture
    def undecided(self, plant, organization) -> Anomaly:
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        anomaly = judged(make_anomaly(plant, hours_ago=10))
        assert anomaly.status == AnomalyStatus.NEEDS_A_LOOK
        return anomaly

    def test_an_error_that_comes_within_half_a_day_has_it_judged_again(self, plant, undecided):
        report(plant, hours_ago=0)

        undecided.refresh_from_db()
        assert (undecided.status, undecided.confidence, undecided.reasons) == ("detected", None, [])
        assert judged(undecided).status == AnomalyStatus.CREDIBLE

    @pytest.mark.parametrize(
        ("ended_hours_ago", "status"), [(None, AnomalyStatus.CREDIBLE), (5, AnomalyStatus.NEEDS_A_LOOK)]
    )
    def test_one_that_comes_later_does_while_it_lasts(
        self, plant, organization, now, ended_hours_ago, status
    ):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        anomaly = judged(make_anomaly(plant, hours_ago=20))
        Anomaly.objects.update(ended_at=ended_hours_ago and now - ended_hours_ago * HOUR)
        report(plant, hours_ago=0)
        assert judged(anomaly).status == status

    def test_one_that_belongs_to_it_and_comes_late_does_too(self, plant, undecided):
        report(plant, hours_ago=40)
        assert judged(undecided).status == AnomalyStatus.CREDIBLE

    def test_so_does_one_of_the_time_of_readings_that_were_buffered(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        anomaly = judged(make_anomaly(plant, hours_ago=100, detected_at=clock.now() - HOUR))
        assert anomaly.status == AnomalyStatus.NEEDS_A_LOOK
        report(plant, hours_ago=90)
        assert judged(anomaly).status == AnomalyStatus.CREDIBLE

    def test_one_that_comes_while_it_is_judged_is_not_lost(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        anomaly = make_anomaly(plant, hours_ago=10)

        def judge_just_before_it_comes(anomalies):
            judgements = each(judge_anomaly)(anomalies)
            report(plant, hours_ago=0)
            return judgements

        tally = run_pending(Anomaly, work=judge_just_before_it_comes, settle=validate_anomaly)

        assert tally == Tally(settled=1, overtaken=1)
        anomaly.refresh_from_db()
        assert (anomaly.status, anomaly.is_corroborated) == (AnomalyStatus.CREDIBLE, True)

    def test_one_that_waits_or_is_parked_stays_where_it_is(self, plant, organization):
        """Who claims the one reads the event; why the other was given up is for a person to read."""
        waiting = make_anomaly(plant, hours_ago=3)
        parked = make_anomaly(plant, hours_ago=2, direction="low")
        parked.attempts = 8
        parked.park("ValueError: broken")
        parked.save()
        before = list(Anomaly.objects.order_by("pk").values())
        report(plant, hours_ago=0)
        assert list(Anomaly.objects.order_by("pk").values()) == before
        assert judged(waiting).is_corroborated

    def test_a_controller_that_reports_all_the_time_does_not_keep_it_waiting(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        anomaly = make_anomaly(plant, hours_ago=3)
        codes = iter(range(100))

        def judge_while_more_come(anomalies):
            judgements = each(judge_anomaly)(anomalies)
            report(plant, hours_ago=0, code=f"E{next(codes)}")
            return judgements

        tally = run_pending(Anomaly, work=judge_while_more_come, settle=validate_anomaly)
        assert tally == Tally(settled=1, overtaken=2)
        assert judged(anomaly).is_corroborated

    def test_one_that_is_too_far_away_does_not(self, plant, undecided):
        report(plant, hours_ago=10 + 37)
        undecided.refresh_from_db()
        assert undecided.status == AnomalyStatus.NEEDS_A_LOOK

    def test_the_same_event_again_does_not(self, plant, undecided):
        report(plant, hours_ago=0)
        judged(undecided)
        Anomaly.objects.update(status=AnomalyStatus.NEEDS_A_LOOK)
        report(plant, hours_ago=0)
        undecided.refresh_from_db()
        assert undecided.status == AnomalyStatus.NEEDS_A_LOOK

    def test_what_a_person_settled_stays(self, plant, undecided, manager):
        settle_anomaly(anomaly=undecided, is_credible=False, user=manager)
        report(plant, hours_ago=0)
        undecided.refresh_from_db()
        assert (undecided.status, undecided.settled_by) == (AnomalyStatus.SUSPECTED_FALSE, manager)

    def test_what_is_credible_already_stays(self, plant, undecided):
        report(plant, hours_ago=0)
        validated_at = judged(undecided).validated_at
        report(plant, hours_ago=0, code="E18")
        undecided.refresh_from_db()
        assert (undecided.status, undecided.validated_at) == (AnomalyStatus.CREDIBLE, validated_at)

    def test_what_is_credible_without_an_event_is_judged_again_with_one(self, plant, undecided):
        """What it foretells hangs on that: another prediction is asked for."""
        Anomaly.objects.update(status=AnomalyStatus.CREDIBLE)
        report(plant, hours_ago=0)
        again = judged(undecided)
        assert (again.status, again.is_corroborated) == (AnomalyStatus.CREDIBLE, True)
        assert Prediction.objects.get().anomaly == undecided

    def test_an_old_anomaly_asks_for_no_prediction_of_today(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=24 * 20)
        old = judged(make_anomaly(plant, hours_ago=24 * 10))
        report(plant, hours_ago=24 * 10)
        old.refresh_from_db()
        assert old.status == AnomalyStatus.NEEDS_A_LOOK

    def test_another_machines_event_does_not(self, organization, undecided):
        report(make_plant(organization, name="pump-9"), hours_ago=0)
        undecided.refresh_from_db()
        assert undecided.status == AnomalyStatus.NEEDS_A_LOOK


class TestOthers:
    def test_other_sensors_of_the_machine_at_the_same_time_are_counted_once(self, plant):
        current = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
        make_anomaly(plant, sensor=current, hours_ago=3)
        make_anomaly(plant, sensor=current, hours_ago=2, direction="low")
        make_anomaly(plant, hours_ago=9)

        facts = gather_facts(make_anomaly(plant, hours_ago=1, direction="low"))

        assert (facts["other_sensors"], facts["sister_machines"]) == (1, 0)

    def test_sisters_are_of_the_same_class_and_site_and_measure_the_same(self, plant, organization):
        for name in ("pump-8", "pump-9"):
            make_anomaly(make_plant(organization, name=name), hours_ago=2)
        other = make_plant(organization, name="fan-1")
        Equipment.objects.filter(pk=other.machine.pk).update(
            equipment_class=organization_class(organization, "BL")
        )
        make_anomaly(other, hours_ago=2)

        assert gather_facts(make_anomaly(plant))["sister_machines"] == 2

    def test_a_limit_that_sisters_pass_too_is_believed_still(self, plant, organization):
        for name in ("pump-8", "pump-9"):
            make_anomaly(make_plant(organization, name=name), hours_ago=2, kind="limit", level="H", score=0.5)

        anomaly = judged(make_anomaly(plant, kind="limit", level="H", score=0.5))

        assert (anomaly.status, anomaly.confidence) == ("credible", pytest.approx(0.7))


def organization_class(organization, code):
    return Equipment._meta.get_field("equipment_class").related_model.objects.get(
        organization=organization, code=code
    )


class TestFindings:
    def found(self, plant: Plant, verdict: Verdict, *, times: int, sensor=None) -> None:
        for number in range(times):
            anomaly = judged(make_anomaly(plant, sensor=sensor, hours_ago=200 + number))
            record_finding(anomaly=anomaly, verdict=verdict, found_at=clock.now() - 100 * HOUR)
            Anomaly.objects.filter(pk=anomaly.pk).update(ended_at=clock.now(), rule_sum=0.65)

    def test_what_was_found_of_alike_ones_calibrates(self, plant):
        other = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
        self.found(plant, Verdict.FAILED_BEFORE_REPAIR, times=5, sensor=other)

        judgement = judge_anomaly(make_anomaly(plant))

        assert (judgement.rule_sum, judgement.confidence) == (0.65, round((6.5 + 5) / 15, 4))

    def test_what_was_found_of_others_does_not(self, plant):
        other = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
        self.found(plant, Verdict.FAILED_BEFORE_REPAIR, times=2, sensor=other)
        Anomaly.objects.update(rule_sum=0.9)
        assert judge_anomaly(make_anomaly(plant)).confidence == 0.65

    def test_another_organisations_findings_do_not(self, plant, other_organization):
        self.found(make_plant(other_organization, name="pump-8"), Verdict.NO_FAULT_FOUND, times=5)
        assert judge_anomaly(make_anomaly(plant)).confidence == 0.65

    def test_that_the_sensor_was_at_fault_is_a_fact_of_the_sensor_alone(self, plant):
        other = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
        self.found(plant, Verdict.SENSOR_FAULT, times=2)

        of_sensor = judge_anomaly(make_anomaly(plant))
        of_other = judge_anomaly(make_anomaly(plant, sensor=other, hours_ago=20))

        assert (of_sensor.confidence, of_other.confidence) == (0.45, 0.65)
        assert "People found this sensor itself at fault within the last 90 days" in str(of_sensor.reasons)
        assert "proved" not in str(of_sensor.reasons)


class TestTrying:
    def rule(self, organization, **more) -> ValidationRule:
        values = {"fact": "score", "operator": "at_least", "value": "0.8", "adjustment": 0.3, "reason": "x"}
        return ValidationRule(organization=organization, name="Tried", **values | more)

    def test_it_tells_what_would_have_changed_and_writes_nothing(self, plant, organization):
        for hours_ago, score in ((24 * 5, 0.9), (24 * 31, 0.9), (24 * 4, 0.5)):
            judged(make_anomaly(plant, hours_ago=hours_ago, score=score))
            Anomaly.objects.update(ended_at=clock.now())
        before = list(Anomaly.objects.order_by("pk").values())

        trial = try_rule(self.rule(organization))

        assert [(one.applies, one.without.status, one.with_it.status) for one in trial.tried] == [
            (False, "needs_a_look", "needs_a_look"),
            (True, "needs_a_look", "credible"),
        ]
        assert trial.changes() == {(AnomalyStatus.NEEDS_A_LOOK, AnomalyStatus.CREDIBLE): 1}
        assert list(Anomaly.objects.order_by("pk").values()) == before
        assert not ValidationRule.objects.filter(name="Tried").exists()

    def test_a_rule_that_counts_is_compared_with_its_absence(self, plant, organization):
        judged(make_anomaly(plant))
        far = ValidationRule.objects.get(organization=organization, name="Far from normal")

        (one,) = try_rule(far).tried

        assert (one.without.confidence, one.with_it.confidence) == (0.5, 0.65)

    def test_it_judges_by_what_was_known_then(self, plant, organization):
        report(make_plant(organization, name="pump-8"), hours_ago=48)
        with clock.frozen(clock.now() - 5 * HOUR):
            judged(make_anomaly(plant))
        MachineEvent.objects.create(
            organization=organization, equipment=plant.machine, code="E17", at=clock.now() - 6 * HOUR
        )
        rule = self.rule(organization, fact="events_around", value="1")

        assert [one.applies for one in try_rule(rule).tried] == [False]

    def test_another_organisations_anomalies_are_not_tried(self, plant, other_organization):
        judged(make_anomaly(plant))
        assert try_rule(self.rule(other_organization)).tried == []
