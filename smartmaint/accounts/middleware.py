"""Lets programs with a key straight in, and puts the organisation and the time zone of people in place."""

from collections.abc import Callable

import structlog
from axes.helpers import get_client_ip_address
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone

from smartmaint.accounts.api import secret_in
from smartmaint.accounts.models import Membership, Organization

log = structlog.get_logger(__name__)

SESSION_KEY = "organization_id"


class ProgramsFirstMiddleware:
    """Hands a request with a key to its view at once, past what only people need, if the view `is_for_programs`.

    Session, form token, messages, history and page policy cost as much as the rest of a small request. Of what comes
    by the hundred a second, only what was refused is told in the log.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if secret_in(request) is not None:
            try:
                view, arguments, named = resolve(request.path_info)
            except Resolver404:
                return self.get_response(request)
            if getattr(view, "is_for_programs", False):
                request.get_host()  # raises DisallowedHost, as on the usual way
                return self._finish(request, view(request, *arguments, **named))
        return self.get_response(request)

    def _finish(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        # Without its length the server would answer in chunks.
        response.headers["Content-Length"] = str(len(response.content))
        if response.status_code >= 400:
            api_key = getattr(request, "api_key", None)
            log.warning(
                "request_finished",
                request=f"{request.method} {request.path}",
                code=response.status_code,
                key=api_key and api_key.prefix,
                ip=get_client_ip_address(request),
            )
        return response


class OrganizationMiddleware:
    """Sets `request.memberships`, `request.membership` and `request.organization`.

    They are read anew for each request, so that a changed role or a closed membership holds from the next
    click. A person of one organisation is in that one; a person of several in the one they chose; the
    operator in the one they chose or, with None, in all of them. Nobody's request, and a request by key
    until its key is checked, has none.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self._place(request)
        # The API speaks UTC, whoever asks.
        if request.organization is None or request.path.startswith("/api/"):
            return self.get_response(request)
        with timezone.override(request.organization.zone):
            return self.get_response(request)

    def _place(self, request: HttpRequest) -> None:
        request.memberships, request.membership, request.organization = [], None, None
        if not request.user.is_authenticated:
            return
        request.memberships = list(
            Membership.objects.active()
            .filter(user=request.user)
            .select_related("organization")
            .order_by("organization__name")
        )
        chosen_id = request.session.get(SESSION_KEY)
        of_choice = [member for member in request.memberships if member.organization_id == chosen_id]
        if request.user.is_superuser:
            request.membership = next(iter(of_choice), None)
            request.organization = Organization.objects.filter(pk=chosen_id).first() if chosen_id else None
        elif request.memberships:
            request.membership = (of_choice or request.memberships)[0]
            request.organization = request.membership.organization
