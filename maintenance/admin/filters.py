"""The questions that managers open the list of tasks with."""

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest

from maintenance.models.tasks import MaintenanceTaskQuerySet


class AttentionFilter(admin.SimpleListFilter):
    title = "attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("open", "Open"),
            ("to_approve", "To approve"),
            ("not_booked", "Nobody could be booked"),
            ("overdue", "Overdue"),
        ]

    def queryset(self, request: HttpRequest, queryset: MaintenanceTaskQuerySet) -> MaintenanceTaskQuerySet:
        match self.value():
            case "open":
                return queryset.open()
            case "to_approve":
                return queryset.to_approve()
            case "not_booked":
                return queryset.open().exclude(not_booked_because="")
            case "overdue":
                return queryset.overdue()
        return queryset
