"""What was found. Entries are corrected by new ones, on the job's page; here they are read."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from equipment.models import Verdict
from maintenance.admin.filters import TechnicianFilter
from maintenance.models import MaintenanceLog
from maintenance.wording import minutes_in_words
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, ScopedTabularInline

VERDICT_BADGES = {
    Verdict.CONFIRMED_AS_PREDICTED: "success",
    Verdict.EARLY: "success",
    Verdict.CONFIRMED_ANOTHER_MODE: "warning",
    Verdict.NO_FAULT_FOUND: "info",
    Verdict.SENSOR_FAULT: "info",
    Verdict.FAILED_BEFORE_REPAIR: "danger",
}


class LogInline(ScopedTabularInline):
    """On the page of its task."""

    model = MaintenanceLog
    add_role = change_role = delete_role = None
    verbose_name_plural = "what was found"
    fields = ["completed_at", "technician", "verdict", "failure_mode", "cause", "remedy", "notes"]


@admin.register(MaintenanceLog)
class MaintenanceLogAdmin(ReadOnlyScopedModelAdmin):
    empty_words = "Nothing was found yet. Technicians tell when they complete a job."
    list_display = [
        "completed_at",
        "task",
        "equipment",
        "verdict_badge",
        "failure_mode",
        "technician",
        "downtime",
        "is_correction",
    ]
    list_display_links = ["completed_at", "task"]
    list_filter = [
        ("verdict", ChoicesDropdownFilter),
        ("equipment__site", RelatedDropdownFilter),
        ("equipment__equipment_class", RelatedDropdownFilter),
        TechnicianFilter,
        ("completed_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["task", "equipment", "failure_mode", "technician__user", "organization"]
    search_fields = ["task__title", "equipment__tag", "equipment__name", "cause", "remedy", "notes"]
    date_hierarchy = "completed_at"
    fieldsets = [
        (
            "Found",
            {"fields": [("task", "equipment"), ("verdict", "failure_mode"), "cause", "remedy", "notes"]},
        ),
        (
            "When and who",
            {
                "fields": [
                    ("completed_at", "technician"),
                    ("downtime", "labour"),
                    ("written_at", "written_by"),
                    "corrects",
                ]
            },
        ),
    ]

    @display(description="verdict", ordering="verdict", label=VERDICT_BADGES)
    def verdict_badge(self, log: MaintenanceLog) -> tuple[str, str]:
        return log.verdict, log.get_verdict_display()

    @admin.display(description="downtime", ordering="downtime_minutes")
    def downtime(self, log: MaintenanceLog) -> str:
        return minutes_in_words(log.downtime_minutes)

    @admin.display(description="labour")
    def labour(self, log: MaintenanceLog) -> str:
        return minutes_in_words(log.labour_minutes)

    @admin.display(description="correction", boolean=True)
    def is_correction(self, log: MaintenanceLog) -> bool:
        return log.corrects_id is not None
