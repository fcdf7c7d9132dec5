"""Who is told of an alarm: each annunciation by itself, until there are more than anybody can read."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.urls import reverse

from sensors.alarms.flood import WINDOW, begins_flood
from sensors.alarms.severity import SEVERITIES, is_worse
from sensors.alarms.states import State
from sensors.models import Alarm, AlarmEntry, AlarmFlood, AlarmPolicy
from smartmaint import clock
from smartmaint.accounts.models import Organization, Role, User
from smartmaint.notifications.models import Severity
from smartmaint.notifications.services.telling import notify, people_in_role

# Who is told first, and who when nobody acknowledges.
AUDIENCES = (Role.TECHNICIAN, Role.MANAGER, Role.ADMIN)
REPEATS_AFTER = timedelta(hours=1)
"""An alarm that comes and goes is told again so much later, or when it is worse than what was told."""
LISTED = 10


def policy_of(organization: Organization) -> AlarmPolicy:
    policy, _ = AlarmPolicy.objects.get_or_create(organization=organization)
    return policy


def audience(organization: Organization, *, escalations: int = 0) -> tuple[int, list[User]]:
    """The people of the first role that has any, from the one that so many escalations lead to; and which that is."""
    for rank in range(escalations, len(AUDIENCES)):
        if people := people_in_role(organization, AUDIENCES[rank]):
            return rank, people
    return len(AUDIENCES) - 1, []


def tell_of_annunciation(alarm: Alarm, entry: AlarmEntry) -> None:
    """Tell people that an alarm calls for them, if this line of its journal does. In the caller's transaction."""
    if not entry.is_call:
        return
    organization = alarm.organization
    flood = AlarmFlood.objects.filter(organization=organization, ended_at__isnull=True).first()
    if flood is not None:
        _tell_in_flood(flood, alarm, entry)
        return
    now = clock.now()
    calling = count_calling(organization, after=now - WINDOW, until=now)
    if begins_flood(calling, flood_from=policy_of(organization).flood_from):
        _tell_of_flood(alarm, entry, calling)
    else:
        _tell(alarm, entry)


def count_calling(organization: Organization, *, after: datetime, until: datetime) -> int:
    """How many alarms called people in that time. One that comes and goes is one, as often as it calls."""
    calls = AlarmEntry.objects.for_organization(organization).filter(
        is_annunciation=True, at__gt=after, at__lte=until
    )
    return calls.values("alarm__equipment", "alarm__failure_mode").order_by().distinct().count()


def alarms_not_told(organization: Organization | None = None) -> QuerySet[Alarm]:
    """Those that stand unanswered and of whose last call nobody was told, since it came soon after the one before.

    Of what called in a flood people were told when that was over, unless it is critical.
    """
    told = AlarmEntry.objects.filter(
        alarm=OuterRef("pk"), told_at__isnull=False, at__gte=OuterRef("annunciated_at")
    )
    in_flood = AlarmFlood.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gte=OuterRef("annunciated_at")),
        organization=OuterRef("organization"),
        began_at__lte=OuterRef("annunciated_at"),
    )
    standing = Alarm.objects.for_one_or_all(organization).filter(
        state=State.UNACKNOWLEDGED, annunciated_at__isnull=False
    )
    return standing.filter(~Exists(told)).filter(~Exists(in_flood) | Q(severity=Severity.CRITICAL))


def tell_late(alarm: Alarm) -> bool:
    """Tell people of an alarm that came back and has stood since, once it may be told again; returns whether."""
    lines = alarm.entries.filter(to_state=State.UNACKNOWLEDGED).order_by("-at", "-id")
    call = next((entry for entry in lines if entry.is_call), None)
    return call is not None and _tell(alarm, call)


def _tell(alarm: Alarm, entry: AlarmEntry) -> bool:
    if _was_told_lately(alarm):
        return False
    _, people = audience(alarm.organization)
    _notify_of(alarm, entry, people)
    entry.told_at = clock.now()
    entry.save(update_fields=["told_at"])
    return True


def _notify_of(alarm: Alarm, entry: AlarmEntry, people: list[User], *, why: str = "") -> None:
    """A message of its own, for a line of its journal."""
    notify(
        organization=alarm.organization,
        recipients=people,
        key=f"alarm {alarm.pk} entry {entry.pk}",
        severity=Severity(alarm.severity),
        subject=f"{why}{alarm.equipment}: {alarm.what}",
        body=alarm.summary,
        link=alarm.get_absolute_url(),
        about=str(alarm.equipment),
    )


def _was_told_lately(alarm: Alarm) -> bool:
    """Whether people were told within the hour that this is so, and at least so severe."""
    now = clock.now()
    before = AlarmEntry.objects.filter(
        organization_id=alarm.organization_id,
        alarm__equipment=alarm.equipment_id,
        alarm__failure_mode=alarm.failure_mode_id,
        told_at__gt=now - REPEATS_AFTER,
        told_at__lte=now,
    )
    return any(not is_worse(alarm.severity, than=told) for told in before.values_list("severity", flat=True))


def _tell_in_flood(flood: AlarmFlood, alarm: Alarm, entry: AlarmEntry) -> None:
    """What is critical is told by itself all the same, and what is worse than all that was told."""
    has_worse = is_worse(alarm.severity, than=flood.severity)
    if (has_worse or alarm.severity == Severity.CRITICAL) and _tell(alarm, entry) and has_worse:
        flood.severity = alarm.severity
        flood.save(update_fields=["severity"])


def _tell_of_flood(alarm: Alarm, entry: AlarmEntry, calling: int) -> None:
    """One message for all of them; those of who is told by themselves begin again when the flood is over.

    The flood begins with the alarm that was one too many.
    """
    organization, began_at = alarm.organization, alarm.annunciated_at
    severity = worst_of(organization)
    flood = AlarmFlood(organization=organization, began_at=began_at, alarms=calling, severity=severity)
    AlarmFlood.objects.bulk_create([flood], ignore_conflicts=True)
    flood = AlarmFlood.objects.get(organization=organization, ended_at__isnull=True)
    if flood.began_at != began_at:
        # Another worker found out at the same time, and told of it without this alarm.
        _tell_in_flood(flood, alarm, entry)
        return
    _, people = audience(organization)
    notify(
        organization=organization,
        recipients=people,
        key=f"flood {flood.pk}",
        severity=severity,
        subject=f"Flood of alarms: {calling} in ten minutes",
        body=_list_of(organization)
        + "\n\nUntil there are fewer, only what is critical or worse than these is told by itself: look at the list.",
        link=reverse("alarm-list"),
        about=organization.name,
    )


def tell_that_flood_is_over(flood: AlarmFlood) -> None:
    """How many came, and what is left to do."""
    organization = flood.organization
    waiting = Alarm.objects.for_organization(organization).unanswered().count()
    _, people = audience(organization)
    notify(
        organization=organization,
        recipients=people,
        key=f"flood {flood.pk} over",
        severity=worst_of(organization),
        subject=f"The flood of alarms is over: {flood.alarms} came, {waiting} wait to be acknowledged",
        body=_list_of(organization),
        link=reverse("alarm-list"),
        about=organization.name,
    )


def tell_of_escalation(
    organization: Organization, alarms: list[tuple[Alarm, AlarmEntry]], people: list[User]
) -> None:
    """Tell the next role of alarms that nobody acknowledged: one by one, or of many at once."""
    if len(alarms) <= 3:
        for alarm, entry in alarms:
            _notify_of(alarm, entry, people, why="Nobody acknowledged: ")
        return
    worst = min((alarm.severity for alarm, _ in alarms), key=SEVERITIES.index)
    notify(
        organization=organization,
        recipients=people,
        key=f"escalation entry {alarms[0][1].pk}",
        severity=Severity(worst),
        subject=f"Nobody acknowledged {len(alarms)} alarms",
        body=_lines([alarm for alarm, _ in alarms[:LISTED]], of=len(alarms)),
        link=reverse("alarm-list"),
        about=organization.name,
    )


def worst_of(organization: Organization) -> Severity:
    """The worst severity that waits for somebody."""
    counts = dict(
        Alarm.objects.for_organization(organization)
        .unanswered()
        .values_list("severity")
        .annotate(number=Count("pk"))
        .order_by()
    )
    return Severity(next((severity for severity in SEVERITIES if severity in counts), SEVERITIES[-1]))


def _list_of(organization: Organization) -> str:
    waiting = Alarm.objects.for_organization(organization).unanswered().worst_first()
    return _lines(waiting.select_related("equipment", "failure_mode")[:LISTED], of=waiting.count())


def _lines(alarms: Iterable[Alarm], *, of: int) -> str:
    """The first of so many alarms, a line each, and how many more there are."""
    lines = [f"{alarm.get_severity_display()}: {alarm.equipment}, {alarm.what}" for alarm in alarms]
    return "\n".join([*lines, *([f"and {of - len(lines)} more"] if of > len(lines) else [])])
