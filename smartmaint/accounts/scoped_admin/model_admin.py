"""The one base of every admin page about an organisation's rows."""

from typing import Any, NoReturn

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.forms import BaseModelForm
from django.http import Http404, HttpRequest
from unfold.admin import ModelAdmin

from smartmaint.accounts.scoped_admin.filters import scoped_filter
from smartmaint.accounts.scoped_admin.forms import ScopedModelForm
from smartmaint.accounts.scoped_admin.options import ScopedOptions
from smartmaint.accounts.scoped_admin.rows import sees_all


class ScopedModelAdmin(ScopedOptions, ModelAdmin):
    """Lists, pages, forms, filters, searches, autocompletes, actions and histories of own rows only.

    A foreign row is a 404. Everything hangs on `get_queryset`; what Django reads past it is narrowed here.
    """

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        self.require_safe_options()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, self.add_role)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) or self.has_add_permission(request)

    def own_row(self, request: HttpRequest, object_id: str) -> Model:
        """The row an own page or action of a subclass is about; raises Http404 for a foreign one."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        return row

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> type[BaseModelForm]:
        form_class = super().get_form(request, obj, change=change, **kwargs)
        form_class.organization = request.organization
        return form_class

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[BaseModelForm]:
        form_class = super().get_changelist_form(request, **{"form": ScopedModelForm, **kwargs})
        form_class.organization = request.organization
        return form_class

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [scoped_filter(self.model, entry) for entry in super().get_list_filter(request)]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(super().get_list_display(request))
        return [*columns, "organization"] if sees_all(request) else columns

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Where Django would go back to the index with a message, a foreign or missing row is a 404."""
        raise Http404(f"There is no such {opts.verbose_name}.")


class ReadOnlyScopedModelAdmin(ScopedModelAdmin):
    """For ledgers: to be read, never to be written by hand."""

    add_role = change_role = delete_role = None
