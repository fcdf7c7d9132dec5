"""Telling people: rows in the caller's transaction, so that an event and its messages commit together or not at all."""

from collections.abc import Iterable

from django.db import transaction

from smartmaint import clock
from smartmaint.accounts.models import Membership, Organization, Role, User
from smartmaint.notifications.models import (
    USUAL_SEVERITIES,
    Notification,
    NotificationPreference,
    Severity,
)
from smartmaint.queues import queue_now

LONGEST_SUBJECT = LONGEST_ABOUT = 200


@transaction.atomic
def notify(
    *,
    organization: Organization,
    recipients: Iterable[User],
    key: str,
    severity: Severity,
    subject: str,
    body: str = "",
    link: str = "",
    about: str = "",
    is_personal: bool = False,
) -> None:
    """Tell `recipients` of an event.

    `key` names the event (at most 200 characters): who was told of it is not told again. People who are no active
    members of the organisation are left out, and those who did not choose this severity, unless it is personal: about
    something that was given to them by name.
    """
    people = _members(organization, recipients)
    if not is_personal:
        people = _interested(organization, people, severity)
    messages = [
        Notification(
            organization=organization,
            recipient_id=user_id,
            key=key,
            severity=severity,
            about=about[:LONGEST_ABOUT],
            # One line: it becomes the subject of an e-mail.
            subject=" ".join(subject.split())[:LONGEST_SUBJECT],
            body=body,
            link=link,
            created_at=clock.now(),
            due_at=queue_now(),
        )
        for user_id in people
    ]
    # In the order of their keys, as everybody who writes to more than one person.
    Notification.objects.bulk_create(messages, ignore_conflicts=True)


def people_in_role(organization: Organization, role: Role) -> list[User]:
    """The active members who have exactly that role."""
    members = Membership.objects.for_organization(organization).filter(role=role, is_active=True)
    return [member.user for member in members.filter(user__is_active=True).select_related("user")]


def _members(organization: Organization, recipients: Iterable[User]) -> list[int]:
    """The keys of those who belong here; not asked is whether the organisation is switched on."""
    wanted = {user.pk for user in recipients}
    members = Membership.objects.for_organization(organization).filter(
        user__in=wanted, is_active=True, user__is_active=True
    )
    return sorted(members.values_list("user", flat=True))


def _interested(organization: Organization, people: list[int], severity: Severity) -> list[int]:
    chosen = dict(
        NotificationPreference.objects.for_organization(organization)
        .filter(user__in=people)
        .values_list("user", "severities")
    )
    return [user_id for user_id in people if severity in chosen.get(user_id, USUAL_SEVERITIES)]
