"""Who forecasts a sensor, as the ledger remembers it from one forecast to the next."""

from dataclasses import dataclass
from typing import Any, Self

from predictions.forecasting.candidates import CANDIDATES, INCUMBENT, PROPHET
from predictions.forecasting.contest import PLUS, ContestResult

FIRST = INCUMBENT
ENTRANTS = (*CANDIDATES, PROPHET)
IN_WORDS = {
    "profile_and_residuals": "the daily profile with autoregression",
    "recent_profile": "the recent daily profile",
    "weekday_profile": "the weekday profile",
    "seasonal_naive": "the seasonal naive forecast",
    "level_and_residuals": "the level with autoregression",
    "last_level": "the last level",
    "drift": "the last level with drift",
    PROPHET: "Prophet's model",
}


def name_in_words(name: str) -> str:
    """Who forecasts, for people; of two joined by a plus it is their mean."""
    parts = [IN_WORDS.get(one, one) for one in name.split(PLUS)]
    return parts[0] if len(parts) == 1 else f"the mean of {' and '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Champion:
    """The winner of a sensor's last contest: its name, when that was held, and the words and numbers of it.

    `held_at_us` is None where none was held yet: the first incumbent has the place without a contest. `replaced` is
    who lost the place in that contest, empty where nobody did.
    """

    name: str = FIRST
    held_at_us: int | None = None
    reason: str = "No contest was held yet."
    changed: str = ""
    mean_errors: dict[str, float] | None = None
    replaced: str = ""

    def __post_init__(self) -> None:
        unknown = [name for name in self.name.split(PLUS) if name not in ENTRANTS]
        if unknown:
            raise ValueError(f"Nobody in the contest has the name {unknown[0]!r}.")

    def after(self, result: ContestResult, *, now_us: int) -> "Champion":
        """Who has the place after a contest, and how it came to change hands."""
        changed = f"changed from {self.name} because {result.reason}" if result.has_changed else ""
        replaced = self.name if result.has_changed else ""
        return Champion(result.name, now_us, result.reason, changed, result.mean_errors, replaced)

    def as_figures(self) -> dict[str, Any]:
        """Plain types, as the ledger keeps them."""
        return {
            "winner": self.name,
            "held_at_us": self.held_at_us,
            "reason": self.reason,
            "changed": self.changed,
            "mean_errors": self.mean_errors or {},
            "replaced": self.replaced,
        }

    @classmethod
    def from_figures(cls, figures: dict[str, Any] | None) -> Self:
        """What the ledger kept; the first incumbent where it kept nothing, or names one who no longer competes."""
        if not figures or any(name not in ENTRANTS for name in figures["winner"].split(PLUS)):
            return cls()
        return cls(
            name=figures["winner"],
            held_at_us=figures["held_at_us"],
            reason=figures["reason"],
            changed=figures["changed"],
            mean_errors=figures["mean_errors"],
            replaced=figures.get("replaced", ""),
        )


UNTESTED: Champion = Champion()
