"""What came with a key, by the receipts of its requests: how much, when, how late, and what was refused."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

from sensors.models import RefusedRequests
from smartmaint import clock
from smartmaint.accounts.models import ApiKey

HOUR = timedelta(hours=1)
OVERVIEW = timedelta(hours=24)
# A key with ten requests a second has six million receipts a week; a page says so rather than keep its reader waiting.
LONGEST_READ_S = 5
SORTED_IN = "64MB"  # the lags of a million receipts

_OF_KEY = """
    FROM sensors_readingbatch
    WHERE api_key_id = %(key)s AND received_at >= %(begin)s AND received_at <= %(end)s
"""
_RATES = f"""
    SELECT date_bin(%(step)s, received_at, %(begin)s) AS started_at, format, count(*),
           sum(inserted), sum(updated), sum(unchanged), sum(held), sum(rejected)
    {_OF_KEY} GROUP BY 1, 2
"""
_REFUSED_READINGS = f"""
    SELECT code, sum(refused::bigint)
    FROM (SELECT refused_by_code {_OF_KEY} AND rejected > 0) AS refusing,
         jsonb_each_text(refused_by_code) AS refusals (code, refused)
    GROUP BY code
"""
_LAG_S = "date_part('epoch', received_at - newest_at)"
_IS_LIVE = "newest_at IS NOT NULL AND NOT is_historical"
_LAG = f"""
    SELECT percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY {_LAG_S}) {_OF_KEY} AND {_IS_LIVE}
"""
# Compared as a pair, only the index of (key, time) serves. Asked for an equal key, PostgreSQL may go back through the
# receipts of all keys by time, through millions of them for a key that never sent anything.
_NEWEST_OF = """
    SELECT received_at FROM sensors_readingbatch
    WHERE (api_key_id, received_at) >= ({key}, '-infinity') AND (api_key_id, received_at) <= ({key}, 'infinity')
    ORDER BY api_key_id DESC, received_at DESC LIMIT 1
"""
_NEWEST = _NEWEST_OF.format(key="%(key)s")
_OVERVIEW = f"""
    WITH counted AS (
        SELECT api_key_id, count(*) AS requests, sum(received) AS readings, sum(rejected) AS rejected,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY {_LAG_S}) FILTER (WHERE {_IS_LIVE}) AS lag_s
        FROM sensors_readingbatch WHERE api_key_id = ANY(%(keys)s) AND received_at >= %(begin)s
        GROUP BY api_key_id
    )
    SELECT api_key_id, newest.received_at, coalesce(requests, 0), coalesce(readings, 0), coalesce(rejected, 0), lag_s
    FROM unnest(%(keys)s::bigint[]) AS wanted (api_key_id)
    LEFT JOIN counted USING (api_key_id)
    LEFT JOIN LATERAL ({_NEWEST_OF.format(key="wanted.api_key_id")}) newest ON true
"""
_EVENTS = """
    SELECT count(*) FROM sensors_machineevent
    WHERE api_key_id = %(key)s AND received_at >= %(begin)s AND received_at <= %(end)s
"""
_LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', %s, true)"


class TooMuchToRead(Exception):
    """There are more receipts than can be added up in a few seconds."""


@dataclass(frozen=True)
class Window:
    """A stretch of time until now, cut into equal buckets; the last of them is still going on."""

    name: str
    label: str
    words: str
    step: timedelta
    buckets: int
    unit: str

    def begin(self, end: datetime) -> datetime:
        """Where the first bucket starts: a whole minute or hour (of UTC)."""
        started = end - timedelta(microseconds=int(end.timestamp() * 1_000_000) % (self.step // _MICROSECOND))
        return started - (self.buckets - 1) * self.step


_MICROSECOND = timedelta(microseconds=1)
WINDOWS = {
    window.name: window
    for window in (
        Window("hour", "1 h", "the last hour", timedelta(minutes=1), 60, "minute"),
        Window("day", "24 h", "the last 24 hours", HOUR, 24, "hour"),
        Window("week", "7 d", "the last 7 days", HOUR, 7 * 24, "hour"),
    )
}
OUTCOMES = ("inserted", "updated", "unchanged", "held", "rejected")


@dataclass(frozen=True, eq=False)
class Rates:
    """Per bucket of the window, in arrays as long as it: requests taken, and what became of their readings."""

    window: Window
    begin: datetime
    end: datetime
    requests: npt.NDArray[np.int64]
    readings: dict[str, npt.NDArray[np.int64]]
    """By outcome: inserted, updated, unchanged, held, rejected."""
    refused: npt.NDArray[np.int64] | None
    """Requests refused as a whole, which are counted by the hour: None where buckets are shorter."""
    formats: dict[str, int]
    """Requests by format, the most frequent first."""

    @property
    def received(self) -> int:
        return sum(int(counts.sum()) for counts in self.readings.values())

    @property
    def is_empty(self) -> bool:
        return not self.requests.any() and (self.refused is None or not self.refused.any())


@dataclass(frozen=True)
class Lag:
    """Seconds from the newest reading of a live batch to its arrival; below 0 where a gateway's clock is fast."""

    median_s: float
    p95_s: float
    longest_s: float


@dataclass(frozen=True)
class Overview:
    """One key's main figures: when it last sent readings, and of the last 24 hours."""

    last_at: datetime | None
    requests: int
    readings: int
    rejected: int
    lag_s: float | None


def read_rates(api_key: ApiKey, *, window: Window) -> Rates:
    """What came with a key, bucket by bucket; raises TooMuchToRead."""
    end = clock.now()
    begin = window.begin(end)
    rows = _read(_RATES, {**_span(api_key, begin, end), "step": window.step})
    requests = np.zeros(window.buckets, dtype=np.int64)
    readings = {outcome: np.zeros(window.buckets, dtype=np.int64) for outcome in OUTCOMES}
    formats: Counter[str] = Counter()
    for started_at, format_name, count, *counts in rows:
        bucket = (started_at - begin) // window.step
        requests[bucket] += count
        formats[format_name] += count
        for outcome, number in zip(OUTCOMES, counts, strict=True):
            readings[outcome][bucket] += number
    return Rates(
        window=window,
        begin=begin,
        end=end,
        requests=requests,
        readings=readings,
        refused=_refused_by_bucket(api_key, begin, window) if window.step == HOUR else None,
        formats=dict(formats.most_common()),
    )


def _refused_by_bucket(api_key: ApiKey, begin: datetime, window: Window) -> npt.NDArray[np.int64]:
    refused = np.zeros(window.buckets, dtype=np.int64)
    rows = RefusedRequests.objects.filter(api_key=api_key, hour__gte=begin).values_list("hour", "count")
    for hour, count in rows:
        bucket = (hour - begin) // window.step
        if bucket < window.buckets:
            refused[bucket] += count
    return refused


def read_refused_readings(api_key: ApiKey, *, begin: datetime, end: datetime) -> list[tuple[str, int]]:
    """Readings that were refused in requests that were taken, by code, the most frequent first."""
    return _most_first(_read(_REFUSED_READINGS, _span(api_key, begin, end)))


def read_refused_requests(api_key: ApiKey, *, begin: datetime) -> list[tuple[str, int]]:
    """Requests refused as a whole since the full hour before `begin`, by code, the most frequent first."""
    hour = begin.replace(minute=0, second=0, microsecond=0)
    counts: Counter[str] = Counter()
    rows = RefusedRequests.objects.filter(api_key=api_key, hour__gte=hour).values_list("code", "count")
    for code, count in rows:
        counts[code] += count
    return _most_first(counts.items())


def read_lag(api_key: ApiKey, *, begin: datetime, end: datetime) -> Lag | None:
    """How late live readings came; None when none came. Raises TooMuchToRead."""
    [(figures,)] = _read(_LAG, _span(api_key, begin, end))
    return Lag(*figures) if figures else None


def count_events(api_key: ApiKey, *, begin: datetime, end: datetime) -> int:
    """Machine events that came with a key and were new or said something else than before; raises TooMuchToRead."""
    [(events,)] = _read(_EVENTS, _span(api_key, begin, end))
    return events


def newest_batch_at(api_key: ApiKey) -> datetime | None:
    """When readings last came with this key."""
    rows = _read(_NEWEST, {"key": api_key.pk})
    return rows[0][0] if rows else None


def read_overview(keys: Iterable[int]) -> dict[int, Overview]:
    """The main figures of many keys, by id; raises TooMuchToRead."""
    rows = _read(_OVERVIEW, {"keys": list(keys), "begin": clock.now() - OVERVIEW})
    return {key: Overview(*figures) for key, *figures in rows}


def _span(api_key: ApiKey, begin: datetime, end: datetime) -> dict[str, Any]:
    return {"key": api_key.pk, "begin": begin, "end": end}


def _most_first(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(((code, int(count)) for code, count in counts), key=lambda pair: (-pair[1], pair[0]))


def _read(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with _not_for_long(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@contextmanager
def _not_for_long() -> Iterator[None]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_LIMITS, [f"{LONGEST_READ_S}s", SORTED_IN])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuchToRead(f"It would take longer than {LONGEST_READ_S} s to add this up.") from error
        raise
