"""What happens to alarms by itself: their condition goes, their time on the shelf ends, work begins and is done.

Whatever ends an anomaly (readings, a repair, a sensor that is switched off), the alarm follows what stands in the rows:
a step that was missed is made up for by the next look.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet

from sensors.alarms.flood import WINDOW, ends_flood
from sensors.alarms.states import ANNUNCIATED, SET_ASIDE, Event, State
from sensors.models import Alarm, AlarmCause, AlarmFlood, Anomaly, AnomalyStatus
from sensors.services.alarms.moving import move
from sensors.services.alarms.raising import raise_alarm
from sensors.services.alarms.suppressing import suppressed_machines
from sensors.services.alarms.telling import (
    alarms_not_told,
    count_calling,
    policy_of,
    tell_late,
    tell_of_annunciation,
    tell_that_flood_is_over,
)
from sensors.services.noticing import end_excursions_of_switched_off
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.work import Tally

log = structlog.get_logger(__name__)

# While one is judged anew, because a further limit was passed, nothing is known that would end its alarm.
STANDING = (AnomalyStatus.CREDIBLE, AnomalyStatus.DETECTED)


def watch_alarms(organization: Organization | None = None) -> Tally:
    """Bring the alarms (of one organisation, or of all) up to what is the case now."""
    end_excursions_of_switched_off(organization)
    tally = Tally()
    for anomaly in _without_alarm(organization):
        tally += _alone(partial(raise_alarm, anomaly=anomaly), anomaly=anomaly.pk)
    suppressed = suppressed_machines(organization)
    for alarm_id in _to_look_at(organization, suppressed):
        tally += _alone(partial(_follow, alarm_id, suppressed), alarm=alarm_id)
    for alarm_id in list(alarms_not_told(organization).order_by("pk").values_list("pk", flat=True)):
        tally += _alone(partial(_tell_late, alarm_id), alarm=alarm_id)
    for flood in _floods(organization):
        tally += _alone(partial(_end_flood, flood), flood=flood.pk)
    return tally


def _alone(step: Callable[[], object], **row: int) -> Tally:
    """One row's step, so that a row with which it fails stops no other."""
    try:
        return Tally(settled=int(bool(step())))
    except Exception:
        log.exception("alarm_not_followed", **row)
        return Tally(failed=1)


def _standing() -> QuerySet[AlarmCause]:
    return AlarmCause.objects.filter(
        alarm=OuterRef("pk"), anomaly__ended_at__isnull=True, anomaly__status__in=STANDING
    )


def _without_alarm(organization: Organization | None) -> list[Anomaly]:
    """Credible anomalies that go on and that no open alarm stands for: of before an update, or opened again."""
    has_alarm = AlarmCause.objects.filter(anomaly=OuterRef("pk")).exclude(alarm__state=State.NORMAL)
    anomalies = Anomaly.objects.for_one_or_all(organization).open()
    return list(
        anomalies.filter(~Exists(has_alarm), status=AnomalyStatus.CREDIBLE)
        .select_related("sensor__equipment", "limit__failure_mode", "limit__sensor", "organization")
        .order_by("id")[:500]
    )


def _to_look_at(organization: Organization | None, suppressed: set[int]) -> list[int]:
    """Open alarms that are not as they should be, in the order of their keys."""
    alarms = Alarm.objects.for_one_or_all(organization).open()
    is_worked_on = Q(equipment__in=suppressed)
    return list(
        alarms.annotate(stands=Exists(_standing()))
        .filter(
            ~Q(is_active=F("stands"))
            | Q(state=State.SHELVED, shelved_until__lte=clock.now())
            | (Q(state__in=ANNUNCIATED) & is_worked_on)
            | (Q(state=State.SUPPRESSED_BY_DESIGN) & ~is_worked_on)
        )
        .order_by("pk")
        .values_list("pk", flat=True)
    )


@transaction.atomic
def _follow(alarm_id: int, suppressed: set[int]) -> bool:
    alarm = _locked(alarm_id)
    if alarm is None:
        return False
    is_suppressed = alarm.equipment_id in suppressed
    events = list(_events(alarm, is_suppressed=is_suppressed))
    for event in events:
        # What an earlier one of them led to may leave nothing to do for the next.
        if alarm.state in SET_ASIDE and event in (Event.RAISED, Event.RETURNED):
            # It does not show what its condition does, nor does its journal, which would never end.
            alarm.save()
        elif alarm.may(event):
            tell_of_annunciation(alarm, move(alarm, event, is_suppressed=is_suppressed))
    return bool(events)


def _events(alarm: Alarm, *, is_suppressed: bool) -> list[Event]:
    """What has happened to it since the last look. Sets what is known of its condition."""
    events = []
    standing = AlarmCause.objects.filter(
        alarm=alarm, anomaly__ended_at__isnull=True, anomaly__status__in=STANDING
    )
    if alarm.is_active and not standing.exists():
        alarm.is_active, alarm.returned_at = False, _ended_at(alarm)
        events.append(Event.RETURNED)
    elif not alarm.is_active and standing.filter(anomaly__status=AnomalyStatus.CREDIBLE).exists():
        alarm.note_abnormal()
        events.append(Event.RAISED)
    if alarm.state == State.SHELVED and alarm.shelved_until <= clock.now():
        events.append(Event.UNSHELVED)
    if alarm.state == State.SUPPRESSED_BY_DESIGN and not is_suppressed:
        events.append(Event.UNSUPPRESSED)
    elif alarm.state in ANNUNCIATED and is_suppressed:
        events.append(Event.SUPPRESSED)
    return events


def _ended_at(alarm: Alarm) -> datetime:
    """When the last anomaly behind it ended; now, where none ended but is not believed any more."""
    last = AlarmCause.objects.filter(alarm=alarm).aggregate(at=Max("anomaly__ended_at"))["at"]
    return last or clock.now()


@transaction.atomic
def _tell_late(alarm_id: int) -> bool:
    alarm = _locked(alarm_id)
    return alarm is not None and alarm.state == State.UNACKNOWLEDGED and tell_late(alarm)


def _locked(alarm_id: int) -> Alarm | None:
    """An open alarm, held; None for one that somebody is handling right now: it is left for the next look."""
    return (
        Alarm.objects.open()
        .select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("equipment", "failure_mode", "organization")
        .filter(pk=alarm_id)
        .first()
    )


def _floods(organization: Organization | None) -> QuerySet[AlarmFlood]:
    floods = AlarmFlood.objects.for_one_or_all(organization).filter(ended_at__isnull=True)
    return floods.select_related("organization")


@transaction.atomic
def _end_flood(flood: AlarmFlood) -> bool:
    organization, now = flood.organization, clock.now()
    calling = count_calling(organization, after=now - WINDOW, until=now)
    if not ends_flood(calling, flood_from=policy_of(organization).flood_from):
        return False
    locked = (
        AlarmFlood.objects.select_for_update(no_key=True).filter(pk=flood.pk, ended_at__isnull=True).first()
    )
    if locked is None:
        return False
    locked.ended_at = max(now, locked.began_at)
    # With those of the ten minutes that made it one.
    locked.alarms = count_calling(organization, after=locked.began_at - WINDOW, until=locked.ended_at)
    locked.save()
    locked.organization = organization
    tell_that_flood_is_over(locked)
    return True
