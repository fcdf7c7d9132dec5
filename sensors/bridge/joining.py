"""Readings and events of several messages put together, and readings under other keys. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from sensors.ingest import columns
from sensors.ingest.events import ParsedEvents
from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, Refusal, RowProblem, readable


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
        Refusal(
            int(parsed.index[row]),
            problem.code,
            problem.detail,
            raw=readable(f"{keys[parsed.key_of_row[row]]} = {parsed.values[row]:.15g}"),
        )
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


Numbered = list[tuple[int, ParsedReadings]]


def shared_out(parts: Iterable[tuple[int, ParsedReadings]]) -> list[Numbered]:
    """Numbered messages' readings by few requests of at most `MAX_READINGS`, historical ones by themselves."""
    by_history: dict[bool, list[Numbered]] = defaultdict(list)
    room: Counter[bool] = Counter()
    for number, parsed in parts:
        if parsed.received:
            if parsed.received > room[parsed.historical]:
                by_history[parsed.historical].append([])
                room[parsed.historical] = MAX_READINGS
            by_history[parsed.historical][-1].append((number, parsed))
            room[parsed.historical] -= parsed.received
    return [these for _, requests in sorted(by_history.items()) for these in requests]


def joined(these: Numbered) -> ParsedReadings:
    """One request of them. Index: the message's number."""
    return columns.joined([_of_message(number, parsed) for number, parsed in these])


def events_joined(parts: Iterable[ParsedEvents | None]) -> ParsedEvents:
    """All messages' events as one request, in their order. Index: the message's number."""
    whole = ParsedEvents()
    for number, parsed in enumerate(parts):
        if parsed is not None:
            whole.rows += [replace(row, index=number) for row in parsed.rows]
            whole.refusals += [replace(refusal, index=number) for refusal in parsed.refusals]
    return whole


def _of_message(number: int, parsed: ParsedReadings) -> ParsedReadings:
    return replace(
        parsed,
        index=np.full(len(parsed.index), number),
        refusals=[replace(refusal, index=number) for refusal in parsed.refusals],
    )
