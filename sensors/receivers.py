"""Reactions of sensors to the signals of other apps."""

from django.dispatch import receiver

from sensors.services.metering import copy_allowance
from sensors.services.naming import copy_sensor_naming
from sensors.services.policies import seed_ingest_policy
from sensors.services.rules import seed_validation_rules
from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.accounts.signals import api_key_succeeded, organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_validation_rules(organization)
    seed_ingest_policy(organization)


@receiver(api_key_succeeded)
def on_api_key_succeeded(sender: object, *, old: ApiKey, new: ApiKey, **kwargs: object) -> None:
    copy_allowance(old=old, new=new)
    copy_sensor_naming(old=old, new=new)
