"""Alarms on a phone: the list, one with its journal, and what can be done with it, also without JavaScript."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from equipment.models import Site
from sensors.alarms.states import Event
from sensors.forms import (
    AssignForm,
    CommentForm,
    OptionalCommentForm,
    ReasonForm,
    ShelveForm,
)
from sensors.models import Alarm, MachineEvent
from sensors.models.alarms import AlarmQuerySet
from sensors.services.alarms.handling import (
    acknowledge_alarm,
    assign_alarm,
    comment_alarm,
    put_back_into_service,
    reset_alarm,
    shelve_alarm,
    take_out_of_service,
    unshelve_alarm,
)
from sensors.services.alarms.moving import AlarmRefused
from sensors.services.alarms.telling import policy_of
from sensors.services.event_counts import events_behind
from smartmaint.accounts.access import allows, organization_of, role_required
from smartmaint.accounts.models import Organization, Role

PER_PAGE = 50
CAUSES_SHOWN = 20
ENTRIES_SHOWN = 100
EVENTS_SHOWN = 20
QUICK_HOURS = (1, 8, 24)


def quick_hours(organization: Organization) -> list[int]:
    """For how long an alarm can be shelved by a tap: what the policy allows."""
    longest = policy_of(organization).longest_shelving_h
    return sorted({min(hours, longest) for hours in QUICK_HOURS})


def alarms_of(request: HttpRequest) -> AlarmQuerySet:
    """The organisation's alarms with what a card shows."""
    return Alarm.objects.for_organization(organization_of(request)).select_related(
        "equipment__site", "failure_mode", "assigned_to", "acknowledged_by", "organization"
    )


# The lists of the page: the word in its address, its heading, and which alarms it holds.
LISTS: dict[str, tuple[str, Callable[[AlarmQuerySet], AlarmQuerySet]]] = {
    "open": ("Open", lambda alarms: alarms.annunciated().worst_first()),
    "aside": ("Set aside", lambda alarms: alarms.set_aside().worst_first()),
    "over": ("Over", lambda alarms: alarms.filter(closed_at__isnull=False).order_by("-closed_at", "-pk")),
}


@require_safe
@role_required(Role.VIEWER)
def alarm_list(request: HttpRequest) -> HttpResponse:
    """Open alarms by severity, then the newest; those set aside; those that are over. By site, or one's own."""
    organization = organization_of(request)
    shown = request.GET.get("show") if request.GET.get("show") in LISTS else "open"
    sites, chosen = Site.objects.for_organization(organization), request.GET.get("site", "")
    site = get_object_or_404(sites, pk=chosen) if chosen.isdecimal() and len(chosen) < 19 else None
    is_mine = request.GET.get("mine") == "1"
    rows = alarms_of(request)
    if site is not None:
        rows = rows.filter(equipment__site=site)
    if is_mine:
        rows = rows.filter(assigned_to=request.user)
    lists = [(name, title, choose(rows).count()) for name, (title, choose) in LISTS.items() if name != "over"]
    context = {
        "shown": shown,
        "lists": [*lists, ("over", LISTS["over"][0], None)],
        "page": Paginator(LISTS[shown][1](rows), PER_PAGE).get_page(request.GET.get("page")),
        "sites": sites,
        "site": site,
        "is_mine": is_mine,
        "query": f"&site={site.pk if site else ''}&mine={'1' if is_mine else ''}",
        "quick_hours": quick_hours(organization),
    }
    return render(request, "alarms/list.html", context)


@require_safe
def alarm_count(request: HttpRequest) -> HttpResponse:
    """How many alarms are open, which every page asks again and again.

    Who is logged out meanwhile is told nothing, and not led elsewhere: the page may hold what somebody is writing.
    """
    if not allows(request, Role.VIEWER):
        return HttpResponse(status=204)
    return render(request, "alarms/count.html")


@require_safe
@role_required(Role.VIEWER)
def alarm(request: HttpRequest, pk: int) -> HttpResponse:
    """One alarm: what is behind it, what happened to it, and what can be done."""
    found = get_object_or_404(alarms_of(request), pk=pk)
    causes = found.causes.select_related("anomaly__sensor", "anomaly__limit__sensor")
    newest_cause = causes.first()
    events = events_behind(newest_cause.anomaly) if newest_cause else MachineEvent.objects.none()
    context = {
        "alarm": found,
        "causes": causes[:CAUSES_SHOWN],
        "newest_cause": newest_cause,
        "events": events[:EVENTS_SHOWN],
        "more_events": max(0, events.count() - EVENTS_SHOWN),
        "journal": found.entries.select_related("by").order_by("-at", "-id")[:ENTRIES_SHOWN],
        "shelve_form": ShelveForm(),
        "comment_form": CommentForm(),
        "reason_form": ReasonForm(),
        "assign_form": AssignForm(
            organization=found.organization, initial={"assignee": found.assigned_to_id}
        ),
        "may_shelve": found.may(Event.SHELVED),
        "may_take_out": found.may(Event.TAKEN_OUT),
    }
    return render(request, "alarms/alarm.html", context)


@require_POST
@role_required(Role.TECHNICIAN)
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: OptionalCommentForm) -> None:
        acknowledge_alarm(alarm=found, by=request.user, comment=form.cleaned_data["comment"])

    return _handle(
        request, pk, OptionalCommentForm(request.POST), do, "Acknowledged: it calls nobody any more."
    )


@require_POST
@role_required(Role.TECHNICIAN)
def reset(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: forms.Form) -> None:
        reset_alarm(alarm=found, by=request.user)

    return _handle(request, pk, forms.Form(request.POST), do, "Reset.")


@require_POST
@role_required(Role.TECHNICIAN)
def shelve(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: ShelveForm) -> None:
        shelve_alarm(alarm=found, by=request.user, **form.cleaned_data)

    return _handle(request, pk, ShelveForm(request.POST), do, "Shelved. It comes back by itself.")


@require_POST
@role_required(Role.TECHNICIAN)
def unshelve(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: forms.Form) -> None:
        unshelve_alarm(alarm=found, by=request.user)

    return _handle(request, pk, forms.Form(request.POST), do, "Back from the shelf.")


@require_POST
@role_required(Role.TECHNICIAN)
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: CommentForm) -> None:
        comment_alarm(alarm=found, by=request.user, comment=form.cleaned_data["comment"])

    return _handle(request, pk, CommentForm(request.POST), do, "Your comment stands in its journal.")


@require_POST
@role_required(Role.TECHNICIAN)
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: AssignForm) -> None:
        assign_alarm(alarm=found, by=request.user, assignee=form.cleaned_data["assignee"])

    form = AssignForm(request.POST, organization=organization_of(request))
    return _handle(request, pk, form, do, "Assigned.")


@require_POST
@role_required(Role.MANAGER)
def take_out(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: ReasonForm) -> None:
        take_out_of_service(alarm=found, by=request.user, reason=form.cleaned_data["comment"])

    words = "Out of service: it calls nobody until it is put back."
    return _handle(request, pk, ReasonForm(request.POST), do, words)


@require_POST
@role_required(Role.MANAGER)
def put_back(request: HttpRequest, pk: int) -> HttpResponse:
    def do(found: Alarm, form: forms.Form) -> None:
        put_back_into_service(alarm=found, by=request.user)

    return _handle(request, pk, forms.Form(request.POST), do, "Back in service.")


def _handle(
    request: HttpRequest, pk: int, form: forms.Form, do: Callable[[Alarm, forms.Form], None], done: str
) -> HttpResponse:
    """Do what was asked, or say why not: on the card alone for htmx, else on the page that it came from."""
    found = get_object_or_404(alarms_of(request), pk=pk)
    refused = ""
    if form.is_valid():
        try:
            do(found, form)
        except AlarmRefused as error:
            refused = str(error)
    else:
        refused = " ".join(
            f"{form[name].label if name != '__all__' else ''} {' '.join(errors)}".strip()
            for name, errors in form.errors.items()
        )
    if request.htmx:
        context = {
            "alarm": get_object_or_404(alarms_of(request), pk=pk),
            "refused": refused,
            "done": "" if refused else done,
            "quick_hours": quick_hours(found.organization),
            "is_answer": True,
        }
        return render(request, "alarms/card.html", context)
    if refused:
        messages.error(request, refused)
    else:
        messages.success(request, done)
    return redirect(_page_to_return_to(request, pk))


def _page_to_return_to(request: HttpRequest, pk: int) -> str:
    wanted = request.POST.get("next", "")
    is_here = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    if is_here and wanted.startswith(reverse("alarm-list")):
        return wanted
    return reverse("alarm", args=[pk])
