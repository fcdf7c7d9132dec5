"""What the person behind a request may do; `OrganizationMiddleware` has put the facts on the request."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from smartmaint.accounts.models import Organization, Role

View = Callable[..., HttpResponseBase]


def allows(request: HttpRequest, role: Role) -> bool:
    """Whether this request may act in that role; the operator may, in the organisation they chose."""
    if request.organization is None:
        return False
    if request.user.is_superuser:
        return True
    return request.membership is not None and request.membership.allows(role)


def organization_of(request: HttpRequest) -> Organization:
    """The organisation whose rows this request is about (for DRF's requests too); raises PermissionDenied."""
    if request.organization is None:
        raise PermissionDenied("You belong to no organisation yet. Ask your admin, or choose one.")
    return request.organization


def role_required(role: Role) -> Callable[[View], View]:
    """Open a view to members with that role: others are sent to the log-in, or shown why not (403)."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _sent_elsewhere(request, redirect_to_login(request.get_full_path()))
            if request.user.is_superuser and request.organization is None:
                return _sent_elsewhere(request, redirect("switch-organization"))
            organization_of(request)
            if not allows(request, role):
                raise PermissionDenied(f"This page is for people with the role {role.label.lower()}.")
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def _sent_elsewhere(request: HttpRequest, to: HttpResponse) -> HttpResponse:
    """For htmx, which would put the other page into a piece of this one: load this one anew, which leads there."""
    return HttpResponse(status=204, headers={"HX-Refresh": "true"}) if request.htmx else to
