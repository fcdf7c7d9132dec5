"""What was noticed and how it was judged; a manager settles what the rules could not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.formats import localize
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from sensors.models import Anomaly, AnomalyStatus
from sensors.services.judgement import AlreadySettled, settle_anomaly
from sensors.unit_signs import with_unit
from sensors.wording import excursion_in_words, silence_in_words
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, WorkQueueAdmin
from smartmaint.accounts.scoped_admin.questions import Question, asks_first

STATUS_BADGES = {
    AnomalyStatus.DETECTED: "info",
    AnomalyStatus.CREDIBLE: "danger",
    AnomalyStatus.SUSPECTED_FALSE: "success",
    AnomalyStatus.NEEDS_A_LOOK: "warning",
}


@admin.register(Anomaly)
class AnomalyAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    empty_words = "Nothing out of the ordinary was noticed yet."
    list_display = [
        "started_at",
        "sensor",
        "machine",
        "what",
        "peak",
        "status_badge",
        "confidence_in_words",
    ]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("pattern", ChoicesDropdownFilter),
        ("sensor__equipment__site", RelatedDropdownFilter),
        ("sensor__equipment__criticality", ChoicesDropdownFilter),
        ("started_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["sensor__equipment", "limit__sensor", "organization"]
    search_fields = ["sensor__key", "sensor__equipment__tag", "sensor__equipment__name"]
    date_hierarchy = "started_at"
    fieldsets = [
        (
            "What was noticed",
            {
                "fields": [
                    ("sensor", "machine"),
                    ("what", "limit"),
                    ("started_at", "ended"),
                    ("peak", "peak_at"),
                    ("expected", "distance"),
                    ("noticed_at", "detected_at"),
                    "batch",
                ]
            },
        ),
        (
            "How it was judged",
            {
                "fields": [
                    ("status", "confidence_in_words"),
                    "reasons_in_words",
                    ("validated_at", "settled_by"),
                ]
            },
        ),
    ]
    actions_detail = ["settle_as_credible", "settle_as_false"]
    change_form_outer_before_template = "admin/sensors/plot_anomaly.html"

    @admin.display(description="machine", ordering="sensor__equipment__tag")
    def machine(self, anomaly: Anomaly) -> str:
        return str(anomaly.sensor.equipment)

    @admin.display(description="what")
    def what(self, anomaly: Anomaly) -> str:
        if anomaly.kind == Anomaly.Kind.NO_DATA:
            return silence_in_words(anomaly)
        return excursion_in_words(anomaly)

    @admin.display(description="ended")
    def ended(self, anomaly: Anomaly) -> str:
        return localize(localtime(anomaly.ended_at)) if anomaly.ended_at else "still going on"

    @admin.display(description="peak", empty_value="")
    def peak(self, anomaly: Anomaly) -> str | None:
        value = anomaly.peak_value
        return None if value is None else with_unit(value, anomaly.sensor.unit)

    @admin.display(description="expected")
    def expected(self, anomaly: Anomaly) -> str:
        return with_unit(anomaly.expected_value, anomaly.sensor.unit)

    @admin.display(description="last reading measured at")
    def last_measured_at(self, anomaly: Anomaly) -> datetime:
        return anomaly.peak_at

    @admin.display(description="distance from normal (0 to 1)")
    def distance(self, anomaly: Anomaly) -> str:
        return f"{anomaly.score:.2f}"

    @display(description="status", ordering="status", label=STATUS_BADGES)
    def status_badge(self, anomaly: Anomaly) -> tuple[str, str]:
        return anomaly.status, anomaly.get_status_display()

    @admin.display(description="confidence", ordering="confidence")
    def confidence_in_words(self, anomaly: Anomaly) -> str:
        return "not judged yet" if anomaly.confidence is None else f"{anomaly.confidence:.0%}"

    @admin.display(description="reasons")
    def reasons_in_words(self, anomaly: Anomaly) -> str:
        if not anomaly.reasons:
            return "not judged yet"
        return render_to_string("admin/sensors/reasons.html", {"anomaly": anomaly})

    def get_fieldsets(self, request: HttpRequest, obj: Anomaly | None = None) -> Any:
        """Silence has no peak, no limit, and nothing that brought it."""
        first, *others = super().get_fieldsets(request, obj)
        if obj is None or obj.kind != Anomaly.Kind.NO_DATA:
            return [first, *others]
        fields = [("sensor", "machine"), "what", ("started_at", "ended"), ("last_measured_at", "detected_at")]
        return [(first[0], {"fields": fields}), *others]

    def has_settle_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, Role.MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer a decision only where one is wanted."""
        anomaly = self.get_object(request, object_id)
        if anomaly is None or anomaly.status != AnomalyStatus.NEEDS_A_LOOK:
            return []
        return super().get_actions_detail(request, object_id)

    @asks_first(
        "Credible",
        url_path="credible",
        permission="settle",
        icon="check",
        variant=ActionVariant.PRIMARY,
        refusals=(AlreadySettled,),
    )
    def settle_as_credible(self, request: HttpRequest, anomaly: Anomaly) -> Question:
        is_silence = anomaly.kind == Anomaly.Kind.NO_DATA
        return Question(
            title="This is credible",
            words="The sensor or its gateway wants mending. It ends by itself when data comes back."
            if is_silence
            else "A prediction is made from it, and maybe a task.",
            submit="It is credible",
            do=_settling(anomaly, request, is_credible=True),
        )

    @asks_first("False", url_path="false", permission="settle", icon="close", refusals=(AlreadySettled,))
    def settle_as_false(self, request: HttpRequest, anomaly: Anomaly) -> Question:
        return Question(
            title="This is false",
            words="Nothing follows from it. It stays here, with your name.",
            submit="It is false",
            do=_settling(anomaly, request, is_credible=False),
        )


def _settling(anomaly: Anomaly, request: HttpRequest, *, is_credible: bool) -> Callable[[object], str]:
    def do(form: object) -> str:
        settle_anomaly(anomaly=anomaly, is_credible=is_credible, user=request.user)
        return "Settled. Your decision is kept with its reasons."

    return do
