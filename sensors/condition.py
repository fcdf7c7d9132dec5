"""What a machine's sensors and alarms say of its health, from 0 to 100. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from equipment.weighing import remaining

# How much of what is left an anomaly takes: where the machine counts as failed, at an inner limit, when silent.
OUTERMOST, INNER, SILENT, UNUSUAL = 0.6, 0.3, 0.1, 0.25
OF_ALARM = {"critical": 0.6, "major": 0.35, "minor": 0.15, "warning": 0.05}
NAMED = 3


@dataclass(frozen=True)
class Trouble:
    """Something that takes from a machine's health: what it is, and how much of what is left it takes (0 to 1)."""

    words: str
    penalty: float


def anomaly_penalty(*, kind: str, level: str, score: float) -> float:
    """How much an anomaly takes: by the limit that was passed, else by how far it is from normal (`score`, 0 to 1)."""
    if kind == "limit":
        return OUTERMOST if level in {"LL", "HH"} else INNER
    if kind == "no_data":
        return SILENT
    return UNUSUAL * min(max(score, 0.0), 1.0)


def told(troubles: Sequence[Trouble], *, nothing: str) -> tuple[float, str]:
    """The score that troubles leave, and the worst of them in words."""
    if not troubles:
        return 100.0, nothing
    worst = sorted(troubles, key=lambda trouble: (-trouble.penalty, trouble.words))
    named = [f"{trouble.words} (−{trouble.penalty:.0%})" for trouble in worst[:NAMED]]
    more = len(worst) - NAMED
    return remaining(trouble.penalty for trouble in troubles), "; ".join(named) + (
        f"; and {more} more" if more > 0 else ""
    )
