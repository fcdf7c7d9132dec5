"""The questions that managers open the list of tasks with."""

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from maintenance.models import Technician
from maintenance.models.tasks import MaintenanceTaskQuerySet


class TechnicianFilter(DropdownFilter):
    """Reads the names of all technicians at once, which a filter by field would read one by one."""

    title = "technician"
    parameter_name = "technician"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        technicians = Technician.objects.select_related("user")
        if request.organization is not None:
            technicians = technicians.for_organization(request.organization)
        return [(str(technician.pk), str(technician)) for technician in technicians]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        return queryset.filter(technician=int(value)) if value and value.isdecimal() else queryset


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
                return queryset.not_booked()
            case "overdue":
                return queryset.overdue()
        return queryset
