"""What the pages say of machines: the tree, each machine's state of affairs, its newest predictions. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Prefetch

from equipment.models import Equipment, Site
from maintenance.health import health_by_machine
from maintenance.models import MaintenanceTask
from predictions.models import Prediction
from predictions.services.newest import last_words
from sensors.models import Anomaly, Limit, Sensor, SensorLatest
from sensors.models.sensors import LimitQuerySet, SensorQuerySet
from smartmaint.accounts.models import Organization

UNKNOWN_HEALTH = (None, "unknown")


@dataclass(frozen=True)
class TreeRow:
    """A machine in the tree; `is_match` is False for one that only leads to what was searched for."""

    machine: Equipment
    depth: int
    is_match: bool = True


@dataclass(frozen=True)
class MachineRow:
    """A machine in the list: what is known of it now."""

    node: TreeRow
    sensor_count: int
    open_tasks: int
    newest_reading_at: datetime | None
    worst: Prediction | None
    health: int | None
    health_level: str


def tree_rows(organization: Organization, *, site: Site | None = None, search: str = "") -> list[TreeRow]:
    """The tree in reading order, cut down to machines that match and those above them."""
    machines = list(
        Equipment.objects.for_organization(organization).select_related("site", "equipment_class")
    )
    by_key = {machine.pk: machine for machine in machines}
    matches = {machine.pk for machine in machines if _matches(machine, site, search.casefold())}
    kept = {above for key in matches for above in _way_up(by_key, key)}
    children: dict[int | None, list[Equipment]] = defaultdict(list)
    for machine in machines:
        if machine.pk in kept:
            children[machine.parent_id].append(machine)
    return list(_walk(children, matches))


def _matches(machine: Equipment, site: Site | None, search: str) -> bool:
    if site is not None and machine.site_id != site.pk:
        return False
    return search in machine.tag.casefold() or search in machine.name.casefold()


def _way_up(by_key: dict[int, Equipment], key: int) -> list[int]:
    """The machine and all above it."""
    way: list[int] = []
    step: int | None = key
    while step is not None:
        way.append(step)
        step = by_key[step].parent_id
    return way


def _walk(children: dict[int | None, list[Equipment]], matches: set[int]) -> Iterable[TreeRow]:
    waiting = [(machine, 0) for machine in reversed(children[None])]
    while waiting:
        machine, depth = waiting.pop()
        yield TreeRow(machine, depth, machine.pk in matches)
        waiting.extend((child, depth + 1) for child in reversed(children[machine.pk]))


def machine_rows(nodes: Sequence[TreeRow]) -> list[MachineRow]:
    """What is known of these machines, in a fixed number of queries."""
    keys = [node.machine.pk for node in nodes]
    sensors = Sensor.objects.active().filter(equipment__in=keys).values("equipment")
    counted = dict(sensors.annotate(number=Count("pk")).values_list("equipment", "number"))
    open_tasks = dict(
        MaintenanceTask.objects.open()
        .filter(equipment__in=keys)
        .values("equipment")
        .annotate(number=Count("pk"))
        .values_list("equipment", "number")
        .order_by()
    )
    newest = dict(
        SensorLatest.objects.filter(sensor__equipment__in=keys)
        .values("sensor__equipment")
        .annotate(newest=Max("ts"))
        .values_list("sensor__equipment", "newest")
    )
    worst: dict[int, Prediction] = {}
    watched = Sensor.objects.filter(equipment__in=keys)
    for prediction in newest_predictions(Limit.objects.filter(sensor__equipment__in=keys), sensors=watched):
        worst.setdefault(prediction.sensor.equipment_id, prediction)
    health = health_by_machine(keys)
    return [
        MachineRow(
            node=node,
            sensor_count=counted.get(node.machine.pk, 0),
            open_tasks=open_tasks.get(node.machine.pk, 0),
            newest_reading_at=newest.get(node.machine.pk),
            worst=worst.get(node.machine.pk),
            health=health.get(node.machine.pk, UNKNOWN_HEALTH)[0],
            health_level=health.get(node.machine.pk, UNKNOWN_HEALTH)[1],
        )
        for node in nodes
    ]


def newest_predictions(
    limits: LimitQuerySet, *, sensors: SensorQuerySet | None = None, at_least: float = 0.0
) -> list[Prediction]:
    """The last word on each of these limits whose risk within 30 days is `at_least` that, the greatest first.

    Of `sensors` that have no failure limit, what follows their last anomaly is told too.
    """
    return list(
        last_words(limits, sensors)
        .filter(p_30d__gte=at_least)
        .select_related(
            "sensor__equipment__site", "limit__failure_mode", "limit__sensor", "anomaly__limit__failure_mode"
        )
        .defer("path", "settings", "input_quality")
        .order_by("-is_already_beyond", "-p_30d", "-p_90d", "pk")
    )


def worst_machines(organization: Organization, *, at_least: float) -> list[Prediction]:
    """One prediction per machine whose risk within 30 days is `at_least` that, the worst first."""
    worst: dict[int, Prediction] = {}
    limits, sensors = _watched(organization)
    for prediction in newest_predictions(limits, sensors=sensors, at_least=at_least):
        worst.setdefault(prediction.sensor.equipment_id, prediction)
    return list(worst.values())


def is_anything_foretold(organization: Organization) -> bool:
    """Whether a prediction holds now of any machine."""
    return last_words(*_watched(organization)).exists()


def count_worst_machines(organization: Organization, *, at_least: float) -> int:
    """How many `worst_machines` there are, without reading them."""
    words = last_words(*_watched(organization)).filter(p_30d__gte=at_least)
    return words.aggregate(machines=Count("sensor__equipment", distinct=True))["machines"]


def _watched(organization: Organization) -> tuple[LimitQuerySet, SensorQuerySet]:
    return Limit.objects.for_organization(organization), Sensor.objects.for_organization(organization)


def sensors_of(machine: Equipment) -> list[Sensor]:
    """A machine's active sensors with their limits and latest reading, and the silence of those that are silent."""
    active_limits = Limit.objects.filter(is_active=True).select_related("failure_mode", "sensor")
    silences = Anomaly.objects.open().filter(kind=Anomaly.Kind.NO_DATA)
    return list(
        Sensor.objects.active()
        .filter(equipment=machine)
        .select_related("latest")
        .prefetch_related(
            Prefetch("limits", active_limits, to_attr="active_limits"),
            Prefetch("anomalies", silences, to_attr="silences"),
        )
    )
