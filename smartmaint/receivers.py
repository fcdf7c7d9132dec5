"""Reactions of the project itself to the signals of what it is made of."""

from typing import Any

from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django_structlog.signals import bind_extra_request_finished_metadata


@receiver(bind_extra_request_finished_metadata)
def on_request_finished(
    sender: object,
    *,
    request: HttpRequest,
    response: HttpResponse,
    log_kwargs: dict[str, Any],
    **kwargs: object,
) -> None:
    """Leave out of the log what was taken by a view whose class has `is_logged_when_taken = False`."""
    view = request.resolver_match and getattr(request.resolver_match.func, "view_class", None)
    if response.status_code < 400 and not getattr(view, "is_logged_when_taken", True):
        log_kwargs["is_news"] = False
