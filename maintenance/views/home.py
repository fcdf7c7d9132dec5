"""Where everybody arrives: the next job, what waits for a manager, or how the plant is."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from maintenance.jobs import open_jobs, recently_done, technician_of
from maintenance.machines import machine_rows, tree_rows
from maintenance.overview import (
    AT_RISK_SHOWN,
    Number,
    gather_overview,
    has_machines,
    machines_at_risk,
    numbers_of_manager,
    numbers_of_technician,
    numbers_of_viewer,
)
from predictions.models import Prediction
from sensors.models import Alarm
from smartmaint.accounts.access import allows, organization_of, role_required
from smartmaint.accounts.models import Organization, Role

MACHINES_SHOWN = 20


@require_safe
@role_required(Role.VIEWER)
def home(request: HttpRequest) -> HttpResponse:
    organization = organization_of(request)
    page = {**_now(request), "has_machines": has_machines(organization)}
    if allows(request, Role.MANAGER):
        page |= {"overview": gather_overview(organization), "at_risk": _at_risk(organization)}
        return render(request, "home/manager.html", page)
    if allows(request, Role.TECHNICIAN):
        return render(request, "home/technician.html", page | _digest(request, organization))
    top = [row for row in tree_rows(organization) if row.depth == 0]
    page |= {"at_risk": _at_risk(organization), "machines": machine_rows(top[:MACHINES_SHOWN])}
    return render(request, "home/viewer.html", page)


@require_safe
@role_required(Role.VIEWER)
def home_numbers(request: HttpRequest) -> HttpResponse:
    """What stands on top of the home page, asked for again and again while it is open."""
    return render(request, "home/numbers.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    alarms = Alarm.objects.for_organization(organization_of(request)).unanswered().worst_first()
    worst = alarms.select_related("equipment", "failure_mode").first()
    return {"numbers": _numbers(request), "worst_alarm": worst}


def _numbers(request: HttpRequest) -> list[Number]:
    organization = organization_of(request)
    if allows(request, Role.MANAGER):
        return numbers_of_manager(organization)
    technician = technician_of(request.user, organization)
    if technician is not None:
        return numbers_of_technician(organization, technician)
    return numbers_of_viewer(organization)


def _at_risk(organization: Organization) -> list[Prediction]:
    return machines_at_risk(organization)[:AT_RISK_SHOWN]


def _digest(request: HttpRequest, organization: Organization) -> dict[str, Any]:
    technician = technician_of(request.user, organization)
    if technician is None:
        return {"technician": None, "at_risk": _at_risk(organization)}
    jobs = open_jobs(organization, technician)
    return {
        "technician": technician,
        "next_job": jobs[0] if jobs else None,
        "more_jobs": jobs[1:4],
        "done": recently_done(organization, technician),
    }
