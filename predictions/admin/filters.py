"""Filters that managers ask the ledger with."""

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from predictions.models import PredictionQuerySet
from predictions.risk import HIGH_FROM, MEDIUM_FROM


class LastWordFilter(admin.SimpleListFilter):
    """The newest prediction of each limit, or all that were ever made."""

    title = "age"
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [("newest", "Newest of each limit")]

    def queryset(self, request: HttpRequest, queryset: PredictionQuerySet) -> QuerySet:
        if self.value() != "newest":
            return queryset
        # The newest of all rows, then the other filters: not the newest of those that the filters leave.
        all_rows = queryset.model.objects.all()
        if request.organization is not None:
            all_rows = all_rows.for_organization(request.organization)
        return queryset.filter(pk__in=all_rows.newest_per_limit().values("pk"))


class RiskFilter(admin.SimpleListFilter):
    title = "risk within 30 days"
    parameter_name = "risk"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("high", f"{HIGH_FROM:.0%} or more"),
            ("medium", f"{MEDIUM_FROM:.0%} to {HIGH_FROM:.0%}"),
            ("low", f"under {MEDIUM_FROM:.0%}"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "high":
                return queryset.filter(p_30d__gte=HIGH_FROM)
            case "medium":
                return queryset.filter(p_30d__gte=MEDIUM_FROM, p_30d__lt=HIGH_FROM)
            case "low":
                return queryset.filter(p_30d__lt=MEDIUM_FROM)
        return queryset
