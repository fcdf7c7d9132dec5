"""When machines were stopped by plan: what their sensors measured then says nothing of what is normal."""

from collections.abc import Collection
from itertools import pairwise

from equipment.models import Equipment
from sensors.services.absences import MAY_BE_SILENT
from sensors.storage import microseconds

Stop = tuple[int, int | None]
"""From when to when, in microseconds since 1970; None while it lasts."""


def planned_stops(machine_ids: Collection[int]) -> dict[int, list[Stop]]:
    """The times in which machines were in maintenance or out of service, of those that ever were."""
    history = Equipment.history.filter(id__in=machine_ids)
    stopped = history.filter(state__in=MAY_BE_SILENT).values("id")
    changes: dict[int, list[tuple[int, bool]]] = {}
    rows = history.filter(id__in=stopped).order_by("id", "history_date", "history_id")
    for machine_id, at, state in rows.values_list("id", "history_date", "state"):
        changes.setdefault(machine_id, []).append((microseconds(at), state in MAY_BE_SILENT))
    return {machine_id: _stops(moves) for machine_id, moves in changes.items()}


def _stops(changes: list[tuple[int, bool]]) -> list[Stop]:
    ended = [*changes, (None, False)]
    return [(since_us, until_us) for (since_us, is_stop), (until_us, _) in pairwise(ended) if is_stop]
