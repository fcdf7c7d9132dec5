"""From a credible anomaly to the alarm that people handle: one per machine and failure mode."""

from datetime import timedelta

from django.db import IntegrityError, transaction

from equipment.models import FailureMode
from sensors.alarms.severity import is_worse, severity_of, worse_of
from sensors.alarms.states import SET_ASIDE, Condition, Event, State, next_state
from sensors.models import Alarm, AlarmCause, Anomaly, AnomalyStatus, EntryKind, Limit
from sensors.services.alarms.moving import lock_open_alarm, move, write_entry
from sensors.services.alarms.suppressing import suppressed_machines
from sensors.services.alarms.telling import tell_of_annunciation
from sensors.services.event_counts import count_of
from sensors.unit_signs import with_unit
from sensors.wording import expectation_of, interval_in_words, pattern_in_words, silence_in_words
from smartmaint import clock

PAST_AFTER = timedelta(hours=1)
INSTRUMENT = "AIR"
"""Abnormal instrument reading: the failure mode of a sensor from which nothing comes."""


@transaction.atomic
def raise_alarm(*, anomaly: Anomaly) -> Alarm | None:
    """Put a credible anomaly behind the alarm of its machine and failure mode; doing it again changes nothing.

    None for one that is not credible, and for one that was over when a person settled it, or for an hour when it became
    credible: nobody has to do anything.
    """
    if anomaly.status != AnomalyStatus.CREDIBLE or _is_past(anomaly):
        return None
    equipment, failure_mode = anomaly.sensor.equipment, failure_mode_of(anomaly)
    while True:
        alarm = lock_open_alarm(equipment, failure_mode)
        if alarm is not None:
            _join(alarm, anomaly)
            return alarm
        try:
            with transaction.atomic():
                return _open(anomaly, failure_mode)
        except IntegrityError as error:
            if "alarm_open_once" not in str(error):
                raise
            # Another worker was quicker: join its alarm.


def _is_past(anomaly: Anomaly) -> bool:
    if anomaly.ended_at is None:
        return False
    return anomaly.settled_by_id is not None or anomaly.ended_at < clock.now() - PAST_AFTER


def failure_mode_of(anomaly: Anomaly) -> FailureMode:
    """What the passed limit tells of; else what the limit on the same side does; else unknown.

    So a drift towards a limit and passing it are one alarm. Silence tells of the instrument.
    """
    if anomaly.limit is not None:
        return anomaly.limit.failure_mode
    if anomaly.kind == Anomaly.Kind.NO_DATA:
        return _mode_for_all(anomaly, INSTRUMENT) or FailureMode.objects.unknown_of(anomaly.organization_id)
    on_that_side = [
        limit for limit in _limits(anomaly) if limit.direction == anomaly.direction and limit.is_active
    ]
    nearest = min(
        on_that_side, key=lambda limit: abs(limit.value - (anomaly.expected_value or 0.0)), default=None
    )
    return (
        nearest.failure_mode
        if nearest is not None
        else FailureMode.objects.unknown_of(anomaly.organization_id)
    )


def _limits(anomaly: Anomaly) -> list[Limit]:
    return list(Limit.objects.filter(sensor=anomaly.sensor_id).select_related("failure_mode", "sensor"))


def _mode_for_all(anomaly: Anomaly, code: str) -> FailureMode | None:
    modes = FailureMode.objects.filter(organization=anomaly.organization_id, equipment_class=None)
    return modes.filter(code=code).first()


def _open(anomaly: Anomaly, failure_mode: FailureMode) -> Alarm:
    equipment, now = anomaly.sensor.equipment, clock.now()
    is_suppressed = equipment.pk in suppressed_machines(anomaly.organization)
    state = next_state(State.NORMAL, Event.RAISED, Condition(is_active=True, is_suppressed=is_suppressed))
    alarm = Alarm(
        organization_id=anomaly.organization_id,
        equipment=equipment,
        failure_mode=failure_mode,
        state=state.value,
        severity=_severity(anomaly),
        summary=summary_of(anomaly),
        is_latching=_is_latching(anomaly),
        raised_at=now,
        abnormal_since=now,
        annunciated_at=None if is_suppressed else now,
        unanswered_since=None if is_suppressed else now,
    )
    alarm.save()
    _add_cause(alarm, anomaly)
    entry = write_entry(
        alarm,
        EntryKind.RAISED,
        before=State.NORMAL,
        comment=alarm.summary,
        is_annunciation=not is_suppressed,
    )
    tell_of_annunciation(alarm, entry)
    return alarm


def _join(alarm: Alarm, anomaly: Anomaly) -> None:
    """Let an open alarm know of an anomaly: another one, the same again, or the same and worse."""
    is_another = _names_no_fault(alarm.failure_mode) and not _has_shown(anomaly.sensor_id, alarm)
    is_new, severity = _add_cause(alarm, anomaly), _severity(anomaly)
    has_worsened = is_worse(severity, than=alarm.severity)
    is_again = not alarm.is_active
    if not (is_new or has_worsened or is_again):
        return
    alarm.severity = worse_of(severity, alarm.severity)
    alarm.summary = summary_of(anomaly)
    alarm.is_latching = alarm.is_latching or _is_latching(anomaly)
    alarm.note_abnormal()
    event = Event.WORSENED if has_worsened else Event.RAISED
    is_shelved = alarm.state == State.SHELVED
    if alarm.state in SET_ASIDE and not has_worsened and not (is_shelved and is_another):
        alarm.save()  # it comes and goes without a line in its journal, which would never end
        return
    entry = move(
        alarm,
        event,
        is_suppressed=alarm.equipment_id in suppressed_machines(alarm.organization),
        is_another=is_another,
        comment=alarm.summary,
    )
    tell_of_annunciation(alarm, entry)


def _names_no_fault(failure_mode: FailureMode) -> bool:
    """Whether what several sensors show may be several faults."""
    return failure_mode.is_unknown or failure_mode.code == INSTRUMENT


def _has_shown(sensor_id: int, alarm: Alarm) -> bool:
    return alarm.anomalies.filter(sensor=sensor_id).exists()


def _add_cause(alarm: Alarm, anomaly: Anomaly) -> bool:
    _, is_new = AlarmCause.objects.get_or_create(
        alarm=alarm, anomaly=anomaly, defaults={"organization_id": alarm.organization_id}
    )
    return is_new


def _severity(anomaly: Anomaly) -> str:
    return severity_of(
        kind=anomaly.kind, level=anomaly.level, criticality=anomaly.sensor.equipment.criticality
    )


def _is_latching(anomaly: Anomaly) -> bool:
    return anomaly.limit is not None and anomaly.limit.is_latching


def summary_of(anomaly: Anomaly) -> str:
    """What was noticed, in one line."""
    sensor = anomaly.sensor
    if anomaly.kind == Anomaly.Kind.NO_DATA:
        return f"{sensor.key}: {silence_in_words(anomaly)}"[:300]
    if (count := count_of(anomaly)) is not None:
        rule, within = count.rule, interval_in_words(count.rule.window.total_seconds())
        if rule.times == 1 == anomaly.peak_value:
            return f"{rule.name}: an event"[:300]
        words = f"{anomaly.peak_value:,.0f} events within {within}"
        return f"{rule.name}: {words}{f', too many from {rule.times:,} on' if rule.times > 1 else ''}"[:300]
    value = with_unit(anomaly.peak_value, sensor.unit)
    if anomaly.limit is not None:
        bound = with_unit(anomaly.expected_value, sensor.unit)
        level = anomaly.limit.get_level_display()
        return f"{sensor.key}: {value}, beyond its {level} limit of {bound}"[:300]
    usual = with_unit(anomaly.expected_value, sensor.unit)
    return f"{sensor.key}: {value}, {pattern_in_words(anomaly)} ({expectation_of(anomaly)} {usual})"[:300]
