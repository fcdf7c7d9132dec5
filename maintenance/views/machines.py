"""The plant: its machines as a tree, and each machine with its story."""

from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from equipment.models import Equipment, Failure, Site
from maintenance.health import show_health
from maintenance.machines import machine_rows, newest_predictions, sensors_of, tree_rows
from maintenance.story import Place, tell_story
from sensors.models import Alarm, Limit, Sensor
from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role

MACHINES_PER_PAGE = 100
FAILURES_SHOWN = 5
PLOT_DAYS = (7, 30, 90)


@require_safe
@role_required(Role.VIEWER)
def machine_list(request: HttpRequest) -> HttpResponse:
    """All machines, or those of a site or with a word in tag or name."""
    organization = organization_of(request)
    sites = Site.objects.for_organization(organization)
    chosen, search = request.GET.get("site", ""), request.GET.get("search", "").replace("\0", "").strip()
    site = get_object_or_404(sites, pk=chosen) if chosen.isdecimal() else None
    pages = Paginator(tree_rows(organization, site=site, search=search), MACHINES_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "sites": sites,
        "site": site,
        "search": search,
        "query": "&" + urlencode({"search": search, "site": site.pk if site else ""}),
        "page": page,
        "machines": machine_rows(page.object_list),
    }
    return render(request, "maintenance/machine_list.html", context)


@require_safe
@role_required(Role.VIEWER)
def machine(request: HttpRequest, pk: int) -> HttpResponse:
    """A machine: facts, sensors, risks, work, and its story page by page."""
    machines = Equipment.objects.for_organization(organization_of(request))
    found = get_object_or_404(
        machines.select_related("site", "equipment_class", "parent", "organization"), pk=pk
    )
    days = _days(request)
    story = tell_story(found, start=Place.parse(request.GET.get("from", "")))
    context = {
        "machine": found,
        "path": found.ancestors(),
        "children": found.children.all(),
        "sensors": sensors_of(found),
        "days": days,
        "days_text": str(days),
        "plot_days": PLOT_DAYS,
        "predictions": newest_predictions(
            Limit.objects.filter(sensor__equipment=found), sensors=Sensor.objects.filter(equipment=found)
        ),
        "alarms": Alarm.objects.open()
        .filter(equipment=found)
        .worst_first()
        .select_related("failure_mode", "equipment"),
        "failures": Failure.objects.filter(equipment=found).select_related("failure_mode")[:FAILURES_SHOWN],
        "story": story,
        "health": show_health(found),
    }
    return render(request, "maintenance/machine.html", context)


def _days(request: HttpRequest) -> int:
    return next((days for days in PLOT_DAYS if request.GET.get("days") == str(days)), PLOT_DAYS[0])
