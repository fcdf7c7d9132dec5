"""Sensors with their limits."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Exists, Field, OuterRef
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from equipment.admin import name_classes
from equipment.models import FailureMode, Verdict
from sensors.models import AnomalyFinding, Level, Limit, Reading, Sensor
from sensors.unit_signs import with_unit
from smartmaint.accounts.scoped_admin import ScopedHistoryAdmin, ScopedModelForm, ScopedTabularInline

PLOT_DAYS = ["1", "7", "30", "90"]
LEVEL_BADGES = {
    Level.LOW_LOW: "danger",
    Level.HIGH_HIGH: "danger",
    Level.LOW: "warning",
    Level.HIGH: "warning",
}


class LimitInSetForm(ScopedModelForm):
    """One of a sensor's limits; their order is judged for all of them together, as they are going to be."""

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"order"}


class LimitFormSet(BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        kept = [
            form
            for form in self.forms
            if form.instance.value is not None
            and form.instance.is_active
            and not self._should_delete_form(form)
        ]
        for form in kept:
            try:
                form.instance.require_order([other.instance for other in kept if other is not form])
            except ValidationError as error:
                form.add_error(None, error)


class LimitInline(ScopedTabularInline):
    model = Limit
    form = LimitInSetForm
    formset = LimitFormSet
    fields = ["level", "value", "dead_band", "on_delay_s", "failure_mode", "is_latching", "is_active"]
    max_num = len(Level)

    def get_formset(
        self, request: HttpRequest, obj: Sensor | None = None, **kwargs: Any
    ) -> type[BaseInlineFormSet]:
        """Offer the failure modes that a machine of this class can have."""
        formset_class = super().get_formset(request, obj, **kwargs)
        if obj is not None and "failure_mode" in formset_class.form.base_fields:
            modes = FailureMode.objects.for_organization(obj.organization)
            formset_class.form.base_fields["failure_mode"].queryset = modes.of_class(
                obj.equipment.equipment_class
            )
        return formset_class


@admin.register(Sensor)
class SensorAdmin(ScopedHistoryAdmin):
    list_display = ["key", "equipment", "quantity", "newest_value", "newest_at", "is_active"]
    list_filter = [
        ("equipment__site", RelatedDropdownFilter),
        ("equipment__equipment_class", RelatedDropdownFilter),
        ("equipment__criticality", ChoicesDropdownFilter),
        "is_active",
    ]
    list_filter_submit = True
    list_select_related = ["equipment", "latest", "organization"]
    search_fields = ["key", "name", "quantity", "equipment__tag", "equipment__name"]
    autocomplete_fields = ["equipment"]
    inlines = [LimitInline]
    fieldsets = [
        (None, {"fields": ["key", "name", "equipment", "is_active"]}),
        (
            "What it measures",
            {
                "fields": [
                    "quantity",
                    "unit",
                    ("physical_min", "physical_max"),
                    "max_change_per_min",
                    "expected_interval_s",
                ]
            },
        ),
        ("How well it measures", {"fields": ["found_at_fault"]}),
    ]
    readonly_fields = ["found_at_fault"]
    change_form_outer_before_template = "admin/sensors/plot.html"

    @admin.display(description="found at fault")
    def found_at_fault(self, sensor: Sensor) -> str:
        """When people found that not the machine but the sensor was wrong: its health, as far as they told."""
        if sensor.pk is None:
            return "never"
        faults = AnomalyFinding.objects.filter(anomaly__sensor=sensor, verdict=Verdict.SENSOR_FAULT)
        moments = faults.order_by("-found_at").values_list("found_at", flat=True)[:5]
        return ", ".join(date_format(localtime(at), "j M Y") for at in moments) or "never"

    @admin.display(description="newest value", empty_value="no readings yet")
    def newest_value(self, sensor: Sensor) -> str | None:
        return with_unit(sensor.latest.value, sensor.unit) if hasattr(sensor, "latest") else None

    @admin.display(description="measured at", ordering="latest__ts", empty_value="")
    def newest_at(self, sensor: Sensor) -> datetime | None:
        return sensor.latest.ts if hasattr(sensor, "latest") else None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        asked = request.GET.get("days")
        plot = {"plot_days": PLOT_DAYS, "shown_days": asked if asked in PLOT_DAYS else "7"}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **plot})

    def get_inlines(self, request: HttpRequest, obj: Sensor | None) -> list[type[ScopedTabularInline]]:
        # Which failure modes there are follows from the machine, which a new sensor does not have yet.
        return super().get_inlines(request, obj) if obj else []

    def response_add(
        self, request: HttpRequest, obj: Sensor, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go on to the sensor's page, where its limits are set."""
        request.POST = request.POST.copy()
        request.POST.setdefault("_continue", "1")
        return super().response_add(request, obj, post_url_continue)

    def revert_disabled(self, request: HttpRequest, obj: Sensor | None = None) -> bool:
        """An earlier version would bring its unit back, past the readings that came since."""
        return True

    def get_readonly_fields(self, request: HttpRequest, obj: Sensor | None = None) -> list[str]:
        """What readings were stored in stays: a changed unit would change all that was measured."""
        fields = list(super().get_readonly_fields(request, obj))
        has_readings = obj is not None and Reading.objects.filter(sensor=obj).exists()
        return [*fields, "unit"] if has_readings else fields

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """Readings protect their sensor, though the database does not know of it."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        measured = Sensor.objects.filter(
            Exists(Reading.objects.filter(sensor=OuterRef("pk"))), pk__in=[sensor.pk for sensor in objs]
        )
        protected += [f"Readings of {sensor.key}: deactivate the sensor instead." for sensor in measured]
        return deleted, counts, perms_needed, protected


@admin.register(Limit)
class LimitAdmin(ScopedHistoryAdmin):
    """All limits at a glance, with who changed which, when. They are made on their sensor's page."""

    empty_words = "No sensor has a limit yet. Limits are set on the page of their sensor."
    add_role = None
    list_display = ["sensor", "level_badge", "bound", "failure_mode", "on_delay_s", "is_active"]
    list_filter = [
        ("level", ChoicesDropdownFilter),
        ("sensor__equipment__site", RelatedDropdownFilter),
        ("sensor__equipment__equipment_class", RelatedDropdownFilter),
        "is_active",
    ]
    list_filter_submit = True
    list_select_related = ["sensor", "failure_mode", "organization"]
    search_fields = ["sensor__key", "sensor__equipment__tag", "failure_mode__name"]
    ordering = ["sensor__key", "value"]
    fields = [
        "sensor",
        "level",
        "value",
        "dead_band",
        "on_delay_s",
        "failure_mode",
        "is_latching",
        "is_active",
    ]
    readonly_fields = ["sensor", "level"]

    @display(description="level", ordering="level", label=LEVEL_BADGES)
    def level_badge(self, limit: Limit) -> tuple[str, str]:
        return limit.level, limit.get_level_display()

    @admin.display(description="value", ordering="value")
    def bound(self, limit: Limit) -> str:
        return with_unit(limit.value, limit.sensor.unit)

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return name_classes(field) if db_field.name == "failure_mode" else field
