"""Whose kept readings these are: one lock and one limit for each key."""

import zlib
from typing import NamedTuple

from django.db import connection

from sensors.models import RejectedReading
from sensors.models.ingest import RejectedReadingQuerySet

_LOCK = "rejected readings of a key"


class Origin(NamedTuple):
    """Whose readings these are; those that a command imports have no key."""

    organization_id: int
    api_key_id: int | None


def origins_of(rejected: RejectedReadingQuerySet) -> list[Origin]:
    """Whose readings these are: organisation and key (None: an import), in one order for all."""
    pairs = rejected.order_by().values_list("organization_id", "api_key_id").distinct()
    return [Origin(*pair) for pair in sorted(pairs, key=lambda pair: (pair[0], pair[1] or 0))]


def lock_rejected(organization_id: int, api_key_id: int | None) -> None:
    """Let nobody else change what is kept of this key until the transaction ends.

    Requests take it after the locks of their sensors, so nobody may wait for a sensor while holding it.
    """
    number = -organization_id if api_key_id is None else api_key_id
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [zlib.crc32(_LOCK.encode()) - 2**31, number % 2**31]
        )


def kept_of(origin: Origin) -> RejectedReadingQuerySet:
    """What is kept of it."""
    if origin.api_key_id is None:
        return RejectedReading.objects.filter(organization=origin.organization_id, api_key=None)
    return RejectedReading.objects.filter(api_key=origin.api_key_id)
