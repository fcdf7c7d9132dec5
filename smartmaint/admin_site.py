"""The admin site: who comes in, and how it looks."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

from smartmaint.accounts.models import Role

View = Callable[..., HttpResponse]


class SmartMaintAdminSite(UnfoldAdminSite):
    """Opens to managers and admins, to viewers who only look, and to the operator.

    Technicians have pages of their own. Django's `is_staff` plays no part: a membership says who comes in.
    """

    index_title = "Overview"

    def has_permission(self, request: HttpRequest) -> bool:
        if not request.user.is_active:
            return False
        if request.user.is_superuser:
            return True
        return request.membership is not None and request.membership.role != Role.TECHNICIAN

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Tell people who may not come in why, and allow Alpine its scripts."""
        guarded = super().admin_view(
            csp_update({"script-src": settings.ADMIN_SCRIPT_SOURCES})(view), cacheable
        )

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not self.has_permission(request):
                raise PermissionDenied("These pages are for managers. Your own work is on your home page.")
            return guarded(request, *args, **kwargs)

        return update_wrapper(inner, view)

    def extra_urls(self) -> list[URLPattern]:
        """Stands before Django's own address of the same name, which would find foreign rows."""
        return [
            path(
                "r/<path:content_type_id>/<path:object_id>/",
                self.admin_view(self.view_on_site),
                name="view_on_site",
            )
        ]

    def view_on_site(self, request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
        """Go to a row's page outside the admin, if this person may see the row."""
        content_type = (
            ContentType.objects.filter(pk=content_type_id).first() if content_type_id.isdecimal() else None
        )
        model_admin = self._registry.get(content_type.model_class()) if content_type else None
        row = model_admin and model_admin.get_object(request, object_id)
        if (
            row is None
            or not model_admin.has_view_permission(request, row)
            or not hasattr(row, "get_absolute_url")
        ):
            raise Http404("There is no such page.")
        return redirect(row.get_absolute_url())

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One log-in page for everybody."""
        if request.user.is_authenticated:
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("password_change")


def environment(request: HttpRequest) -> list[str] | None:
    """The label at the top of each page: whose rows these are."""
    if not request.user.is_authenticated:
        return None
    return [request.organization.name, "info"] if request.organization else ["All organisations", "warning"]


def site_subheader(request: HttpRequest) -> str:
    return request.organization.name if getattr(request, "organization", None) else ""
