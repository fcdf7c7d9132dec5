"""The log-ins of a loaded demo, in a file that only its owner reads.

Passwords are made anew for each installation: the demo may stand on a network, and a well-known password would be an
open door. The file also holds what live readings need to go on from the history: the key, and when its day 0 was.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_WORDS, _SYLLABLES = 4, 2


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody of the demo; `role` in words for the table that is printed."""

    username: str
    name: str
    role: str
    organization: str


@dataclass(frozen=True, slots=True)
class Logins:
    """All demo people share `password`. `epoch_us` is day 0 of the demo, in microseconds since 1970."""

    password: str
    api_key: str
    epoch_us: int
    people: tuple[Login, ...]

    @property
    def key_prefix(self) -> str:
        return self.api_key.split("_")[1]


def logins_path() -> Path:
    return settings.VAR_DIR / "demo_logins.json"


def new_password() -> str:
    """A password that can be read aloud, such as bado-keru-mifa-tosu: 49 random bits."""
    words = ("".join(_syllable() for _ in range(_SYLLABLES)) for _ in range(_WORDS))
    return "-".join(words)


def _syllable() -> str:
    return secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS)


def save_logins(logins: Logins) -> None:
    """Write the file whole or not at all, for its owner only."""
    path = logins_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(logins), file, indent=2, ensure_ascii=False)
    draft.replace(path)


def read_logins() -> Logins | None:
    """What was saved; None where there is no such file."""
    try:
        saved = json.loads(logins_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    people = tuple(Login(**person) for person in saved.pop("people"))
    return Logins(**saved, people=people)


def describe_logins(logins: Logins, *, path: Path) -> str:
    """The table that a newcomer reads."""
    rows = [f"  {one.username:<11}{one.role:<12}{one.name:<18}{one.organization}" for one in logins.people]
    return "\n".join(
        [
            "The demo's log-ins, all with the password " + logins.password,
            *rows,
            f"The integrator's key: {logins.api_key}",
            f"(kept in {path}, which only you can read)",
        ]
    )
