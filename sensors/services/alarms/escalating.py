"""Escalation: when nobody acknowledges an alarm in the stated time, the next role is told."""

from collections import defaultdict
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from sensors.alarms.states import State
from sensors.models import Alarm, AlarmEntry, AlarmFlood, AlarmPolicy, EntryKind
from sensors.services.alarms.moving import write_entry
from sensors.services.alarms.telling import AUDIENCES, audience, policy_of, tell_of_escalation
from smartmaint import clock
from smartmaint.accounts.models import Organization, User
from smartmaint.notifications.models import Severity
from smartmaint.work import Tally

MOST = len(AUDIENCES) - 1


def escalate_alarms(organization: Organization | None = None) -> Tally:
    """Tell the next role of each alarm that stands unacknowledged for longer than its severity allows."""
    waiting: dict[int, list[Alarm]] = defaultdict(list)
    # While alarms come in floods nobody is told of a single one, but of what is critical.
    in_flood = AlarmFlood.objects.filter(organization=OuterRef("organization"), ended_at__isnull=True)
    alarms = Alarm.objects.filter(
        ~Exists(in_flood) | Q(severity=Severity.CRITICAL),
        state=State.UNACKNOWLEDGED,
        escalations__lt=MOST,
        unanswered_since__isnull=False,
    )
    if organization is None:
        # Nobody is there to be told of the others', such as those of a past that is lived again.
        alarms = alarms.filter(organization__is_active=True)
    else:
        alarms = alarms.for_organization(organization)
    for alarm in alarms.order_by("organization", "pk"):
        waiting[alarm.organization_id].append(alarm)
    owners = Organization.objects.in_bulk(waiting)
    settled = 0
    for key, standing in waiting.items():
        policy = policy_of(owners[key])
        # Looked at before anything is locked: most wait for nobody, and people are at work on them.
        if due := [alarm.pk for alarm in standing if _is_due(alarm, policy)]:
            settled += _escalate(owners[key], due, policy)
    return Tally(settled=settled)


@transaction.atomic
def _escalate(organization: Organization, alarm_ids: list[int], policy: AlarmPolicy) -> int:
    locked = (
        Alarm.objects.filter(pk__in=alarm_ids, state=State.UNACKNOWLEDGED, escalations__lt=MOST)
        .select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("equipment", "failure_mode", "organization")
        .order_by("pk")
    )
    due = [alarm for alarm in locked if _is_due(alarm, policy)]
    by_rank: dict[int, list[tuple[Alarm, AlarmEntry]]] = defaultdict(list)
    people_of: dict[int, list[User]] = {}
    next_of = {escalations: _next_role(organization, escalations) for escalations in range(MOST)}
    for alarm in due:
        rank, people = next_of[alarm.escalations]
        alarm.escalations, alarm.escalated_at, people_of[rank] = rank, clock.now(), people
        alarm.save(update_fields=["escalations", "escalated_at"])
        to_whom = f"to the {AUDIENCES[rank].label.lower()}s" if people else "there is nobody else to tell"
        by_rank[rank].append((alarm, write_entry(alarm, EntryKind.ESCALATED, comment=to_whom)))
    for rank, alarms in by_rank.items():
        if people_of[rank]:
            tell_of_escalation(organization, alarms, people_of[rank])
    return len(due)


def _next_role(organization: Organization, escalations: int) -> tuple[int, list[User]]:
    """The role behind the one that was told last, which may be another than the first where that has nobody."""
    told, _ = audience(organization, escalations=escalations)
    return audience(organization, escalations=told + 1)


def _is_due(alarm: Alarm, policy: AlarmPolicy) -> bool:
    """The time runs anew for each role."""
    minutes = {
        "critical": policy.escalate_critical_min,
        "major": policy.escalate_major_min,
        "minor": policy.escalate_minor_min,
    }.get(alarm.severity)
    if minutes is None:
        return False
    return (alarm.escalated_at or alarm.unanswered_since) + timedelta(minutes=minutes) <= clock.now()
