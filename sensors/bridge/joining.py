"""Readings of several messages put together, and under other keys. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, Refusal, RowProblem


def renamed(parsed: ParsedReadings, key_of: Callable[[str], str]) -> ParsedReadings:
    """The readings under other keys; those for which `key_of` raises RowProblem are refused."""
    keys, problems = [], {}
    for number, key in enumerate(parsed.keys):
        try:
            keys.append(key_of(key))
        except RowProblem as problem:
            keys.append(key)
            problems[number] = problem
    parsed = replace(parsed, keys=keys)
    if not problems:
        return parsed
    is_refused = np.isin(parsed.key_of_row, list(problems))
    refusals = [
        Refusal(int(parsed.index[row]), problem.code, problem.detail, raw=keys[parsed.key_of_row[row]])
        for row in np.flatnonzero(is_refused)
        for problem in [problems[int(parsed.key_of_row[row])]]
    ]
    stays = ~is_refused
    return replace(
        parsed,
        index=parsed.index[stays],
        key_of_row=parsed.key_of_row[stays],
        ts_us=parsed.ts_us[stays],
        values=parsed.values[stays],
        quality=parsed.quality[stays],
        unit_of_row=parsed.unit_of_row[stays],
        refusals=[*parsed.refusals, *refusals],
    )


def joined(parts: Iterable[tuple[int, ParsedReadings]]) -> list[ParsedReadings]:
    """Numbered messages' readings as few requests of at most `MAX_READINGS`, historical ones by themselves. Index: the
    message's number.
    """
    by_history: dict[bool, list[list[tuple[int, ParsedReadings]]]] = defaultdict(list)
    room: Counter[bool] = Counter()
    for number, parsed in parts:
        if parsed.received:
            if parsed.received > room[parsed.historical]:
                by_history[parsed.historical].append([])
                room[parsed.historical] = MAX_READINGS
            by_history[parsed.historical][-1].append((number, parsed))
            room[parsed.historical] -= parsed.received
    return [
        _joined(these, historical)
        for historical, requests in sorted(by_history.items())
        for these in requests
    ]


def _joined(parts: list[tuple[int, ParsedReadings]], historical: bool) -> ParsedReadings:
    keys: dict[str, int] = {}
    units: dict[str | None, int] = {}
    key_of_row, unit_of_row, refusals = [], [], []
    rows = 0
    for number, parsed in parts:
        key_numbers = np.array([keys.setdefault(key, len(keys)) for key in parsed.keys], dtype=np.int64)
        unit_numbers = np.array([units.setdefault(unit, len(units)) for unit in parsed.units], dtype=np.int64)
        key_of_row.append(key_numbers[parsed.key_of_row])
        unit_of_row.append(unit_numbers[parsed.unit_of_row])
        refusals += [
            replace(refusal, index=number, row=refusal.row + rows if refusal.row >= 0 else -1)
            for refusal in parsed.refusals
        ]
        rows += len(parsed.index)
    return ParsedReadings(
        index=np.repeat([number for number, _ in parts], [len(parsed.index) for _, parsed in parts]),
        keys=list(keys),
        key_of_row=np.concatenate(key_of_row),
        ts_us=np.concatenate([parsed.ts_us for _, parsed in parts]),
        values=np.concatenate([parsed.values for _, parsed in parts]),
        quality=np.concatenate([parsed.quality for _, parsed in parts]),
        units=list(units),
        unit_of_row=np.concatenate(unit_of_row),
        historical=historical,
        refusals=refusals,
    )
