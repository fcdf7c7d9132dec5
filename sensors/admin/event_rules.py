"""Which machine events are an anomaly, and what is counted by that."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Field
from django.forms import BaseModelForm
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from equipment.admin import name_classes
from sensors.models import EventCount, EventRule
from sensors.models.event_rules import ANY
from sensors.services.event_counts import recount_rule
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, ScopedHistoryAdmin, WorkQueueAdmin


@admin.register(EventRule)
class EventRuleAdmin(ScopedHistoryAdmin):
    """So many events within so long are an anomaly of their machine."""

    empty_words = "No rule yet. A rule makes an anomaly of faults and errors that controllers report."
    list_display = ["name", "condition", "equipment_class", "failure_mode", "is_active"]
    list_filter = [
        "is_active",
        ("reported", ChoicesDropdownFilter),
        ("equipment_class", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["equipment_class", "failure_mode", "organization"]
    search_fields = ["name", "code", "failure_mode__name"]
    fieldsets = [
        (None, {"fields": ["name", "is_active"]}),
        ("When a machine reports", {"fields": ["equipment_class", ("reported", "code")]}),
        ("So often", {"fields": [("times", "within_hours")]}),
        ("It tells of", {"fields": ["failure_mode"]}),
    ]

    @admin.display(description="when", ordering="code")
    def condition(self, rule: EventRule) -> str:
        code = "any code" if rule.code == ANY else rule.code
        return f"{rule.times} × {rule.get_reported_display()}, {code}, within {rule.within_hours:g} h"

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return name_classes(field) if db_field.name == "failure_mode" else field

    def save_model(self, request: HttpRequest, obj: EventRule, form: BaseModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        recount_rule(obj)


@admin.register(EventCount)
class EventCountAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    """What the rules count; the counts themselves are readings of their sensors."""

    empty_words = "Nothing is counted yet: no machine reported what a rule watches for."
    list_display = ["rule", "equipment", "sensor", "newest_count", "newest_at", "counting"]
    list_filter = [
        ("rule", RelatedDropdownFilter),
        ("equipment__site", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["rule", "equipment", "sensor__latest", "organization"]
    search_fields = ["rule__name", "equipment__tag", "equipment__name", "sensor__key"]
    fields = [("rule", "equipment"), "sensor", ("newest_count", "newest_at"), "counting", "last_error"]

    @admin.display(description="count", empty_value="")
    def newest_count(self, count: EventCount) -> int | None:
        return round(count.sensor.latest.value) if hasattr(count.sensor, "latest") else None

    @admin.display(description="since", empty_value="")
    def newest_at(self, count: EventCount) -> datetime | None:
        return count.sensor.latest.ts if hasattr(count.sensor, "latest") else None

    @display(description="counting", label={"stuck": "danger", "waiting": "info", "done": "success"})
    def counting(self, count: EventCount) -> str:
        if count.parked_at:
            return "stuck"
        return "done" if count.due_at is None else "waiting"
