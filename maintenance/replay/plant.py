"""The scratch organisation of a replay: its machines and sensors, and the manager who tells what was found."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef

from equipment.models import Equipment, EquipmentClass, FailureMode, Site
from maintenance.models import MaintenancePolicy, ReplayRun
from maintenance.replay.mapping import Mapping, PastUnreadable
from maintenance.replay.past import Past, Series
from maintenance.services.removing import remove_organizations
from sensors.ingest.units import UnknownUnit, unit
from sensors.models import IngestPolicy, Sensor
from sensors.models.ingest import LONGEST_LOOK_BACK_DAYS, LONGEST_RETENTION_DAYS
from sensors.storage import moment
from smartmaint import clock
from smartmaint.accounts.models import Organization, Role, User
from smartmaint.accounts.services import add_member, create_organization
from smartmaint.locks import session_lock

SLUG = "replay-"
LOCK = "replay"
UNITLESS = "1"
# A replay may itself take a day.
SPARE_DAYS = 2


@dataclass(frozen=True)
class ReplayPlant:
    """The rows that a past is told to, by the names that it has for them."""

    organization: Organization
    manager: User
    machines: dict[str, Equipment]
    modes: dict[str, FailureMode]


@contextmanager
def scratch_plant(past: Past, mapping: Mapping, *, keep: bool) -> Iterator[ReplayPlant]:
    """Build the organisation, and take it away again unless it is to be kept.

    It is inactive meanwhile: nobody is let in. What a replay left that was killed goes first.
    """
    remove_leftovers()
    organization = make_scratch(mapping)
    with session_lock(LOCK, organization.pk):
        is_kept = False
        try:
            yield build_plant(organization, past, mapping)
            is_kept = keep
        finally:
            if is_kept:
                IngestPolicy.objects.filter(organization=organization).update(
                    retention_days=LONGEST_RETENTION_DAYS
                )
                Organization.objects.filter(pk=organization.pk).update(is_active=True)
            else:
                remove_organizations([organization])


@transaction.atomic
def make_scratch(mapping: Mapping) -> Organization:
    """An organisation for a replay: inactive, and with a name that nobody else has."""
    word = uuid4().hex[:12]
    organization = create_organization(
        name=f"Replay {word}", slug=f"{SLUG}{word}", time_zone=mapping.zone.key
    )
    organization.is_active = False
    organization.save(update_fields=["is_active"])
    return organization


def remove_leftovers() -> int:
    """Take away what replays left that were killed; returns how many organisations.

    Those of the admin's replays are theirs to take away.
    """
    of_runs = ReplayRun.objects.filter(scratch=OuterRef("pk"))
    leftovers = Organization.objects.filter(~Exists(of_runs), slug__startswith=SLUG, is_active=False)
    removed = 0
    for organization in leftovers:
        with session_lock(LOCK, organization.pk) as is_ours:
            if is_ours:
                remove_organizations([organization])
                removed += 1
    return removed


@transaction.atomic
def build_plant(organization: Organization, past: Past, mapping: Mapping) -> ReplayPlant:
    """The rows that a past is told to; raises PastUnreadable for a unit that is not known."""
    # A past of years ago is old from its first day, and would be taken away by retention.
    age = clock.now() - moment(past.begins_us)
    retention_days = min(max(age.days + SPARE_DAYS, LONGEST_LOOK_BACK_DAYS), LONGEST_RETENTION_DAYS)
    IngestPolicy.objects.filter(organization=organization).update(retention_days=retention_days)
    # Each task is looked at by itself; a budget would hide the later ones of a day.
    MaintenancePolicy.objects.filter(organization=organization).update(daily_budget=None)
    machines = _machines(organization, past)
    for series in past.series:
        _add_sensor(machines[series.machine], series, mapping)
    return ReplayPlant(
        organization=organization,
        manager=add_member(
            organization=organization, role=Role.MANAGER, username=f"{organization.slug}-manager"
        ).user,
        machines=machines,
        modes=_modes(organization, past),
    )


def find_plant(organization: Organization, past: Past) -> ReplayPlant:
    """The same rows of an organisation that was built before."""
    # Classes have modes of their own by the same codes.
    of_every_class = FailureMode.objects.for_organization(organization).filter(equipment_class=None)
    modes = {mode.code: mode for mode in of_every_class}
    return ReplayPlant(
        organization=organization,
        manager=User.objects.get(memberships__organization=organization),
        machines={one.tag: one for one in Equipment.objects.for_organization(organization)},
        modes={name: modes[code] for name, code in _codes_of_modes(past).items()},
    )


def _machines(organization: Organization, past: Past) -> dict[str, Equipment]:
    site = Site.objects.create(organization=organization, name="Plant")
    classes = _classes(organization, past)
    return {
        tag: Equipment.objects.create(
            organization=organization,
            site=site,
            tag=tag,
            name=f"Machine {tag}",
            equipment_class=classes[kind],
            model=kind[:100],
        )
        for tag, kind in past.kinds.items()
    }


def _classes(organization: Organization, past: Past) -> dict[str, EquipmentClass]:
    """A class for each kind of machines; one that the organisation has by that code already is taken."""
    return {
        kind: EquipmentClass.objects.get_or_create(
            organization=organization,
            code=code if kind else "machine",
            defaults={"name": kind[:100] or "Machines"},
        )[0]
        for kind, code in _codes(past.kinds.values()).items()
    }


def _add_sensor(machine: Equipment, series: Series, mapping: Mapping) -> None:
    code = mapping.units.get(series.name, UNITLESS)
    try:
        unit(code)
    except UnknownUnit as error:
        raise PastUnreadable(f"The unit of {series.name!r}: {error}") from error
    steps_s = np.diff(series.ts_us) / 1e6
    Sensor.objects.create(
        organization=machine.organization,
        equipment=machine,
        key=sensor_key(series),
        quantity=series.name[:50],
        unit=code,
        expected_interval_s=float(np.median(steps_s)) if len(steps_s) else 3600.0,
    )


def sensor_key(series: Series) -> str:
    """The key of a sensor is its machine and its column."""
    return f"{series.machine}/{series.name}"


def _modes(organization: Organization, past: Past) -> dict[str, FailureMode]:
    """A failure mode of every class for each word in the past's failures."""
    return {
        name: FailureMode.objects.get_or_create(
            organization=organization,
            equipment_class=None,
            code=code,
            defaults={"name": name[:100] or "Unnamed"},
        )[0]
        for name, code in _codes_of_modes(past).items()
    }


def _codes_of_modes(past: Past) -> dict[str, str]:
    return _codes(one.what for one in past.failures)


def _codes(names: Iterable[str]) -> dict[str, str]:
    """Codes by name; numbered where the name is too long for one."""
    return {
        name: name if 1 <= len(name) <= 10 else f"{name[:7]}{number:03d}"
        for number, name in enumerate(sorted(set(names)))
    }
