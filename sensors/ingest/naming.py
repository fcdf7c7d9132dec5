"""From a point's measurement, tags and field to a sensor's key, by a template such as "{site}/{machine}/{field}"."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sensors.ingest.fields import MAX_SENSOR_KEY
from sensors.ingest.parsed import RowProblem

MEASUREMENT, FIELD = "measurement", "field"

_NAME_IN_BRACES = re.compile(r"\{([^{}]*)\}")


class BadTemplate(ValueError):
    """The text is no template; the message says to a person why."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text with names in braces. `texts` stand before, between and after the `names`: one more than those."""

    source: str
    texts: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, source: str) -> "Template":
        """Read a template; raises BadTemplate."""
        pieces = _NAME_IN_BRACES.split(source)
        texts, names = tuple(pieces[0::2]), tuple(pieces[1::2])
        if any("{" in text or "}" in text for text in texts):
            raise BadTemplate("A brace has no partner: every { needs its }, and none stands inside another.")
        if not all(name.strip() for name in names):
            raise BadTemplate(
                "There is nothing between the braces: write the name of a tag, such as {machine}."
            )
        if spaced := next((name for name in names if name != name.strip()), None):
            raise BadTemplate(f"Write {{{spaced.strip()}}} without spaces inside the braces.")
        if not names:
            raise BadTemplate(
                "The template names no tag and no {field}: every reading would be one sensor's."
            )
        return cls(source, texts, names)


@dataclass(frozen=True, slots=True)
class Naming:
    """How the points of one key are named.

    A template's {measurement} and {field} are the point's own, even where it has tags of that name. Without a template
    the key is the measurement, the values of the tags in the order of the tags' names, and the field, joined by "/":
    `pump,site=north,machine=p-7 vibration=4.2` is "pump/p-7/north/vibration". So Telegraf's points come to keys that
    a person can read as they are. Points whose tags differ in name alone come to one key there: give them a template.
    """

    template: Template | None = None
    ignores_text: bool = False
    """Fields that are text are left out; else they are refused."""

    def around_field(self, measurement: str, tags: Mapping[str, str]) -> list[str]:
        """The texts between which a point's field stands in its sensors' keys.

        Raises RowProblem with `missing_tag`, or `invalid_sensor` where they are too long already.
        """
        if self.template is None:
            around = ["/".join((measurement, *(tags[name] for name in sorted(tags)), "")), ""]
        else:
            around = [self.template.texts[0]]
            values = {**tags, MEASUREMENT: measurement}
            for name, text in zip(self.template.names, self.template.texts[1:], strict=True):
                if name == FIELD:
                    around.append(text)
                elif name not in values:
                    raise RowProblem(
                        "missing_tag",
                        f'There is no tag "{name}", by which the sensors of this key are named.',
                    )
                else:
                    around[-1] += values[name][: MAX_SENSOR_KEY + 1] + text
        if sum(map(len, around)) > MAX_SENSOR_KEY:
            raise RowProblem(
                "invalid_sensor", f"The tags make a key of more than {MAX_SENSOR_KEY} characters."
            )
        return around

    @property
    def tells_fields_apart(self) -> bool:
        """Whether two fields of one point come to two sensors."""
        return self.template is None or FIELD in self.template.names
