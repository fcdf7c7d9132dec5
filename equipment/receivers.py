"""Reactions of equipment to the signals of other apps."""

from django.dispatch import receiver

from equipment.services import seed_failure_modes
from smartmaint.accounts.models import Organization
from smartmaint.accounts.signals import organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_failure_modes(organization)
