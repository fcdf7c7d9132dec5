"""Reactions of equipment to the signals of other apps."""

from django.dispatch import receiver

from equipment.services import copy_key_restrictions, seed_failure_modes
from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.accounts.signals import api_key_succeeded, organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_failure_modes(organization)


@receiver(api_key_succeeded)
def on_api_key_succeeded(sender: object, *, old: ApiKey, new: ApiKey, **kwargs: object) -> None:
    copy_key_restrictions(old=old, new=new)
