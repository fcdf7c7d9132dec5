"""What came and was not stored, why, and storing it once the cause is mended."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import Truncator
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from sensors.admin.senders import sender_in_words
from sensors.models import RejectedReading
from sensors.models.ingest import RejectedReadingQuerySet
from sensors.services.forgetting import forget_rejected
from sensors.services.replaying import replay_rejected
from sensors.unit_signs import with_unit
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin
from smartmaint.accounts.scoped_admin.rows import sees_all

RAW_SHOWN = 80
STATE_BADGES = {"held": "warning", "refused": "danger", "stored": "success"}


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("waiting", "Waiting"),
            ("held", "Waiting, and held"),
            ("unreadable", "Waiting, and cannot be stored"),
            ("stored", "Stored since"),
        ]

    def queryset(self, request: HttpRequest, queryset: RejectedReadingQuerySet) -> RejectedReadingQuerySet:
        match self.value():
            case "waiting":
                return queryset.waiting()
            case "held":
                return queryset.waiting().filter(is_held=True)
            case "unreadable":
                return queryset.waiting().exclude(pk__in=queryset.storable().order_by().values("pk"))
            case "stored":
                return queryset.filter(stored_at__isnull=False)
        return queryset


class CodeFilter(DropdownFilter):
    title = "reason"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        codes = model_admin.get_queryset(request).order_by("code").values_list("code", flat=True).distinct()
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(RejectedReading)
class RejectedReadingAdmin(ReadOnlyScopedModelAdmin):
    """Nothing in it is changed by hand: it is stored as it came, or forgotten."""

    empty_words = "Every reading that came was stored."
    view_role = replay_role = delete_role = Role.MANAGER
    list_display = [
        "received_at",
        "what_came",
        "ts",
        "code",
        "state_and_times",
        "sender",
    ]
    list_filter = [
        StateFilter,
        CodeFilter,
        ("api_key", RelatedDropdownFilter),
        ("received_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["api_key", "organization"]
    list_before_template = "admin/sensors/rejected_waiting.html"
    search_fields = ["sensor_key"]
    search_help_text = "Search by sensor key"
    show_full_result_count = False
    list_per_page = 25
    actions = ["replay_selected"]
    fieldsets = [
        ("What came", {"fields": ["sensor_key", ("ts", "quality"), ("value", "unit"), "raw"]}),
        ("Why it was not stored", {"fields": ["code", "detail"]}),
        (
            "How it came",
            {
                "fields": [
                    ("received_at", "sender"),
                    ("format", "index"),
                    ("times", "state_badge"),
                    "stored_at",
                ]
            },
        ),
    ]

    @admin.display(description="what came", ordering="sensor_key")
    def what_came(self, rejected: RejectedReading) -> str:
        """The sensor and its value; where a field could not be read, the row as it was sent."""
        if not rejected.sensor_key:
            return Truncator(rejected.raw).chars(RAW_SHOWN) or "an empty row"
        if rejected.value is None:
            return rejected.sensor_key
        return f"{rejected.sensor_key} = {with_unit(rejected.value, rejected.unit)}"

    @admin.display(description="sent by", ordering="api_key")
    def sender(self, rejected: RejectedReading) -> str:
        return sender_in_words(rejected.api_key)

    @display(description="state", label=STATE_BADGES)
    def state_badge(self, rejected: RejectedReading) -> str:
        if rejected.stored_at:
            return "stored"
        return "held" if rejected.is_held else "refused"

    @display(description="state", label=STATE_BADGES, ordering="times")
    def state_and_times(self, rejected: RejectedReading) -> str | tuple[str, str]:
        """How often the same came, where it did more than once."""
        state = self.state_badge(rejected)
        return (state, f"{state}, came {rejected.times:,} times") if rejected.times > 1 else state

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Tell on top what waits, by reason, and how much of what is listed can be stored."""
        waiting = self.get_queryset(request).waiting().order_by().values("code")
        by_code = waiting.annotate(count=Count("pk")).order_by("-count", "code")
        may_replay = self.has_replay_permission(request)
        told = {"waiting_by_code": by_code, "may_replay": may_replay}
        response = super().changelist_view(request, {**(extra_context or {}), **told})
        changelist = getattr(response, "context_data", None) and response.context_data.get("cl")
        if changelist:
            listed = changelist.queryset.order_by()
            response.context_data["storable"] = listed.storable().count()
            response.context_data["unstorable"] = listed.waiting().count() - response.context_data["storable"]
        return response

    def has_replay_permission(self, request: HttpRequest, obj: RejectedReading | None = None) -> bool:
        return not sees_all(request) and self.may(request, self.replay_role, obj)

    @admin.action(description="Store them now", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: RejectedReadingQuerySet) -> None:
        report = replay_rejected(queryset, by=request.user)
        level = messages.SUCCESS if report.stored and not report.refused else messages.WARNING
        self.message_user(request, str(report), level)

    def delete_model(self, request: HttpRequest, obj: RejectedReading) -> None:
        self.delete_queryset(request, RejectedReading.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: RejectedReadingQuerySet) -> None:
        forget_rejected(queryset)
