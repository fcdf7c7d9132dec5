"""What is asked of the figures of accuracy, as an address tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from predictions.services.accuracy import HORIZONS, PERIODS, Selection
from smartmaint.accounts.models import Organization

USUAL_DAYS, USUAL_AHEAD = 90, 30
LONGEST_WORD = 101


class BadQuery(Exception):
    """An address asks for what there is not; the words say what there is."""


@dataclass(frozen=True)
class AccuracyQuery:
    """A selection, and the days ahead that the diagram and the rows are about."""

    selection: Selection
    ahead: int

    def address(self, **changed: object) -> str:
        """The same question with something changed, as the end of an address; ready to be followed by "&"."""
        asked = {
            "days": self.selection.days,
            "ahead": self.ahead,
            "class": self.selection.class_code,
            "version": self.selection.version,
        }
        return "?" + urlencode({name: value for name, value in (asked | changed).items() if value != ""})


def read_query(parameters: Mapping[str, str], organizations: Sequence[Organization]) -> AccuracyQuery:
    """Take `days`, `ahead`, `class` and `version` from an address; raises BadQuery."""
    days = _one_of(PERIODS, "days", parameters.get("days", str(USUAL_DAYS)))
    ahead = _one_of(HORIZONS, "ahead", parameters.get("ahead", str(USUAL_AHEAD)))
    class_code, version = (_word(name, parameters.get(name, "")) for name in ("class", "version"))
    return AccuracyQuery(Selection(tuple(organizations), days, class_code, version), ahead)


def _one_of(choices: Sequence[int], name: str, told: str) -> int:
    for choice in choices:
        if told == str(choice):
            return choice
    raise BadQuery(f"{name} is one of {', '.join(map(str, choices))}.")


def _word(name: str, told: str) -> str:
    # PostgreSQL takes no NUL, whatever it is compared with.
    if "\x00" in told or len(told) > LONGEST_WORD:
        raise BadQuery(f"{name} is not one of yours.")
    return told
