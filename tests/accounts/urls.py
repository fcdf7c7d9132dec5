"""A small site that stands on the walls: scoped admin pages of every kind, API views of every kind."""

from django.contrib.admin import register
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter

from equipment.models import Equipment, EquipmentClass, Failure, FailureMode, Site
from sensors.models import ReadingBatch
from smartmaint import api_docs
from smartmaint.accounts import urls as accounts_urls
from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role, Scope
from smartmaint.accounts.scoped_admin import (
    ReadOnlyScopedModelAdmin,
    ScopedHistoryAdmin,
    ScopedModelAdmin,
    ScopedTabularInline,
    WorkQueueAdmin,
)
from smartmaint.admin_site import SmartMaintAdminSite
from smartmaint.notifications import urls as notifications_urls


class SmallSite(SmartMaintAdminSite):
    """The product's site without its menu, whose pages are not all here."""

    def get_sidebar_list(self, request: HttpRequest) -> list[dict]:
        return []


site = SmallSite(name="admin")


class EquipmentInline(ScopedTabularInline):
    model = Equipment
    fields = ["tag", "name", "equipment_class", "parent"]


@register(Site, site=site)
class SiteAdmin(ScopedModelAdmin):
    search_fields = ["name"]
    list_editable = ["name"]
    list_display = ["id", "name"]
    inlines = [EquipmentInline]


@register(Equipment, site=site)
class EquipmentAdmin(ScopedHistoryAdmin):
    search_fields = ["tag"]
    autocomplete_fields = ["site"]
    list_filter = [
        "equipment_class",
        "site__name",
        ("parent", RelatedDropdownFilter),
        ("site", AutocompleteSelectFilter),
    ]


@register(Failure, site=site)
class FailureAdmin(ReadOnlyScopedModelAdmin):
    pass


@register(ReadingBatch, site=site)
class BatchAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    list_filter = ["is_historical"]


@register(FailureMode, EquipmentClass, site=site)
class ClassAdmin(ScopedModelAdmin):
    pass


class KeyOrViewer(APIView):
    required_scope = Scope.READ
    required_role = Role.VIEWER

    def get(self, request: Request) -> Response:
        return Response(
            {"organization": organization_of(request).slug, "zone": str(timezone.get_current_timezone())}
        )

    post = get


class Undeclared(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


class DatabaseAway(KeyOrViewer):
    def get(self, request: Request) -> Response:
        raise OperationalError("server closed the connection unexpectedly")


class Broken(KeyOrViewer):
    def get(self, request: Request) -> Response:
        raise ZeroDivisionError


class Missing(KeyOrViewer):
    def get(self, request: Request) -> Response:
        raise Http404


def database_away_outside_views(request: HttpRequest) -> HttpResponse:
    raise OperationalError("connection refused")


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.organization} {timezone.get_current_timezone()}")


urlpatterns = [
    path("", page, name="home"),
    path("jobs/", role_required(Role.TECHNICIAN)(page), name="my-jobs"),
    path("alarms/", role_required(Role.VIEWER)(page), name="alarm-list"),
    path("alarms/count/", role_required(Role.VIEWER)(page), name="alarm-count"),
    path("machines/", role_required(Role.VIEWER)(page), name="machine-list"),
    path("", include(accounts_urls)),
    path("", include(notifications_urls)),
    path("admin/", site.urls),
    path("api/", include(api_docs)),
    path("api/both/", KeyOrViewer.as_view()),
    path("api/undeclared/", Undeclared.as_view()),
    path("api/away/", DatabaseAway.as_view()),
    path("api/away-plain/", database_away_outside_views),
    path("api/broken/", Broken.as_view()),
    path("api/missing/", Missing.as_view()),
]
handler403 = "smartmaint.problems.permission_denied"
handler404 = "smartmaint.problems.page_not_found"
handler500 = "smartmaint.problems.server_error"
