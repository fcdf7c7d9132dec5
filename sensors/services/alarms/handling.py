"""What people do with alarms. Who may do what is the pages' affair; whether it can be done is the table's."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from sensors.alarms.states import Event, State
from sensors.models import Alarm, EntryKind
from sensors.services.alarms.moving import AlarmRefused, lock_alarm, move, write_entry
from sensors.services.alarms.suppressing import suppressed_machines
from sensors.services.alarms.telling import policy_of, tell_of_annunciation
from smartmaint import clock
from smartmaint.accounts.models import Membership, Organization, Role, User
from smartmaint.notifications.models import Severity
from smartmaint.notifications.services.telling import notify


@transaction.atomic
def acknowledge_alarm(*, alarm: Alarm, by: User, comment: str = "") -> Alarm:
    """Say that somebody has seen it and takes care; raises AlarmRefused where there is nothing to acknowledge."""
    locked = lock_alarm(alarm)
    if locked.state in (State.ACKNOWLEDGED, State.LATCHED_ACKNOWLEDGED):
        raise AlarmRefused(f"{locked.acknowledged_by.display_name} acknowledged it already.")
    move(locked, Event.ACKNOWLEDGED, by=by, comment=comment.strip())
    return locked


@transaction.atomic
def reset_alarm(*, alarm: Alarm, by: User) -> Alarm:
    """Let go of a latched alarm whose condition has gone; raises AlarmRefused."""
    locked = lock_alarm(alarm)
    move(locked, Event.RESET, by=by)
    return locked


@transaction.atomic
def shelve_alarm(*, alarm: Alarm, by: User, hours: float, comment: str = "") -> Alarm:
    """Put an alarm out of the way for a stated time, then it comes back by itself; raises AlarmRefused."""
    locked = lock_alarm(alarm)
    longest = policy_of(locked.organization).longest_shelving_h
    if not 0 < hours <= longest:
        raise AlarmRefused(f"An alarm is shelved for more than 0 and at most {longest} hours.")
    until = clock.now() + timedelta(hours=hours)
    move(locked, Event.SHELVED, by=by, comment=comment.strip(), shelved_until=until)
    return locked


@transaction.atomic
def unshelve_alarm(*, alarm: Alarm, by: User) -> Alarm:
    """Take an alarm back before its time; raises AlarmRefused unless it is shelved."""
    return _take_back(alarm, Event.UNSHELVED, by)


@transaction.atomic
def take_out_of_service(*, alarm: Alarm, by: User, reason: str) -> Alarm:
    """Switch an alarm off until somebody puts it back, say for a broken sensor; raises AlarmRefused."""
    if not reason.strip():
        raise AlarmRefused("Say why: those who wonder later will read it.")
    locked = lock_alarm(alarm)
    move(locked, Event.TAKEN_OUT, by=by, comment=reason.strip())
    return locked


@transaction.atomic
def put_back_into_service(*, alarm: Alarm, by: User) -> Alarm:
    """Let an alarm call people again; raises AlarmRefused unless it is out of service."""
    return _take_back(alarm, Event.PUT_BACK, by)


def _take_back(alarm: Alarm, event: Event, by: User) -> Alarm:
    locked = lock_alarm(alarm)
    is_suppressed = locked.equipment_id in suppressed_machines(locked.organization)
    tell_of_annunciation(locked, move(locked, event, by=by, is_suppressed=is_suppressed))
    return locked


@transaction.atomic
def comment_alarm(*, alarm: Alarm, by: User, comment: str) -> Alarm:
    """Write a line into its journal; raises AlarmRefused for an empty one."""
    if not comment.strip():
        raise AlarmRefused("Write something.")
    locked = lock_alarm(alarm)
    write_entry(locked, EntryKind.COMMENT, by=by, comment=comment.strip())
    return locked


@transaction.atomic
def assign_alarm(*, alarm: Alarm, by: User, assignee: User | None) -> Alarm:
    """Give an open alarm to somebody, who is told, or to nobody; raises AlarmRefused for who cannot handle alarms."""
    locked = lock_alarm(alarm)
    if locked.state == State.NORMAL:
        raise AlarmRefused("It is over.")
    if assignee is not None and not people_who_handle(locked.organization).filter(pk=assignee.pk).exists():
        raise AlarmRefused(f"{assignee.display_name} does not handle alarms here.")
    if locked.assigned_to_id == (assignee and assignee.pk):
        return locked
    locked.assigned_to = assignee
    locked.save(update_fields=["assigned_to"])
    to_whom = "to nobody" if assignee is None else f"to {assignee.display_name}"
    entry = write_entry(locked, EntryKind.ASSIGNED, by=by, comment=to_whom)
    if assignee is not None and assignee != by:
        notify(
            organization=locked.organization,
            recipients=[assignee],
            key=f"alarm {locked.pk} entry {entry.pk}",
            severity=Severity(locked.severity),
            subject=f"Yours: {locked.equipment}: {locked.what}",
            body=f"{by.display_name} gave you this alarm. {locked.summary}",
            link=locked.get_absolute_url(),
            about=str(locked.equipment),
            is_personal=True,
        )
    return locked


def people_who_handle(organization: Organization) -> QuerySet[User]:
    """Members who may acknowledge, shelve and comment: technicians and those above them."""
    roles = [role for role in Role if role.includes(Role.TECHNICIAN)]
    members = Membership.objects.for_organization(organization).filter(role__in=roles, is_active=True)
    return User.objects.filter(pk__in=members.values("user"), is_active=True).order_by(
        "last_name", "first_name", "username"
    )
