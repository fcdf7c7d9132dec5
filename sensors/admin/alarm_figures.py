"""The page of an alarm system's key figures, for managers: no figure where there is not enough to say one."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.views.decorators.http import require_safe

from sensors import storage
from sensors.alarms.key_figures import (
    ACCEPTABLE_PER_HOUR,
    ENOUGH_CALLS,
    ENOUGH_HOURS,
    MANAGEABLE_PER_HOUR,
    MOST_IN_TEN_MINUTES,
    MOST_STANDING,
    WANTED_SHARES,
)
from sensors.models import AlarmState
from sensors.services.alarms.key_figures import AlarmFigures, read_alarm_figures
from smartmaint.notifications.models import Severity

PERIODS = (7, 30, 90)
NOT_ENOUGH = "not enough data"


@dataclass(frozen=True)
class Line:
    """One key figure: what it is, its value in words, what is wanted, and whether that is met (None: not known)."""

    name: str
    value: str
    wanted: str
    is_met: bool | None
    note: str = ""


@require_safe
def alarm_figures_page(request: HttpRequest, *, model_admin: ModelAdmin) -> HttpResponse:
    """The figures of the request's organisation over one of the periods."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    asked = request.GET.get("days", str(PERIODS[1]))
    if asked not in {str(days) for days in PERIODS}:
        return HttpResponseBadRequest(f"days is one of {', '.join(map(str, PERIODS))}.")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Key figures of the alarms",
        "periods": PERIODS,
        "days": int(asked),
        "enough_hours": ENOUGH_HOURS,
        "enough_calls": ENOUGH_CALLS,
        "period": None,
    }
    if request.organization is not None:
        found = read_alarm_figures(request.organization, days=int(asked))
        context |= {
            "period": found,
            "lines": _lines(found),
            "severities": _severities(found),
            "frequent": _frequent(found),
            "states": _states(found),
        }
    return TemplateResponse(request, "admin/sensors/alarm_figures.html", context)


def _lines(found: AlarmFigures) -> list[Line]:
    figures = found.figures
    rate = figures and figures.per_person_hour
    peak = figures and figures.peak
    busy = figures and figures.busy_share
    return [
        Line(
            "Calls per person and hour",
            NOT_ENOUGH if rate is None else f"{rate:.2g}",
            f"up to {ACCEPTABLE_PER_HOUR:.0f}; {MANAGEABLE_PER_HOUR:.0f} at most",
            None if rate is None else rate <= ACCEPTABLE_PER_HOUR,
            f"{figures.calls} calls in {figures.hours:.0f} h, {found.operators} on watch" if figures else "",
        ),
        Line(
            "Most calls in ten minutes",
            NOT_ENOUGH if peak is None else str(peak),
            f"up to {MOST_IN_TEN_MINUTES}",
            None if peak is None else peak <= MOST_IN_TEN_MINUTES,
            f"on {date_format(localtime(storage.moment(figures.peak_at_us)), 'j M Y, H:i')}"
            if figures and figures.peak_at_us
            else "",
        ),
        Line(
            "Ten minutes with more than ten calls",
            NOT_ENOUGH if busy is None else f"{busy:.2%}",
            "under 1 %",
            None if busy is None else busy < 0.01,
            "" if busy is None else f"{found.floods} flood{'s' if found.floods != 1 else ''}",
        ),
        Line(
            "Standing for more than a day, now",
            NOT_ENOUGH if figures is None else str(found.standing_count),
            f"under {MOST_STANDING}",
            None if figures is None else found.standing_count < MOST_STANDING,
        ),
        Line(
            "Until somebody acknowledges, the middle one",
            NOT_ENOUGH if found.minutes_to_acknowledge is None else f"{found.minutes_to_acknowledge:.0f} min",
            "",
            None,
        ),
    ]


def _severities(found: AlarmFigures) -> list[dict[str, Any]]:
    shares = found.figures.shares if found.figures else None
    return [
        {
            "severity": severity.label,
            "share": None if shares is None else round(shares[severity] * 100, 1),
            "wanted": f"about {WANTED_SHARES[severity]:.0%}",
        }
        for severity in Severity
    ]


def _frequent(found: AlarmFigures) -> list[dict[str, Any]]:
    return [
        {
            "name": found.names[one.point],
            "machine": found.machines[one.point],
            "calls": one.calls,
            "share": f"{one.share:.0%}",
            "remark": _remark(one),
        }
        for one in (found.figures.frequent if found.figures else [])
    ]


def _remark(one: Any) -> str:
    if one.is_chattering:
        return f"chatters: {one.most_in_a_minute} calls in a minute"
    return f"repeats: {one.most_in_an_hour} calls in an hour" if one.is_repeating else ""


def _states(found: AlarmFigures) -> list[tuple[str, int]]:
    return [(state.label, found.states[state]) for state in AlarmState if found.states.get(state)]
