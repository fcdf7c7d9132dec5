"""Managers' pages of the plant: sites, machines, failure modes, failures, and what keys may post for."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Field, QuerySet
from django.forms import BaseModelForm, ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from equipment.models import (
    Criticality,
    Equipment,
    EquipmentClass,
    Failure,
    FailureMode,
    HealthPart,
    KeyRestriction,
    Site,
    State,
)
from equipment.services import record_failure, withdraw_failure
from equipment.services.health import weigh_again
from equipment.weighing import level_of
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ScopedHistoryAdmin, ScopedModelAdmin, ScopedTabularInline

CRITICALITY_BADGES = {Criticality.A: "danger", Criticality.B: "warning", Criticality.C: "info"}
HEALTH_BADGES = {
    "good": "success",
    "medium": "warning",
    "high": "warning",
    "critical": "danger",
    "unknown": "info",
}
STATE_BADGES = {State.OPERATING: "success", State.DOWN: "danger", State.MAINTENANCE: "warning"}


def name_classes(field: ModelChoiceField) -> ModelChoiceField:
    """Offer failure modes by class, and with it: "Vibration" alone would be there ten times."""
    field.queryset = field.queryset.select_related("equipment_class").order_by(
        "equipment_class__name", "name"
    )
    field.label_from_instance = lambda mode: f"{mode.equipment_class or 'Every class'}: {mode}"
    return field


@admin.register(Site)
class SiteAdmin(ScopedModelAdmin):
    list_display = ["name", "address", "machines"]
    ordering = ["name"]
    search_fields = ["name", "address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        return super().get_queryset(request).annotate(machine_count=Count("equipment"))

    @admin.display(description="machines", ordering="machine_count")
    def machines(self, site: Site) -> int:
        return site.machine_count


class FailureModeInline(ScopedTabularInline):
    model = FailureMode
    fields = ["code", "name", "description"]
    tab = True


@admin.register(EquipmentClass)
class EquipmentClassAdmin(ScopedModelAdmin):
    list_display = ["name", "code", "machines", "weights"]
    ordering = ["name"]
    search_fields = ["name", "code"]
    inlines = [FailureModeInline]
    fieldsets = [
        (None, {"fields": [("name", "code")]}),
        (
            "What a machine's health is weighed from",
            {
                "fields": [
                    ("weight_condition", "weight_alarms"),
                    ("weight_forecast", "weight_maintenance"),
                ],
                "description": "Weights need not add up to 100; 0 leaves a part out.",
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EquipmentClass]:
        return super().get_queryset(request).annotate(machine_count=Count("equipment"))

    @admin.display(description="machines", ordering="machine_count")
    def machines(self, equipment_class: EquipmentClass) -> int:
        return equipment_class.machine_count

    @admin.display(description="weights of health")
    def weights(self, equipment_class: EquipmentClass) -> str:
        return ", ".join(f"{part} {weight}" for part, weight in equipment_class.health_weights.items())

    def save_model(
        self, request: HttpRequest, obj: EquipmentClass, form: BaseModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and any(name.startswith("weight_") for name in form.changed_data):
            weigh_again(obj)


@admin.register(FailureMode)
class FailureModeAdmin(ScopedModelAdmin):
    list_display = ["name", "code", "equipment_class"]
    list_filter = [("equipment_class", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["equipment_class", "organization"]
    search_fields = ["name", "code", "description", "equipment_class__name"]


class HealthPartInline(ScopedTabularInline):
    """What each app says of a machine's health."""

    model = HealthPart
    add_role = change_role = delete_role = None
    verbose_name_plural = "health"
    fields = ["part", "rounded", "reason", "reported_at"]
    readonly_fields = ["rounded"]

    @admin.display(description="0 to 100")
    def rounded(self, part: HealthPart) -> str:
        return "nothing to say" if part.score is None else f"{part.score:.0f}"


@admin.register(Equipment)
class EquipmentAdmin(ScopedHistoryAdmin):
    list_display = [
        "tag",
        "name",
        "site",
        "equipment_class",
        "criticality_badge",
        "state_badge",
        "health_badge",
        "parent",
    ]
    list_display_links = ["tag", "name"]
    list_filter = [
        ("site", RelatedDropdownFilter),
        ("equipment_class", RelatedDropdownFilter),
        ("criticality", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["site", "equipment_class", "parent", "organization", "health"]
    inlines = [HealthPartInline]
    search_fields = ["tag", "name", "manufacturer", "model", "serial_number"]
    autocomplete_fields = ["parent"]
    fieldsets = [
        (None, {"fields": ["tag", "name", "site", "parent", "equipment_class"]}),
        ("Condition", {"fields": ["criticality", "state"]}),
        ("Make", {"fields": ["manufacturer", "model", "serial_number"]}),
    ]
    actions_detail = ["open_story"]

    @display(description="criticality", ordering="criticality", label=CRITICALITY_BADGES)
    def criticality_badge(self, machine: Equipment) -> tuple[str, str]:
        return machine.criticality, machine.criticality

    @display(description="state", ordering="state", label=STATE_BADGES)
    def state_badge(self, machine: Equipment) -> tuple[str, str]:
        return machine.state, machine.get_state_display()

    @display(description="health", ordering="health__score", label=HEALTH_BADGES)
    def health_badge(self, machine: Equipment) -> tuple[str, str]:
        score = machine.health.score if hasattr(machine, "health") else None
        return level_of(score), "not enough data" if score is None else f"{score:.0f}"

    def get_inlines(self, request: HttpRequest, obj: Equipment | None) -> list[Any]:
        return super().get_inlines(request, obj) if obj else []

    @action(description="Its story", url_path="story", permissions=["view"], icon="history_edu")
    def open_story(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("machine", self.own_row(request, object_id).pk)


@admin.register(Failure)
class FailureAdmin(ScopedModelAdmin):
    """Functional failures. Findings record them; a manager adds those that no task tells of."""

    change_role = None
    list_display = ["equipment", "failure_mode", "failed_at", "recorded_at"]
    list_filter = [("equipment__site", RelatedDropdownFilter), ("failure_mode", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["equipment", "failure_mode", "organization"]
    search_fields = ["equipment__tag", "equipment__name", "failure_mode__name", "failure_mode__code"]
    date_hierarchy = "failed_at"
    autocomplete_fields = ["equipment"]

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return name_classes(field) if db_field.name == "failure_mode" else field

    def save_model(self, request: HttpRequest, obj: Failure, form: BaseModelForm, change: bool) -> None:
        recorded = record_failure(
            equipment=obj.equipment, failure_mode=obj.failure_mode, failed_at=obj.failed_at
        )
        obj.pk = recorded.pk

    def delete_model(self, request: HttpRequest, obj: Failure) -> None:
        withdraw_failure(failure=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Failure]) -> None:
        for failure in queryset:
            withdraw_failure(failure=failure)


@admin.register(KeyRestriction)
class KeyRestrictionAdmin(ScopedModelAdmin):
    """Equipment that a key may post for; a key without any may post for all."""

    view_role = add_role = change_role = delete_role = Role.ADMIN
    list_display = ["api_key", "equipment"]
    list_filter = [("api_key", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["api_key", "equipment", "organization"]
    search_fields = ["api_key__name", "equipment__tag", "equipment__name"]
    autocomplete_fields = ["equipment"]
