"""An organisation's choices about its readings."""

from sensors.models import IngestPolicy
from smartmaint.accounts.models import Organization


def seed_ingest_policy(organization: Organization) -> None:
    """Give an organisation the strict policy: readings of unknown sensors are refused."""
    IngestPolicy.objects.get_or_create(organization=organization)
