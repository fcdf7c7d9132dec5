"""How many alarms there are, for the navigation of every page."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from sensors.alarms.states import UNANSWERED
from sensors.models import Alarm


def alarms(request: HttpRequest) -> dict[str, Any]:
    """`alarm_counts`: open, and unanswered of them; asked of the database only by a page that shows it."""
    return {"alarm_counts": SimpleLazyObject(lambda: count_alarms(request))}


def count_alarms(request: HttpRequest) -> dict[str, int]:
    alarms = Alarm.objects.for_organization(getattr(request, "organization", None)).annunciated()
    return alarms.aggregate(open=Count("pk"), unanswered=Count("pk", filter=Q(state__in=UNANSWERED)))


def badge(request: HttpRequest) -> str:
    """What stands beside "Alarms" in the admin: how many are open; nothing where there are none."""
    return str(count_alarms(request)["open"] or "")
