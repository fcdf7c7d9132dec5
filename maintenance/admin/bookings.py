"""The diary: who is booked when, and for what."""

from django.contrib import admin
from unfold.contrib.filters.admin import RelatedDropdownFilter

from maintenance.admin.filters import TechnicianFilter
from maintenance.models import Booking
from maintenance.wording import window_in_words
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin


@admin.register(Booking)
class BookingAdmin(ReadOnlyScopedModelAdmin):
    empty_words = "Nobody is booked yet. That happens by itself for every approved task."
    list_display = ["window", "technician", "task", "machine", "is_active"]
    list_filter = [
        TechnicianFilter,
        ("task__equipment__site", RelatedDropdownFilter),
        "is_active",
    ]
    list_filter_submit = True
    list_select_related = ["technician__user", "task__equipment", "organization"]
    search_fields = ["task__title", "task__equipment__tag", "technician__user__username"]
    ordering = ["-period"]
    fields = [
        "window",
        "technician",
        "task",
        "is_active",
        "reason",
        ("booked_at", "booked_by"),
    ]

    @admin.display(description="when", ordering="period")
    def window(self, booking: Booking) -> str:
        return window_in_words(booking.period)

    @admin.display(description="machine", ordering="task__equipment__tag")
    def machine(self, booking: Booking) -> str:
        return str(booking.task.equipment)
