"""How good the predictions of the ledger were: by what happened to the machines, never by the closing of a task.

Counted is the first prediction of each limit and day of its organisation: those of one day are nearly the same one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg2.errors import QueryCanceled

from equipment.models import Failure
from predictions.accuracy import BINS, Coverage, LeadTimes, Tally, summarise_lead_times
from predictions.models import Outcome
from predictions.services import accuracy_sql
from predictions.services.scoring import FORETOLD_FROM, OF_VERDICT, not_foretold
from smartmaint import clock
from smartmaint.accounts.models import Organization

HORIZONS = (7, 14, 30, 90)
LONGEST_HORIZON = timedelta(days=90)
PERIODS = (30, 90, 180, 365)
# A million predictions take three or four seconds of a core; a page says so rather than keep its reader waiting longer.
LONGEST_READ_S = 15
SORTED_IN = "64MB"
# Paths are the bulk of the ledger: as many as tell the share to a per cent or two.
MOST_PATHS = 1_000
IS_TRUE = [verdict for verdict, (outcome, _) in OF_VERDICT.items() if outcome == Outcome.TRUE_POSITIVE]
IS_FALSE = [verdict for verdict, (outcome, _) in OF_VERDICT.items() if outcome == Outcome.FALSE_POSITIVE]

Row = dict[str, Any]
Sums = TypeVar("Sums", Tally, Coverage)


class TooMuchToRead(Exception):
    """There are more predictions than can be scored in a few seconds."""


@dataclass(frozen=True)
class Selection:
    """Whose predictions, and what came of them in the last `days`.

    `class_code` and `version` ("name version" of the model) narrow it; empty means all.
    """

    organizations: tuple[Organization, ...]
    days: int = 90
    class_code: str = ""
    version: str = ""


@dataclass(frozen=True)
class Scores:
    """By days ahead: all of the selection, its bins of probability from low to high, and its parts."""

    of_all: dict[int, Tally]
    of_bins: dict[int, list[Tally]]
    by_organization: dict[int, dict[int, Tally]]
    by_class: dict[int, dict[str, Tally]]
    by_version: dict[int, dict[str, Tally]]


@dataclass(frozen=True)
class CoverageFound:
    """How often later hours lay between the quantiles foretold: all, by time ahead, and by part of the selection."""

    of_all: Coverage
    by_ahead: dict[int, Coverage]
    """By the place in `accuracy_sql.AHEAD_EDGES_D` that the time ahead falls into."""
    by_organization: dict[int, Coverage]
    by_class: dict[str, Coverage]
    by_version: dict[str, Coverage]


@dataclass(frozen=True)
class Results:
    """What became of predictions in the period.

    Findings and failures count once, however many predictions they decided: `true_positives`, `false_positives`,
    `missed`. The others are predictions counted by limit and day: `true_negatives` (of them `loud`, foretold with
    50 % or more), `censored` by a repair, and `undecided`, which is about now and not about the period.
    `missed` is None where a version is chosen: a failure that nothing foretold is of none.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    loud: int
    censored: int
    undecided: int
    missed: int | None
    lead_times: LeadTimes | None


@dataclass(frozen=True)
class Accuracy:
    """All that is known of a selection's predictions."""

    scores: Scores
    results: Results
    coverage: CoverageFound


def read_accuracy(selection: Selection) -> Accuracy:
    """Read scores, results and coverage at once. Raises TooMuchToRead."""
    rows = _read(accuracy_sql.ALL, selection)
    [results] = rows["results"]
    return Accuracy(_scores(rows["scores"]), _results(selection, results), _coverage(rows["coverage"]))


def read_scores(selection: Selection) -> Scores:
    """Score what was foretold for 7, 14, 30 and 90 days, where the last of these days lies in the period.

    All predictions of that age count, and none that is younger: a failure is known at once, that none came is known
    only in the end, and counting the one before the other would make failures look frequent. Raises TooMuchToRead.
    """
    return _scores(_read(accuracy_sql.SCORES, selection)["scores"])


def _scores(rows: list[Row]) -> Scores:
    scores = Scores({}, {days: [Tally()] * BINS for days in HORIZONS}, {}, {}, {})
    for row in rows:
        days, tally = row["days"], _of(Tally, row)
        match row["part"]:
            case "bin":
                scores.of_bins[days][row["bin"]] = tally
            case "organization":
                scores.by_organization.setdefault(days, {})[row["organization_id"]] = tally
            case "class":
                scores.by_class.setdefault(days, {})[row["class_code"]] = tally
            case "version":
                scores.by_version.setdefault(days, {})[row["version"]] = tally
            case "all":
                scores.of_all[days] = tally
    return scores


def _coverage(rows: list[Row]) -> CoverageFound:
    """One path per sensor and week, at most MOST_PATHS of them, up to the sensor's next repair."""
    key_of = {
        "organization": "organization_id",
        "class": "class_code",
        "version": "version",
        "ahead": "ahead",
    }
    parts: dict[str, dict[Any, Coverage]] = {part: {} for part in key_of}
    of_all = Coverage()
    for row in rows:
        if row["part"] == "all":
            of_all = _of(Coverage, row)
        else:
            parts[row["part"]][row[key_of[row["part"]]]] = _of(Coverage, row)
    return CoverageFound(of_all, parts["ahead"], parts["organization"], parts["class"], parts["version"])


def _results(selection: Selection, row: Row) -> Results:
    leads_s = np.array(row.pop("leads_s"), dtype=np.float64)
    return Results(
        true_positives=len(leads_s),
        missed=None if selection.version else _count_missed(selection),
        lead_times=summarise_lead_times(leads_s),
        **row,
    )


def _of(kind: type[Sums], row: Row) -> Sums:
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def _count_missed(selection: Selection) -> int:
    with _in_time():
        return _missed(selection).count()


def _missed(selection: Selection) -> QuerySet[Failure]:
    now = clock.now()
    failures = Failure.objects.filter(
        organization__in=selection.organizations,
        failed_at__gt=now - timedelta(days=selection.days),
        failed_at__lte=now,
    )
    if selection.class_code:
        failures = failures.filter(equipment__equipment_class__code=selection.class_code)
    # Of predictions without a limit nothing else is counted here, so they foretold no failure either.
    return not_foretold(failures, by_limits_alone=True)


def _read(sql: str, selection: Selection) -> dict[str, list[Row]]:
    """Rows by their kind."""
    now = clock.now()
    begin = now - timedelta(days=selection.days)
    rows: dict[str, list[Row]] = {"scores": [], "results": [], "coverage": []}
    with _in_time(), connection.cursor() as cursor:
        cursor.execute(sql, _parameters(selection, begin=begin, now=now))
        for kind, row in cursor.fetchall():
            rows[kind].append(json.loads(row))
    return rows


def _parameters(selection: Selection, *, begin: datetime, now: datetime) -> dict[str, Any]:
    return {
        "organizations": [organization.pk for organization in selection.organizations],
        "class_code": selection.class_code,
        "version": selection.version,
        "begin": begin,
        "now": now,
        "oldest": begin - LONGEST_HORIZON,
        "is_true": [verdict.value for verdict in IS_TRUE],
        "is_false": [verdict.value for verdict in IS_FALSE],
        "foretold_from": FORETOLD_FROM,
        "bins": BINS,
        "most_paths": MOST_PATHS,
    }


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(accuracy_sql.LIMITS, [f"{LONGEST_READ_S}s", SORTED_IN])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuchToRead("There are too many predictions to score them all at once.") from error
        raise
