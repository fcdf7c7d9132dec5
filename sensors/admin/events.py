"""What controllers reported: to be looked at, never to be written by hand."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from sensors.models import MachineEvent
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin

KIND_BADGES = {
    MachineEvent.Kind.FAULT: "danger",
    MachineEvent.Kind.ERROR: "warning",
    MachineEvent.Kind.WARNING: "warning",
    MachineEvent.Kind.STATE: "info",
    MachineEvent.Kind.OTHER: "info",
}


@admin.register(MachineEvent)
class MachineEventAdmin(ReadOnlyScopedModelAdmin):
    empty_words = "No controller reported anything yet. Integrators post events with an API key."
    list_display = ["at", "equipment", "kind_badge", "code", "message"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("equipment__site", RelatedDropdownFilter),
        ("equipment__equipment_class", RelatedDropdownFilter),
        ("at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["equipment", "organization"]
    search_fields = ["code", "message", "equipment__tag", "equipment__name"]
    show_full_result_count = False
    fields = [("equipment", "at"), ("kind", "code"), "message", ("received_at", "sender")]

    @display(description="kind", ordering="kind", label=KIND_BADGES)
    def kind_badge(self, event: MachineEvent) -> tuple[str, str]:
        return event.kind, event.get_kind_display()

    @admin.display(description="sent by")
    def sender(self, event: MachineEvent) -> str:
        return event.api_key.name if event.api_key else "the service itself"
