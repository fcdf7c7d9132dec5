"""Scoped admin of what each organisation has exactly one of, such as a policy."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from smartmaint.accounts.scoped_admin.history import ScopedHistoryAdmin


class OnlyRowAdmin(ScopedHistoryAdmin):
    """Each organisation has one from its beginning: it is changed, never added or deleted."""

    add_role = delete_role = None
    list_select_related = ["organization"]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        return self.list_display

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is one to show: go to it. The operator, looking at all organisations, gets the list."""
        row = self.model._default_manager.for_organization(request.organization).first()
        if row is None:
            return super().changelist_view(request, extra_context)
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", row.pk)
