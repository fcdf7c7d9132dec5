"""List filters that offer own rows only, whatever class of filter an admin names."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model
from django.http import HttpRequest
from unfold.contrib.filters.admin.mixins import AutocompleteMixin

from smartmaint.accounts.scoped_admin.rows import own_rows, sees_all


class OwnRelatedRows(admin.RelatedFieldListFilter):
    """Offers the linked rows of the own organisation."""

    def field_choices(self, field: Field, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple]:
        if sees_all(request):
            return super().field_choices(field, request, model_admin)
        return field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to=own_rows(field.related_model, request),
        )


class OwnAutocompleteRows(AutocompleteMixin):
    """Shows the name of a chosen row only when it is an own one."""

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        for choice in super().choices(changelist):
            field = choice["form"].fields[self.lookup_kwarg]
            if not sees_all(self.request):
                field.queryset = field.queryset.filter(own_rows(field.queryset.model, self.request))
            yield choice


class OwnValues(admin.AllValuesFieldListFilter):
    """Offers the values that occur in own rows, also for a column of a linked table."""

    def __init__(
        self,
        field: Field,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Model],
        model_admin: ModelAdmin,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        own = model_admin.get_queryset(request).order_by(field_path)
        self.lookup_choices = own.values_list(field_path, flat=True).distinct()


# The most special first: a filter is narrowed by the first of these it derives from.
NARROWER = [
    (AutocompleteMixin, OwnAutocompleteRows),
    # Offers what own rows of the list are linked to, which is inside already.
    (admin.RelatedOnlyFieldListFilter, None),
    (admin.RelatedFieldListFilter, OwnRelatedRows),
    (admin.AllValuesFieldListFilter, OwnValues),
]


def scoped_filter(model: type[Model], entry: Any) -> Any:
    """Turn one entry of an admin's `list_filter` into one that offers own rows only."""
    if isinstance(entry, tuple | list):
        path, filter_class = entry
    elif isinstance(entry, str):
        path, filter_class = entry, _default_filter(model, entry)
    else:
        return entry
    return (path, _narrowed(filter_class)) if isinstance(filter_class, type) else (path, filter_class)


def _default_filter(model: type[Model], path: str) -> type[admin.FieldListFilter]:
    try:
        field = get_fields_from_path(model, path)[-1]
    except FieldDoesNotExist:
        return admin.AllValuesFieldListFilter  # Django's own check of the admin names the mistake.
    registered = admin.FieldListFilter._field_list_filters
    return next(filter_class for matches, filter_class in registered if matches(field))


@cache
def _narrowed(filter_class: type[admin.FieldListFilter]) -> type[admin.FieldListFilter]:
    for base, narrower in NARROWER:
        if issubclass(filter_class, base):
            if narrower is None:
                return filter_class
            return type(f"Own{filter_class.__name__}", (narrower, filter_class), {})
    return filter_class
