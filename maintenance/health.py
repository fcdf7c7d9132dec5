"""A machine's health as the pages show it: the whole, each part with its number and reason, and the days before."""

from dataclasses import dataclass

from equipment.models import Equipment, Health, HealthPart, Part
from equipment.services.health import health_of_days
from equipment.weighing import level_of
from smartmaint.accounts.models import Organization

PLOT_DAYS = 90
WIDTH, HEIGHT = 300, 60
"""Of the small plot, in units of its own."""


@dataclass(frozen=True)
class PartShown:
    """One part: its number, what it weighs (per cent), and why."""

    name: str
    score: int | None
    weight: int
    reason: str
    level: str


@dataclass(frozen=True)
class HealthShown:
    """A machine's health. `left_out` are parts with nothing to say; `line` is the plot of days, where there is one."""

    score: int | None
    level: str
    parts: list[PartShown]
    left_out: list[str]
    told_share: int
    line: str


def show_health(machine: Equipment) -> HealthShown | None:
    """None before anything was reported. `machine` comes with its class and organisation."""
    whole = Health.objects.filter(pk=machine.pk).first()
    if whole is None:
        return None
    rows = {row.part: row for row in HealthPart.objects.filter(equipment=machine)}
    weights = machine.equipment_class.health_weights
    total = sum(weights.values())
    parts = [_show(part, rows[part], weights[part] / total) for part in Part if part in rows]
    return HealthShown(
        score=_rounded(whole.score),
        level=level_of(whole.score),
        parts=parts,
        left_out=[part.name.lower() for part in parts if part.score is None and part.weight],
        told_share=round(whole.told_share * 100),
        line=_line([score for _, score in health_of_days(machine, days=PLOT_DAYS)]),
    )


def _show(part: Part, row: HealthPart, share: float) -> PartShown:
    return PartShown(part.label, _rounded(row.score), round(share * 100), row.reason, level_of(row.score))


def _rounded(score: float | None) -> int | None:
    """Never 100 for a machine with anything wrong, never 0 for one that has something left."""
    if score is None or score in (0, 100):
        return None if score is None else int(score)
    return min(max(round(score), 1), 99)


def _line(scores: list[float | None]) -> str:
    """The points of an SVG line, from the first day that is known; empty where that is less than two days."""
    step = WIDTH / (len(scores) - 1)
    points = [
        f"{place * step:.1f},{HEIGHT - score / 100 * HEIGHT:.1f}"
        for place, score in enumerate(scores)
        if score is not None
    ]
    return " ".join(points) if len(points) > 1 else ""


def health_by_machine(machines: list[int]) -> dict[int, tuple[int | None, str]]:
    """Score and level of each machine that has a health."""
    rows = Health.objects.filter(pk__in=machines).values_list("pk", "score")
    return {key: (_rounded(score), level_of(score)) for key, score in rows}


def least_healthy(organization: Organization, *, most: int) -> list[tuple[Equipment, int | None, str, str]]:
    """The machines of the lowest health: each with its score, level, and the worst of its parts in words."""
    rows = (
        Health.objects.for_organization(organization)
        .filter(score__isnull=False)
        .select_related("equipment")
        .order_by("score", "pk")[:most]
    )
    worst: dict[int, HealthPart] = {}
    spoken = HealthPart.objects.filter(equipment__in=[row.pk for row in rows], score__isnull=False)
    for part in spoken.order_by("score", "pk"):
        worst.setdefault(part.equipment_id, part)
    return [(row.equipment, _rounded(row.score), level_of(row.score), _words(worst[row.pk])) for row in rows]


def _words(part: HealthPart) -> str:
    return f"{part.get_part_display()}: {part.reason}"
