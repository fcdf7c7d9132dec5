"""Detection and validation on stored readings: what is noticed once, what pages nobody, what is learned anew."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from sensors.agents import detect_anomalies, validate_anomalies
from sensors.models import (
    Anomaly,
    AnomalyStatus,
    Baseline,
    DetectorState,
    HourlyRollup,
    Level,
    ReadingBatch,
    SensorLatest,
    ValidationRule,
)
from sensors.services.baselines import restart_baseline
from sensors.services.judgement import AlreadySettled, settle_anomaly
from sensors.validation import FACTS, Operator, Rule, holds, judge, read_condition_value
from smartmaint import clock
from tests.plants import make_limit, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db

FIVE = timedelta(minutes=5)


@pytest.fixture
def start():
    return clock.now() - timedelta(days=1)


def told():
    return list(Anomaly.objects.order_by("started_at").values_list("kind", "level", "peak_value", "ended_at"))


def test_an_excursion_over_several_requests_is_one_anomaly(plant, start):
    for minutes, value in ((0, 2.0), (5, 7.5), (10, 8.5), (15, 7.2)):
        post(plant.sensor, [value], last_at=start + timedelta(minutes=minutes))
        detect_anomalies()
    assert told() == [("limit", "H", 8.5, None)]
    post(plant.sensor, [3.0], last_at=start + timedelta(minutes=20))
    detect_anomalies()
    assert told() == [("limit", "H", 8.5, start + timedelta(minutes=20))]


def test_what_an_anomaly_expects_is_a_number(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    with pytest.raises(IntegrityError, match="anomaly_expects_a_number"):
        Anomaly.objects.update(expected_value=float("nan"))


def test_many_requests_at_once_give_what_one_by_one_gives(plant, start):
    for minutes, value in ((0, 2.0), (5, 7.5), (10, 8.5), (15, 3.0), (20, 9.0)):
        post(plant.sensor, [value], last_at=start + timedelta(minutes=minutes))
    detect_anomalies()
    assert told() == [
        ("limit", "H", 8.5, start + timedelta(minutes=15)),
        ("limit", "H", 9.0, None),
    ]
    assert ReadingBatch.objects.pending().count() == 0


def test_a_further_limit_has_the_anomaly_judged_again(plant, start):
    make_limit(plant.sensor, level=Level.HIGH_HIGH, value=11, failure_mode=plant.failure_mode)
    post(plant.sensor, [7.5], last_at=start)
    detect_anomalies()
    validate_anomalies()
    post(plant.sensor, [12.0], last_at=start + FIVE)
    detect_anomalies()
    anomaly = Anomaly.objects.get()
    assert (anomaly.level, anomaly.status, anomaly.validated_at) == ("HH", AnomalyStatus.DETECTED, None)
    validate_anomalies()
    anomaly.refresh_from_db()
    assert anomaly.status == AnomalyStatus.CREDIBLE


def test_bad_readings_are_no_excursion(plant, start):
    post(plant.sensor, [2.0], last_at=start)
    post(plant.sensor, [float("nan")], last_at=start + FIVE, quality=2)
    post(plant.sensor, [99.0], last_at=start + 2 * FIVE, quality=2)
    detect_anomalies()
    assert told() == []


def test_a_late_reading_pages_nobody_and_leaves_the_live_value(plant, start):
    post(plant.sensor, [2.0], last_at=start)
    detect_anomalies()
    post(plant.sensor, [9.0], last_at=start - timedelta(hours=2))
    detect_anomalies()
    assert told() == []
    assert SensorLatest.objects.get().value == 2.0


def test_an_excursion_that_history_left_open_is_told_when_live_readings_go_on(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start, historical=True)
    detect_anomalies()
    assert told() == []
    post(plant.sensor, [8.1], last_at=start + FIVE)
    detect_anomalies()
    assert told() == [("limit", "H", 8.1, None)]


def test_an_anomaly_ends_also_when_its_end_comes_late_as_history(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    post(plant.sensor, [8.2, 2.0], last_at=start + 2 * FIVE, historical=True)
    detect_anomalies()
    assert told() == [("limit", "H", 8.2, start + 2 * FIVE)]


def test_a_sensor_unlike_its_own_past_is_noticed(plant, start):
    sensor = make_sensor(plant.machine, "pump-7/current", quantity="current", unit="A")
    hours = np.arange(12 * 24 * 14) / 12
    healthy = 20 + 3 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(7).normal(0, 0.3, len(hours))
    post(sensor, healthy.tolist(), last_at=start, historical=True)
    detect_anomalies()
    post(sensor, [healthy[-288] + 6.0] * 12, last_at=start + 12 * FIVE)
    detect_anomalies()
    anomaly = Anomaly.objects.get()
    assert (anomaly.kind, anomaly.direction, anomaly.level, anomaly.limit) == ("profile", "high", "", None)


def test_the_memory_of_a_sensor_is_small(plant, start):
    post(plant.sensor, (2 + np.sin(np.arange(5000) / 45)).tolist(), last_at=start, historical=True)
    detect_anomalies()
    assert len(bytes(DetectorState.objects.get().memory)) < 4096


def test_after_a_repair_the_detector_starts_anew_and_the_old_anomaly_is_over(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    repaired_at = start + timedelta(hours=1)
    restart_baseline(equipment=plant.machine, started_at=repaired_at, reason="WO-1")
    restart_baseline(equipment=plant.machine, started_at=repaired_at, reason="WO-1 again")
    assert Baseline.objects.count() == 1
    assert told() == [("limit", "H", 8.0, repaired_at)]

    post(plant.sensor, [8.2], last_at=start + timedelta(hours=2))
    detect_anomalies()
    assert [row[2] for row in told()] == [8.0, 8.2]
    assert DetectorState.objects.get().baseline_started_at == repaired_at


def test_an_excursion_after_the_repair_goes_on_when_the_repair_is_told_late(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    restart_baseline(equipment=plant.machine, started_at=start - timedelta(hours=3), reason="told late")
    assert told() == [("limit", "H", 8.0, None)]
    post(plant.sensor, [9.0], last_at=start + FIVE)
    detect_anomalies()
    assert told() == [("limit", "H", 9.0, None)]


def test_a_late_reading_that_has_a_detector_start_anew_loses_none_of_its_memory(plant, start):
    for minutes, value in ((0, 2.0), (60, 8.0)):
        post(plant.sensor, [value], last_at=start + timedelta(minutes=minutes))
    detect_anomalies()
    restart_baseline(equipment=plant.machine, started_at=start - timedelta(hours=3), reason="told late")
    post(plant.sensor, [2.0], last_at=start + timedelta(minutes=30))
    detect_anomalies()
    post(plant.sensor, [8.5], last_at=start + timedelta(minutes=65))
    detect_anomalies()
    assert told() == [("limit", "H", 8.5, None)]


def test_a_repair_is_one_of_all_that_stands_below_the_machine(plant):
    below = make_plant(plant.organization, name="motor")
    below.machine.parent = plant.machine
    below.machine.save()
    restart_baseline(equipment=plant.machine, started_at=clock.now(), reason="Overhaul")
    assert set(Baseline.objects.values_list("sensor__key", flat=True)) == {
        "pump-7/vibration",
        "motor/vibration",
    }


def test_a_judgement_keeps_its_reasons_in_words(plant, start):
    plant.machine.state = "maintenance"
    plant.machine.save()
    post(plant.sensor, [2.0, 7.2], last_at=start)
    detect_anomalies()
    validate_anomalies()
    anomaly = Anomaly.objects.get()
    assert anomaly.status == AnomalyStatus.NEEDS_A_LOOK
    assert anomaly.confidence == 0.4
    assert anomaly.reasons == [
        {"text": "Every anomaly starts here", "adjustment": 0.5},
        {"text": "A limit that people set was passed", "adjustment": 0.3},
        {"text": "The machine is being worked on", "adjustment": -0.4},
    ]


def test_a_person_settles_what_needs_a_look_once(plant, start, manager):
    ValidationRule.objects.all().delete()
    post(plant.sensor, [2.0, 7.2], last_at=start)
    detect_anomalies()
    validate_anomalies()
    anomaly = Anomaly.objects.to_settle().get()

    settled = settle_anomaly(anomaly=anomaly, is_credible=True, user=manager)

    assert (settled.status, settled.confidence, settled.settled_by) == (AnomalyStatus.CREDIBLE, 1.0, manager)
    with pytest.raises(AlreadySettled, match="credible already"):
        settle_anomaly(anomaly=anomaly, is_credible=False, user=manager)


def test_each_organisation_weighs_by_its_own_rules(plant, start, other_organization):
    ValidationRule.objects.filter(organization=other_organization).update(adjustment=-1)
    post(plant.sensor, [2.0, 7.2], last_at=start)
    detect_anomalies()
    validate_anomalies()
    assert Anomaly.objects.get().status == AnomalyStatus.CREDIBLE


@pytest.mark.parametrize(
    ("fact", "operator", "value"),
    [("score", "at_least", "much"), ("kind", "below", "limit"), ("good_share", "is", "")],
)
def test_a_rule_that_could_never_be_read_is_refused(organization, fact, operator, value):
    rule = ValidationRule(
        organization=organization,
        name="x",
        fact=fact,
        operator=operator,
        value=value,
        adjustment=0,
        reason="x",
    )
    with pytest.raises(ValidationError, match="number"):
        rule.full_clean()


def test_a_rule_on_a_word_that_nothing_can_be_is_refused(organization):
    rule = ValidationRule(
        organization=organization,
        name="x",
        fact="kind",
        operator="is",
        value="nonsense",
        adjustment=0,
        reason="x",
    )
    with pytest.raises(ValidationError, match="one of limit, profile"):
        rule.full_clean()


@pytest.mark.parametrize(
    ("operator", "known", "expected"),
    [
        (Operator.AT_LEAST, 3.0, True),
        (Operator.AT_LEAST, 2.9, False),
        (Operator.BELOW, 2.9, True),
        (Operator.BELOW, 3.0, False),
        (Operator.IS, 3.0, True),
        (Operator.IS_NOT, 3.0, False),
        (Operator.IS_NOT, None, False),
    ],
)
def test_a_condition_holds_or_not(operator, known, expected):
    rule = Rule("jump_sigmas", operator, read_condition_value("jump_sigmas", operator, "3"), 0.1, "jump")
    assert holds(rule, {"jump_sigmas": known}) is expected


def test_confidence_stays_between_nothing_and_certainty():
    sure = [Rule("kind", Operator.IS, "limit", 0.9, "sure")]
    unsure = [Rule("kind", Operator.IS, "limit", -0.9, "unsure")]
    facts = dict.fromkeys(FACTS) | {"kind": "limit"}
    assert judge(facts, sure, confirmed_before=9, false_before=0).confidence == 1.0
    assert judge(facts, unsure, confirmed_before=0, false_before=9).confidence == 0.0


@pytest.mark.parametrize(
    ("adjustment", "status"),
    [(0.2, "credible"), (0.19, "needs_a_look"), (-0.1, "needs_a_look"), (-0.11, "suspected_false")],
)
def test_the_status_follows_the_confidence(adjustment, status):
    rules = [Rule("kind", Operator.IS, "limit", adjustment, "x")]
    assert judge({"kind": "limit"}, rules, confirmed_before=0, false_before=0).status == status


def test_one_sensor_that_fails_stops_no_other_of_its_batch(plant, start):
    other = make_sensor(plant.machine, "pump-7/current", unit="A")
    post(plant.sensor, [2.0], last_at=start)
    detect_anomalies()
    DetectorState.objects.update(memory=b"not a memory")
    post_both = [(plant.sensor, 8.0), (other, 5.0)]
    batch = ReadingBatch.objects.get()
    for sensor, value in post_both:
        post(sensor, [value], last_at=start + FIVE)
    others = ReadingBatch.objects.exclude(pk=batch.pk)
    spans = sorted(span for one in others for span in one.spans())
    sensor_ids, first_us, last_us = zip(*spans, strict=True)
    others.update(sensor_ids=sensor_ids, first_us=first_us, last_us=last_us)

    detect_anomalies()

    assert DetectorState.objects.filter(sensor=other).exists()
    waiting = ReadingBatch.objects.pending()
    assert waiting.count() == 2
    assert all(
        f"Sensor {plant.sensor.pk}: " in error for error in waiting.values_list("last_error", flat=True)
    )


def test_history_that_waits_pages_nobody_when_live_readings_overtake_it(plant, start):
    post(plant.sensor, [2.0, 9.0, 2.0], last_at=start, historical=True)
    history = ReadingBatch.objects.get()
    ReadingBatch.objects.update(due_at=clock.now() + timedelta(minutes=1))
    post(plant.sensor, [2.1], last_at=start + FIVE)
    detect_anomalies()
    assert told() == []
    history.refresh_from_db()
    assert history.due_at is not None


def test_detection_does_not_undo_a_judgement_that_came_meanwhile(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    validate_anomalies()
    post(plant.sensor, [8.4], last_at=start + FIVE)
    detect_anomalies()
    anomaly = Anomaly.objects.get()
    assert (anomaly.status, anomaly.peak_value, anomaly.due_at) == (AnomalyStatus.CREDIBLE, 8.4, None)


def test_an_anomaly_that_a_new_detector_knows_nothing_of_is_over_when_another_begins(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    DetectorState.objects.all().delete()
    Anomaly.objects.update(started_at=start + timedelta(minutes=7))
    post(plant.sensor, [8.5], last_at=start + 2 * FIVE)
    detect_anomalies()
    assert Anomaly.objects.open().get().peak_value == 8.5
    assert Anomaly.objects.count() == 2


def test_an_excursion_whose_reading_is_corrected_is_over(plant, start):
    post(plant.sensor, [2.0, 8.0], last_at=start)
    detect_anomalies()
    post(plant.sensor, [2.0], last_at=start)
    detect_anomalies()
    anomaly = Anomaly.objects.get()
    assert anomaly.ended_at == start
    assert told() == [("limit", "H", 8.0, start)]


def test_readings_that_are_sent_again_beside_a_new_one_are_not_late(plant, start):
    for minute in range(0, 30, 5):
        at = start + timedelta(minutes=minute)
        post(plant.sensor, [2.0, 2.0, 2.0], last_at=at)
        detect_anomalies()
    batch = ReadingBatch.objects.latest("id")
    assert (batch.received, batch.inserted, batch.unchanged) == (3, 1, 2)
    assert batch.first_us == batch.last_us
    state = DetectorState.objects.get()
    assert (state.has_late, state.rescored_at) == (False, None)


def test_an_hour_whose_readings_turn_out_bad_has_no_rollup(plant, start):
    post(plant.sensor, [2.0], last_at=start)
    detect_anomalies()
    assert HourlyRollup.objects.count() == 1
    post(plant.sensor, [2.0], last_at=start, quality=2)
    detect_anomalies()
    assert HourlyRollup.objects.count() == 0
