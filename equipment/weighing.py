"""How a machine's health is weighed from its parts. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

ENOUGH_TOLD = 0.5
"""The whole is told from half of the weights on: fewer parts say too little of a machine."""

# From which health on a machine is in this state, the best first.
LEVELS = (("good", 85.0), ("medium", 70.0), ("high", 50.0), ("critical", 0.0))


@dataclass(frozen=True)
class Whole:
    """The weighed mean of the parts that speak (0 to 100, or None), and their share of the weights (0 to 1)."""

    score: float | None
    told_share: float


def weigh(parts: Mapping[str, float | None], weights: Mapping[str, float]) -> Whole:
    """Weigh parts (0 to 100; None has nothing to say) by their weights, which need not add up to anything.

    A part without a weight does not count.
    """
    total = sum(weights.values())
    spoken = {part: score for part, score in parts.items() if score is not None and weights.get(part, 0) > 0}
    told = sum(weights[part] for part in spoken)
    share = told / total if total > 0 else 0.0
    if share < ENOUGH_TOLD:
        return Whole(None, share)
    mean = sum(weights[part] * score for part, score in spoken.items()) / told
    return Whole(min(max(mean, 0.0), 100.0), share)


def remaining(penalties: Iterable[float]) -> float:
    """What is left of 100 after penalties (each 0 to 1), each of which takes its share of what others left."""
    return 100.0 * prod(1.0 - penalty for penalty in penalties)


def level_of(score: float | None) -> str:
    """good, medium, high or critical, as the pages colour it; "unknown" without a score."""
    if score is None:
        return "unknown"
    return next(level for level, least in LEVELS if score >= least)
