"""What a scoped admin page and a scoped inline share: rows, roles, and the choices of form fields."""

from typing import Any, ClassVar

from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest

from smartmaint.accounts.access import allows
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin.forms import ScopedModelForm
from smartmaint.accounts.scoped_admin.rows import own_rows, sees_all


class ScopedOptions(BaseModelAdmin):
    """Rows of the request's organisation, opened by role instead of by Django's permissions.

    The four roles say who may; None says that nobody may, not even the operator. The operator acts like an
    admin in the organisation they chose; looking at all organisations they only look.
    """

    view_role: ClassVar[Role | None] = Role.VIEWER
    add_role: ClassVar[Role | None] = Role.MANAGER
    change_role: ClassVar[Role | None] = Role.MANAGER
    delete_role: ClassVar[Role | None] = Role.MANAGER
    form = ScopedModelForm

    def require_safe_options(self) -> None:
        """Refuse, when the admin is registered, what would open a hole in the wall."""
        if self.raw_id_fields:
            raise ImproperlyConfigured(
                f"{self}: raw_id_fields shows the names of foreign rows; use autocomplete_fields."
            )
        if not issubclass(self.form, ScopedModelForm):
            raise ImproperlyConfigured(f"{self}: its form must derive from ScopedModelForm.")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows if sees_all(request) else rows.for_organization(request.organization)

    def may(self, request: HttpRequest, role: Role | None, row: Model | None = None) -> bool:
        """Whether this request may act in `role`, on `row` if one is given (unfold passes ids: no rows)."""
        if role is None:
            return False
        is_foreign = isinstance(row, self.model) and row.organization_id != getattr(
            request.organization, "pk", None
        )
        return allows(request, role) and not is_foreign

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if sees_all(request):
            return self.view_role is not None
        return self.may(request, self.view_role, obj) or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.change_role, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.delete_role, obj)

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        excluded = super().get_exclude(request, obj) or self.form._meta.exclude or ()
        return [*excluded, "organization"]

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        return self._own_choices(super().formfield_for_foreignkey(db_field, request, **kwargs), request)

    def formfield_for_manytomany(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        return self._own_choices(super().formfield_for_manytomany(db_field, request, **kwargs), request)

    def _own_choices(self, form_field: Any, request: HttpRequest) -> Any:
        """Narrow a field's choices, so that the id of a foreign row is a plain "not one of the choices"."""
        if form_field is not None:
            form_field.queryset = form_field.queryset.filter(own_rows(form_field.queryset.model, request))
        return form_field
