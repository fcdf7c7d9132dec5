"""Deleting what was kept of readings that were not stored, by a person's choice."""

from django.db import transaction

from sensors.models import RejectedReading, UnknownSensor
from sensors.models.ingest import RejectedReadingQuerySet
from sensors.services.inbox import kept_for
from sensors.services.origins import lock_rejected, origins_of


def forget_rejected(rejected: RejectedReadingQuerySet) -> int:
    """Delete kept readings, held ones too; returns how many."""
    forgotten = 0
    for organization_id, api_key_id in origins_of(rejected):
        with transaction.atomic():
            lock_rejected(organization_id, api_key_id)
            of_key = rejected.filter(organization=organization_id, api_key=api_key_id).values("pk")
            forgotten += RejectedReading.objects.filter(
                pk__in=list(of_key.values_list("pk", flat=True))
            ).delete()[0]
    return forgotten


def forget_unknown_sensor(unknown: UnknownSensor) -> int:
    """Delete a line of the inbox with what is kept for it, until its sender comes again; returns how many readings.

    The line stays where its sender came again meanwhile.
    """
    forgotten = forget_rejected(kept_for(unknown))
    with transaction.atomic():
        line = UnknownSensor.objects.select_for_update(of=("self",)).filter(pk=unknown.pk).first()
        if line is not None and not kept_for(line).exists():
            line.delete()
    return forgotten
