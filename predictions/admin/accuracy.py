"""How good the predictions were, for managers: no figure where there is not enough to say one."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from equipment.models import EquipmentClass
from predictions.accuracy import (
    ENOUGH_IN_BIN,
    ENOUGH_LEAD_TIMES,
    ENOUGH_PATHS,
    ENOUGH_RESOLVED,
    FEW_FAILURES,
    LEAD_EDGES_D,
    Bin,
    Coverage,
    LeadTimes,
    Tally,
    reliability,
)
from predictions.accuracy_query import AccuracyQuery, BadQuery, read_query
from predictions.services.accuracy import (
    HORIZONS,
    PERIODS,
    CoverageFound,
    Scores,
    TooMuchToRead,
    read_accuracy,
)
from predictions.services.accuracy_sql import AHEAD_EDGES_D
from smartmaint.accounts.models import Organization

NOT_ENOUGH = "not enough data"


@require_safe
def accuracy_page(request: HttpRequest, *, model_admin: ModelAdmin) -> HttpResponse:
    """Scores, the reliability diagram, coverage, lead times and counts; of all organisations for the operator there."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    organizations = [request.organization] if request.organization else list(Organization.objects.all())
    try:
        query = read_query(request.GET, organizations)
    except BadQuery as error:
        return HttpResponseBadRequest(str(error))
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "How good the predictions were",
        "query": query,
        "periods": [(days, query.address(days=days)) for days in PERIODS],
        "aheads": [(days, query.address(ahead=days)) for days in HORIZONS],
        "without_class": query.address(**{"class": ""}),
        "without_version": query.address(version=""),
        **_figures(query),
    }
    return TemplateResponse(request, "admin/predictions/accuracy.html", context)


@dataclass(frozen=True)
class ScoreRow:
    """One line of a table of scores, in words."""

    name: str
    link: str
    tally: Tally
    failed: str
    foretold: str
    brier: str
    of_base_rate: str
    skill: str
    coverage: str = ""


def _figures(query: AccuracyQuery) -> dict[str, Any]:
    try:
        accuracy = read_accuracy(query.selection)
    except TooMuchToRead as error:
        classes = sorted(_names_of_classes(query).items(), key=lambda named: named[1])
        return {
            "too_much": str(error),
            "classes": [(name, query.address(**{"class": code})) for code, name in classes],
        }
    scores, results, coverage = accuracy.scores, accuracy.results, accuracy.coverage
    classes = _names_of_classes(query)
    return {
        "horizons": [
            _score_row(f"{days} days", query.address(ahead=days), scores.of_all.get(days, Tally()))
            for days in HORIZONS
        ],
        "bins": [_bin_row(one) for one in reliability(scores.of_bins[query.ahead]) if one.count],
        "coverage": _coverage_rows(coverage),
        "results": results,
        "lead_times": results.lead_times and _lead_rows(results.lead_times),
        "histogram": results.lead_times and _histogram(results.lead_times),
        "class_name": classes.get(query.selection.class_code, query.selection.class_code),
        "parts": _parts(query, scores, coverage, classes),
        "enough": {
            "resolved": ENOUGH_RESOLVED,
            "in_bin": ENOUGH_IN_BIN,
            "paths": ENOUGH_PATHS,
            "lead_times": ENOUGH_LEAD_TIMES,
            "failures": FEW_FAILURES,
        },
    }


def _names_of_classes(query: AccuracyQuery) -> dict[str, str]:
    """By code; the operator sees those of all organisations, which share their codes."""
    classes = EquipmentClass.objects.filter(organization__in=query.selection.organizations)
    return dict(classes.order_by("-name").values_list("code", "name"))


def _parts(
    query: AccuracyQuery, scores: Scores, coverage: CoverageFound, classes: Mapping[str, str]
) -> list[tuple[str, list[ScoreRow]]]:
    """The tables of the selection's parts, at the days ahead that were asked for."""
    parts = [
        ("Equipment class", "class", scores.by_class, coverage.by_class, classes),
        ("Model", "version", scores.by_version, coverage.by_version, {}),
    ]
    organizations = query.selection.organizations
    if len(organizations) > 1:
        names = {organization.pk: organization.name for organization in organizations}
        parts.insert(0, ("Organisation", "", scores.by_organization, coverage.by_organization, names))
    return [
        (
            title,
            [
                _score_row(
                    str(names.get(part, part)),
                    query.address(**{parameter: part}) if parameter else "",
                    tallies.get(query.ahead, {}).get(part, Tally()),
                    covered.get(part, Coverage()),
                )
                for part in sorted(
                    {*tallies.get(query.ahead, {}), *covered}, key=lambda part: str(names.get(part, part))
                )
            ],
        )
        for title, parameter, tallies, covered, names in parts
    ]


def _score_row(name: str, link: str, tally: Tally, coverage: Coverage | None = None) -> ScoreRow:
    return ScoreRow(
        name=name,
        link=link,
        tally=tally,
        failed=_failed(tally),
        foretold=_share(tally.mean_probability),
        brier=_few(tally.resolved, ENOUGH_RESOLVED) if tally.brier is None else f"{tally.brier:.3f}",
        of_base_rate="–" if tally.brier_of_base_rate is None else f"{tally.brier_of_base_rate:.3f}",
        skill=_skill(tally),
        coverage="" if coverage is None else _covered(coverage, coverage.share_90),
    )


def _failed(tally: Tally) -> str:
    if tally.base_rate is None:
        return "none resolved"
    failures = "1 failure" if tally.failures == 1 else f"{tally.failures:,} failures"
    return f"{tally.failed:,} ({tally.base_rate:.0%}), by {failures}" if tally.failed else "none"


def _skill(tally: Tally) -> str:
    if tally.skill is not None:
        return f"{tally.skill:+.2f}"
    if tally.resolved < ENOUGH_RESOLVED:
        return _few(tally.resolved, ENOUGH_RESOLVED)
    return f"{NOT_ENOUGH}: {'all' if tally.failed else 'none'} failed"


def _few(count: int, enough: int) -> str:
    return f"{NOT_ENOUGH}: {count} of {enough}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _bin_row(one: Bin) -> dict[str, Any]:
    has_enough = one.observed is not None
    return {
        "range": f"{one.low:.0%} to {one.high:.0%}",
        "count": one.count,
        "stretches": one.stretches,
        "foretold": _share(one.foretold),
        "observed": f"{one.observed:.1%}" if has_enough else _few(one.count, ENOUGH_IN_BIN),
        "interval": f"{one.observed_low:.0%} to {one.observed_high:.0%}" if has_enough else "–",
    }


def _coverage_rows(found: CoverageFound) -> list[dict[str, Any]]:
    near, far = AHEAD_EDGES_D
    named = [
        ("all", found.of_all),
        *(
            (name, found.by_ahead.get(place, Coverage()))
            for place, name in enumerate((f"the first {near} days", f"to day {far}", f"after day {far}"))
        ),
    ]
    return [
        {
            "name": name,
            "inside_90": _covered(coverage, coverage.share_90),
            "inside_80": _covered(coverage, coverage.share_80),
            "coverage": coverage,
        }
        for name, coverage in named
    ]


def _covered(coverage: Coverage, share: float | None) -> str:
    return f"{share:.0%}" if share is not None else f"{_few(coverage.paths, ENOUGH_PATHS)} forecasts"


def _lead_rows(lead: LeadTimes) -> list[tuple[str, str]]:
    named = [
        ("shortest", lead.shortest),
        ("a quarter within", lead.lower_quartile),
        ("half within (median)", lead.median),
        ("three quarters within", lead.upper_quartile),
        ("longest", lead.longest),
    ]
    return [(name, f"{days:.1f} d") for name, days in named]


def _histogram(lead: LeadTimes) -> list[dict[str, Any]]:
    edges = [f"under {LEAD_EDGES_D[0]} d"]
    edges += [f"{low}–{high} d" for low, high in pairwise(LEAD_EDGES_D)]
    edges.append(f"{LEAD_EDGES_D[-1]} d or more")
    return [
        {"name": name, "count": count, "share": count / lead.count}
        for name, count in zip(edges, lead.histogram, strict=True)
    ]
