"""A person's own messages, and what they want to be told."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role
from smartmaint.notifications.forms import PreferenceForm
from smartmaint.notifications.models import Notification
from smartmaint.notifications.services.preferences import preference_of, set_preference

PER_PAGE = 25


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def my_notifications(request: HttpRequest) -> HttpResponse:
    """What this person was told, the newest first, and the form of their choice."""
    organization = organization_of(request)
    preference = preference_of(request.user, organization)
    form = PreferenceForm.of(preference, data=request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        set_preference(user=request.user, organization=organization, **form.cleaned_data)
        messages.success(request, "Kept. It holds for what is told from now on.")
        return redirect("notifications")
    told = Notification.objects.for_organization(organization).filter(recipient=request.user)
    page = Paginator(told, PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "has_address": bool(request.user.email)}
    return render(request, "notifications/mine.html", context, status=422 if form.errors else 200)
