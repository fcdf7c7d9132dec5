"""What a person wants to be told."""

from collections.abc import Sequence

from smartmaint.accounts.models import Organization, User
from smartmaint.notifications.models import NotificationPreference


def preference_of(user: User, organization: Organization) -> NotificationPreference:
    """The person's own choice, or the usual one, not saved."""
    own = NotificationPreference.objects.for_organization(organization).filter(user=user)
    return own.first() or NotificationPreference(organization=organization, user=user)


def set_preference(
    *, user: User, organization: Organization, severities: Sequence[str], by_email: bool
) -> NotificationPreference:
    """Keep a person's choice; it holds for what is told from now on."""
    preference, _ = NotificationPreference.objects.update_or_create(
        organization=organization,
        user=user,
        defaults={"severities": list(severities), "by_email": by_email},
    )
    return preference
