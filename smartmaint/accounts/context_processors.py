"""What every page knows of the person who looks at it."""

from typing import Any

from django.http import HttpRequest

from smartmaint.accounts.access import allows
from smartmaint.accounts.models import Role


def organization(request: HttpRequest) -> dict[str, Any]:
    """`organization`, `membership`, `memberships`, and a flag for each role that this request includes."""
    if not hasattr(request, "organization"):
        return {}  # An error before the middleware ran.
    return {
        "organization": request.organization,
        "membership": request.membership,
        "memberships": request.memberships,
        "may_switch_organization": request.user.is_superuser or len(request.memberships) > 1,
        "is_viewer": allows(request, Role.VIEWER),
        "is_technician": allows(request, Role.TECHNICIAN),
        "is_manager": allows(request, Role.MANAGER),
        "is_admin": allows(request, Role.ADMIN),
        "may_open_admin": request.user.is_superuser
        or (request.membership is not None and request.membership.role != Role.TECHNICIAN),
    }
