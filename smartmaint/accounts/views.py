"""Choosing the organisation to work in; logging in and out and passwords are Django's own views."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from smartmaint.accounts.middleware import SESSION_KEY
from smartmaint.accounts.models import Organization

ALL = "all"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def switch_organization(request: HttpRequest) -> HttpResponse:
    """Show the organisations a person may work in; a POST of one's id (the operator: or "all") chooses it."""
    choices = _choices(request)
    if request.method != "POST":
        return render(request, "registration/switch_organization.html", {"choices": choices})
    wanted = request.POST.get("organization", "")
    if wanted == ALL and request.user.is_superuser:
        request.session.pop(SESSION_KEY, None)
        messages.success(request, "You now see all organisations.")
        return redirect("home")
    chosen = next((organization for organization in choices if str(organization.pk) == wanted), None)
    if chosen is None:
        raise Http404("You have no place in such an organisation.")
    request.session[SESSION_KEY] = chosen.pk
    messages.success(request, f"You now work in {chosen}.")
    return redirect("home")


def _choices(request: HttpRequest) -> list[Organization]:
    if request.user.is_superuser:
        return list(Organization.objects.all())
    return [membership.organization for membership in request.memberships]
