"""The one way of an alarm from one state to another: by the table of transitions, with a line in its journal."""

from datetime import datetime
from typing import Any

from equipment.models import Equipment, FailureMode
from sensors.alarms.states import (
    UNANSWERED,
    Condition,
    Event,
    NotPossible,
    State,
    is_annunciation,
    next_state,
)
from sensors.models import Alarm, AlarmEntry, EntryKind
from smartmaint import clock
from smartmaint.accounts.models import User


class AlarmRefused(Exception):
    """What was asked of an alarm cannot be done; the message says why, in words for the person."""


def lock_alarm(alarm: Alarm) -> Alarm:
    """The alarm as it is now, held until the transaction ends: two people at once become one after the other."""
    return _locked().get(pk=alarm.pk)


def lock_open_alarm(equipment: Equipment, failure_mode: FailureMode) -> Alarm | None:
    """The one open alarm of a machine and failure mode, held."""
    return _locked().open().filter(equipment=equipment, failure_mode=failure_mode).first()


def _locked() -> Any:
    return Alarm.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "equipment", "failure_mode", "organization"
    )


def move(
    alarm: Alarm,
    event: Event,
    *,
    is_suppressed: bool = False,
    is_another: bool = False,
    by: User | None = None,
    comment: str = "",
    shelved_until: datetime | None = None,
) -> AlarmEntry:
    """Let an event happen to a locked alarm, save it, and write its journal; raises AlarmRefused.

    `is_active` of the alarm is what is the case once the event has happened.
    """
    before = State(alarm.state)
    condition = Condition(
        is_active=alarm.is_active,
        is_latching=alarm.is_latching,
        is_suppressed=is_suppressed,
        is_another=is_another,
    )
    try:
        after = next_state(before, event, condition)
    except NotPossible as refusal:
        raise AlarmRefused(str(refusal)) from refusal
    now = clock.now()
    alarm.state = after.value
    alarm.shelved_until = (shelved_until or alarm.shelved_until) if after == State.SHELVED else None
    alarm.closed_at = now if after == State.NORMAL else None
    if event == Event.ACKNOWLEDGED:
        alarm.acknowledged_at, alarm.acknowledged_by = now, by
    calls = is_annunciation(before, after)
    if after == State.UNACKNOWLEDGED and (calls or event == Event.WORSENED):
        # Who acknowledged before has not seen this.
        alarm.annunciated_at = now
        if before not in UNANSWERED:
            # One that comes and goes, and that nobody answers, waits since it called first.
            alarm.unanswered_since, alarm.escalations, alarm.escalated_at = now, 0, None
        alarm.acknowledged_at = alarm.acknowledged_by = None
    alarm.save()
    return write_entry(
        alarm, EntryKind(event.value), before=before, by=by, comment=comment, is_annunciation=calls
    )


def write_entry(
    alarm: Alarm,
    kind: EntryKind,
    *,
    before: State | None = None,
    by: User | None = None,
    comment: str = "",
    is_annunciation: bool = False,
) -> AlarmEntry:
    """Add a line to an alarm's journal; without `before` the state stays as it is."""
    return AlarmEntry.objects.create(
        organization_id=alarm.organization_id,
        alarm=alarm,
        kind=kind,
        at=clock.now(),
        by=by,
        from_state=alarm.state if before is None else before.value,
        to_state=alarm.state,
        severity=alarm.severity,
        is_annunciation=is_annunciation,
        comment=comment[:500],
    )
