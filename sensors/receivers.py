"""Reactions of sensors to the signals of other apps."""

from django.dispatch import receiver

from sensors.services.judgement import seed_validation_rules
from smartmaint.accounts.models import Organization
from smartmaint.accounts.signals import organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_validation_rules(organization)
