"""Where readings stand, for the operator of the service."""

from datetime import timedelta

from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from sensors.services.retention import COMPRESSED_AFTER, longest_retention
from sensors.storage.kinds import Facts, kind

A_MOMENT = timedelta(microseconds=1)


@require_safe
def storage_page(request: HttpRequest, *, model_admin: ModelAdmin) -> HttpResponse:
    """Which kind of storage is in use, and how much of it; the operator's alone."""
    if not request.user.is_superuser:
        raise PermissionDenied("This page is for the operator of the service.")
    kept = longest_retention()
    facts = kind().facts()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Storage of readings",
        "facts": [
            ("kind", facts.name),
            ("size, with indexes", filesizeformat(facts.size)),
            ("parts", f"{facts.parts:,}"),
            ("room for readings", _span(facts)),
            ("compression", _compression(facts)),
            ("longest kept", f"{kept.days:,} days" if kept else "there is no organisation yet"),
        ],
    }
    return TemplateResponse(request, "admin/sensors/storage.html", context)


def _span(facts: Facts) -> str:
    """From the first day there is room for to the last one, in UTC, by which parts are cut."""
    if facts.oldest_at is None or facts.newest_at is None:
        return "none yet"
    first, last = facts.oldest_at, facts.newest_at - A_MOMENT
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    words = f"{months} months" if months > 1 else "1 month"
    return f"{date_format(first, 'j M Y')} to {date_format(last, 'j M Y')}: {words}"


def _compression(facts: Facts) -> str:
    if not facts.can_compress:
        return "none: it wants TimescaleDB under its own licence"
    if not facts.compressed_parts:
        return f"nothing yet: parts older than {COMPRESSED_AFTER.days} days"
    share = f"{facts.compressed_parts:,} of {facts.parts:,} parts"
    return f"{share}, {filesizeformat(facts.saved)} saved"
