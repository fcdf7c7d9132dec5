"""One shape for every error of the API: RFC 9457 problem details with a stable `code`.

`handler403`, `handler404` and `handler500` of the URL configuration point here, so that what goes wrong
before or outside a view has the same shape under /api/, and a page elsewhere.
"""

import sys
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.exceptions import APIException, ErrorDetail, NotFound
from rest_framework.exceptions import PermissionDenied as ForbiddenByApi
from rest_framework.views import set_rollback

RETRY_AFTER_SECONDS = 5
DATABASE_AWAY = (OperationalError, InterfaceError)

log = structlog.get_logger(__name__)


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
) -> JsonResponse:
    """An answer of type application/problem+json; for Django's views and DRF's alike."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


def database_away() -> JsonResponse:
    """Nothing was written; the sender keeps its readings and comes back."""
    return problem(
        503,
        "database_away",
        "The database does not answer. Nothing was written; try again.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exception handler; None lets an unexpected error go on to `server_error`."""
    set_rollback()
    return problem_of(error)


def problem_of(error: Exception) -> HttpResponse | None:
    """The answer for an error that a client can understand, for views outside DRF too."""
    match error:
        case OperationalError() | InterfaceError():
            log.warning("database_away", error=str(error))
            return database_away()
        case ValidationError():
            return problem(400, "invalid", "Some fields are not valid.", errors=_messages(error))
        case Http404():
            return _api_problem(NotFound())
        case PermissionDenied():
            return _api_problem(ForbiddenByApi(*error.args))
        case APIException():
            return _api_problem(error)
    return None


def _api_problem(error: APIException) -> JsonResponse:
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if isinstance(error.detail, ErrorDetail):
        return problem(error.status_code, error.detail.code, str(error.detail), headers=headers)
    return problem(
        error.status_code, "invalid", "Some fields are not valid.", headers=headers, errors=error.detail
    )


def _messages(error: ValidationError) -> dict[str, list[str]] | list[str]:
    return error.message_dict if hasattr(error, "error_dict") else error.messages


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return problem(403, "permission_denied", str(exception) or "You may not do this.")
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return problem(404, "not_found", "There is nothing at this address.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """The last resort, also for middleware: a database that went away while a session was read ends here."""
    if not _is_api(request):
        return defaults.server_error(request)
    if isinstance(sys.exception(), DATABASE_AWAY):
        return database_away()
    return problem(500, "internal_error", "Something went wrong on our side; it has been logged.")


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
