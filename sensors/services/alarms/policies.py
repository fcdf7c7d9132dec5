"""An organisation's choices about its alarms."""

from sensors.models import AlarmPolicy
from smartmaint.accounts.models import Organization


def seed_alarm_policy(organization: Organization) -> None:
    """Give an organisation the usual choices."""
    AlarmPolicy.objects.get_or_create(organization=organization)
