"""When machines were stopped by plan: what their sensors measured then says nothing of what is normal."""

from collections import defaultdict
from collections.abc import Collection
from itertools import pairwise

from django.db import connection

from equipment.models import PLANNED_STOPS, Equipment
from sensors.storage import microseconds

Stop = tuple[int, int | None]
"""From when to when, in microseconds since 1970; None while it lasts."""

# Each machine with those of itself and of all that it is part of that were ever stopped: mostly none.
_LINES = """
    WITH RECURSIVE line (machine, whole) AS (
        SELECT id, id FROM unnest(%s::bigint[]) AS id
        UNION
        SELECT line.machine, above.parent_id FROM line JOIN equipment_equipment above ON above.id = line.whole
        WHERE above.parent_id IS NOT NULL
    )
    SELECT machine, whole FROM line
    WHERE EXISTS (SELECT FROM equipment_historicalequipment known WHERE known.id = whole AND known.state = ANY(%s))
"""


def planned_stops(machine_ids: Collection[int]) -> dict[int, list[Stop]]:
    """The times in which machines, or what they are part of, were in maintenance or out of service, of those that ever
    were. They may overlap.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LINES, [list(machine_ids), [state.value for state in PLANNED_STOPS]])
        lines = cursor.fetchall()
    own = _stops_of({whole for _, whole in lines}) if lines else {}
    stops: dict[int, list[Stop]] = defaultdict(list)
    for machine, whole in lines:
        stops[machine] += own[whole]
    return dict(stops)


def _stops_of(machine_ids: Collection[int]) -> dict[int, list[Stop]]:
    changes: dict[int, list[tuple[int, bool]]] = {}
    rows = Equipment.history.filter(id__in=machine_ids).order_by("id", "history_date", "history_id")
    for machine_id, at, state in rows.values_list("id", "history_date", "state"):
        changes.setdefault(machine_id, []).append((microseconds(at), state in PLANNED_STOPS))
    return {machine_id: _stops(moves) for machine_id, moves in changes.items()}


def _stops(changes: list[tuple[int, bool]]) -> list[Stop]:
    ended = [*changes, (None, False)]
    return [(since_us, until_us) for (since_us, is_stop), (until_us, _) in pairwise(ended) if is_stop]
