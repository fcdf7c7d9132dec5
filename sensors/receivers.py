"""Reactions of sensors to signals: those of other apps, and what alarms make of a judgement."""

from django.dispatch import receiver

from sensors.models import Anomaly
from sensors.services.alarms.policies import seed_alarm_policy
from sensors.services.alarms.raising import raise_alarm
from sensors.services.metering import copy_allowance
from sensors.services.naming import copy_sensor_naming
from sensors.services.policies import seed_ingest_policy
from sensors.services.rules import seed_validation_rules
from sensors.signals import anomaly_validated
from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.accounts.signals import api_key_succeeded, organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_validation_rules(organization)
    seed_ingest_policy(organization)
    seed_alarm_policy(organization)


@receiver(api_key_succeeded)
def on_api_key_succeeded(sender: object, *, old: ApiKey, new: ApiKey, **kwargs: object) -> None:
    copy_allowance(old=old, new=new)
    copy_sensor_naming(old=old, new=new)


@receiver(anomaly_validated)
def on_anomaly_validated(sender: object, *, anomaly: Anomaly, **kwargs: object) -> None:
    raise_alarm(anomaly=anomaly)
