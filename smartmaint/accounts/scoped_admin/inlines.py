"""Scoped rows inside the page of another scoped row."""

from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from unfold.admin import StackedInline, TabularInline

from smartmaint.accounts.scoped_admin.options import ScopedOptions


class ScopedInline(ScopedOptions):
    """What the two shapes of inlines share."""

    extra = 0

    def __init__(self, parent_model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(parent_model, admin_site)
        self.require_safe_options()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.add_role)

    def get_formset(
        self, request: HttpRequest, obj: Model | None = None, **kwargs: Any
    ) -> type[BaseInlineFormSet]:
        formset_class = super().get_formset(request, obj, **kwargs)
        formset_class.form.organization = request.organization
        return formset_class


class ScopedTabularInline(ScopedInline, TabularInline):
    """One row per line."""


class ScopedStackedInline(ScopedInline, StackedInline):
    """One block per row."""
