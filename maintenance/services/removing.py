"""An organisation is taken away whole: a demo that was cut short, or what a replay made."""

from collections.abc import Collection

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model

from sensors.models import DailyRollup, FiveMinuteRollup, HourlyRollup, KeyMeter, Reading, Sensor
from smartmaint.accounts.models import Membership, Organization, User


@transaction.atomic
def remove_organizations(organizations: Collection[Organization]) -> None:
    """Delete organisations with all their rows and the people who belong to no other.

    The ledger and the logs let their rows go only in a transaction that says so. Foreign keys are checked at its end,
    so the order does not matter.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL smartmaint.purging = 'on'")
        # On half-compressed chunks TimescaleDB's DELETE misses rows that a bitmap scan finds.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    members = set(Membership.objects.filter(organization__in=organizations).values_list("user", flat=True))
    elsewhere = Membership.objects.exclude(organization__in=organizations).values("user")
    sensors = list(Sensor.objects.filter(organization__in=organizations).values_list("pk", flat=True))
    for rows in (Reading, FiveMinuteRollup, HourlyRollup, DailyRollup):
        _delete(rows, sensor_id__in=sensors)
    _delete(KeyMeter, api_key__organization__in=organizations)
    for model in apps.get_models():
        if any(field.name == "organization" for field in model._meta.fields):
            _delete(model, organization__in=organizations)
    User.objects.filter(pk__in=members).exclude(pk__in=elsewhere).exclude(is_superuser=True).delete()
    _delete(Organization, pk__in=[organization.pk for organization in organizations])


def _delete(model: type[Model], **which: object) -> None:
    """Delete by one statement, past the protections that the models keep for one another."""
    model._base_manager.filter(**which)._raw_delete(using="default")
