"""Scoped admin with the history that django-simple-history keeps."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from simple_history.admin import SimpleHistoryAdmin

from smartmaint.accounts.scoped_admin.model_admin import ScopedModelAdmin
from smartmaint.accounts.scoped_admin.rows import sees_all


class ScopedHistoryAdmin(SimpleHistoryAdmin, ScopedModelAdmin):
    """Who changed what, when, and going back to an earlier version.

    simple-history reads its own tables, past the admin's queryset, and lets whoever may look also revert, even
    where it hides the button: all of that is closed here.
    """

    def get_history_queryset(
        self, request: HttpRequest, history_manager: Any, pk_name: str, object_id: Any
    ) -> QuerySet:
        versions = super().get_history_queryset(request, history_manager, pk_name, object_id)
        return versions if sees_all(request) else versions.filter(organization=request.organization)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict | None = None
    ) -> HttpResponse:
        row = self.own_row(request, object_id)
        may_revert = self.has_change_permission(request, row) and not self.revert_disabled(request, row)
        if request.method == "POST" and not may_revert:
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)
