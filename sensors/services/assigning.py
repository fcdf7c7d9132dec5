"""The inbox of unknown sensors: telling whose readings they are."""

import re

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models.functions import Lower

from equipment.models import Equipment
from sensors import storage
from sensors.ingest.units import UnknownUnit, unit
from sensors.models import Sensor, SensorAlias, UnknownSensor
from sensors.services.inbox import kept_for
from sensors.services.replaying import ReplayReport, replay_rejected
from smartmaint.accounts.models import User

# Between what gateways part their names with; a hyphen belongs to a tag.
_PART = re.compile(r"[^/.:,;|\s]+")
REPLAYED_AT_ONCE = 10_000
"""Kept readings that are stored while the person who assigns waits for the page."""
GUESSED_FROM = 1_000


class AssignmentRefused(Exception):
    """The sensor cannot be assigned; the text says why, for people."""


def assign_unknown_sensor(*, unknown: UnknownSensor, sensor: Sensor, by: User | None) -> ReplayReport | None:
    """Let a key's readings belong to `sensor`, a stored one or a new one that is saved here, and store what waits.

    Where the sensor's own key is another, the unknown one becomes an alias of it. The line of the inbox goes. Returns
    what became of the kept readings, or None where more than `REPLAYED_AT_ONCE` wait: they are to be replayed. Raises
    AssignmentRefused.
    """
    _assign(unknown, sensor)
    # The assignment is committed by now: a replay waits for sensors, and nobody may wait for it meanwhile.
    kept = kept_for(unknown)
    return replay_rejected(kept, by=by) if kept.count() <= REPLAYED_AT_ONCE else None


@transaction.atomic
def _assign(unknown: UnknownSensor, sensor: Sensor) -> None:
    if not UnknownSensor.objects.select_for_update().filter(pk=unknown.pk).exists():
        raise AssignmentRefused("Somebody else has assigned or forgotten it meanwhile.")
    if sensor._state.adding:
        try:
            with transaction.atomic():
                sensor.save()
        except IntegrityError as error:
            raise AssignmentRefused(f"There is a sensor {sensor.key} already.") from error
    if sensor.key != unknown.key:
        _add_alias(unknown, sensor)
    UnknownSensor.objects.filter(pk=unknown.pk).delete()


def _add_alias(unknown: UnknownSensor, sensor: Sensor) -> None:
    of_organization = Sensor.objects.filter(organization=unknown.organization_id)
    if of_organization.active().filter(key=unknown.key).exists():
        raise AssignmentRefused(f"There is a sensor {unknown.key} itself now: store the readings for it.")
    # An alias that led to a sensor which is out of use leads to this one from now on.
    SensorAlias.objects.update_or_create(
        organization_id=unknown.organization_id, key=unknown.key, defaults={"sensor": sensor}
    )


def sensor_of(unknown: UnknownSensor) -> Sensor | None:
    """The sensor that has this key by now, as its own or as an alias."""
    active = Sensor.objects.filter(organization=unknown.organization_id).active()
    return active.filter(key=unknown.key).first() or active.filter(aliases__key=unknown.key).first()


def machine_named_in(unknown: UnknownSensor) -> Equipment | None:
    """The machine whose tag is a part of the key, as P-7 of "hall/P-7/temperature"; None where none or several are."""
    parts = [part.lower() for part in _PART.findall(unknown.key)]
    machines = Equipment.objects.for_organization(unknown.organization).annotate(lower_tag=Lower("tag"))
    named = list(machines.filter(lower_tag__in=parts)[:2])
    return named[0] if len(named) == 1 else None


def suggest_sensor(unknown: UnknownSensor) -> Sensor:
    """A new sensor, not saved, with what can be told from its key (the machine) and the readings that came: unit,
    quantity, expected interval.
    """
    suggested = Sensor(
        organization_id=unknown.organization_id, key=unknown.key, equipment=machine_named_in(unknown)
    )
    try:
        suggested.quantity = unit(unknown.unit).dimension
        suggested.unit = unknown.unit
    except UnknownUnit:
        pass  # sent without a unit, or in one that no sensor can have
    interval_s = _usual_interval_s(unknown)
    if interval_s is not None:
        suggested.expected_interval_s = interval_s
    return suggested


def _usual_interval_s(unknown: UnknownSensor) -> float | None:
    """The median time between the newest kept readings, to three digits; None where there are too few to tell."""
    newest = kept_for(unknown).order_by("-ts").values_list("ts", flat=True)[:GUESSED_FROM]
    moments = np.unique([storage.microseconds(ts) for ts in newest])
    if len(moments) < 3:
        return None
    return max(float(f"{np.median(np.diff(moments)) / 1e6:.3g}"), 0.001)
