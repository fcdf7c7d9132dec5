"""Which sensors the points of a request are about: their keys, each made once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from sensors.ingest.fields import sensor_key
from sensors.ingest.line_grammar import Ints, measurement_and_tags, unescaped
from sensors.ingest.naming import Naming
from sensors.ingest.parsed import RowProblem

Place = tuple[str, bytes, bytes]
"""Source of the template ("" for none), head, and name of the field."""

# The same series come with every request, and to name one takes longer than to read a line of it. Full, some 10 MB.
_KNOWN_KEYS: dict[Place, str] = {}
_MOST_KNOWN_KEYS = 20_000
_LONGEST_KNOWN = 400


@dataclass(slots=True)
class Series:
    """The sensors of a request: one for each head (measurement and tags, as written) and field, named by `naming`."""

    naming: Naming
    keys: dict[str, int] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)
    _numbers: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    _around_field: dict[bytes, list[str] | RowProblem] = field(default_factory=dict)

    def number(self, head: bytes, name: bytes) -> int:
        """The sensor's number in `keys`; or -1, -2, ...: `problems[~number]` is what is wrong with it."""
        number = self._numbers.get((head, name))
        if number is None:
            number = self._numbers[head, name] = self._number((self._source, head, name))
        return number

    def numbers(self, heads: Sequence[bytes], line: Ints, names: Sequence[bytes]) -> Ints:
        """Many at once: of reading i the head is `heads[line[i]]`, and the field's name `names[i]`."""
        distinct_heads, head_of_line = _numbered(heads)
        distinct_names, name_of_reading = _numbered(names)
        pair_of_reading = head_of_line[line] * len(distinct_names) + name_of_reading
        pairs, of_reading = np.unique(pair_of_reading, return_inverse=True)
        head_of_pair, name_of_pair = np.divmod(pairs, len(distinct_names))
        places = zip(
            repeat(self._source),
            map(distinct_heads.__getitem__, head_of_pair.tolist()),
            map(distinct_names.__getitem__, name_of_pair.tolist()),
        )
        return np.array([self._number(place) for place in places], dtype=np.int64)[of_reading]

    @property
    def _source(self) -> str:
        return "" if self.naming.template is None else self.naming.template.source

    def _number(self, place: Place) -> int:
        try:
            key = _KNOWN_KEYS.get(place) or self._new_key(place)
        except RowProblem as problem:
            self.problems.append(problem)
            return -len(self.problems)
        return self.keys.setdefault(key, len(self.keys))

    def _new_key(self, place: Place) -> str:
        """Raises RowProblem."""
        _, head, name = place
        around = self._around_field.get(head)
        if around is None:
            try:
                around = self.naming.around_field(*measurement_and_tags(head))
            except RowProblem as problem:
                around = problem
            self._around_field[head] = around
        if isinstance(around, RowProblem):
            raise RowProblem(around.code, around.detail)
        key = sensor_key(unescaped(name).join(around))
        if len(head) + len(name) <= _LONGEST_KNOWN:
            if len(_KNOWN_KEYS) >= _MOST_KNOWN_KEYS:
                _KNOWN_KEYS.clear()
            _KNOWN_KEYS[place] = key
        return key


def _numbered(values: Sequence[bytes]) -> tuple[list[bytes], Ints]:
    """Distinct values in order of appearance, and each one's number among them."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    if len(numbers) == 1:
        return list(numbers), np.zeros(len(values), dtype=np.int64)
    return list(numbers), np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
