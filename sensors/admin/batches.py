"""Receipts of what came in."""

from functools import partial

from django.contrib import admin
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from sensors.admin.senders import sender_in_words
from sensors.admin.storage import storage_page
from sensors.models import ReadingBatch, Sensor
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, WorkQueueAdmin


@admin.register(ReadingBatch)
class ReadingBatchAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    empty_words = "No readings came in yet. Integrators post them with an API key."
    view_role = Role.MANAGER
    list_display = [
        "received_at",
        "sender",
        "received",
        "inserted",
        "updated",
        "unchanged",
        "rejected",
        "is_historical",
        "detection",
    ]
    list_filter = [
        ("api_key", RelatedDropdownFilter),
        "is_historical",
        ("received_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["api_key", "organization"]
    # Counting millions of rows to show a page of them would take longer than the page.
    show_full_result_count = False
    fields = [
        ("received_at", "sender"),
        ("received", "inserted", "updated"),
        ("unchanged", "rejected", "is_historical"),
        "sensors",
        "detection",
        "last_error",
    ]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(partial(storage_page, model_admin=self))
        return [path("storage/", page, name="sensors_storage"), *super().get_urls()]

    @admin.display(description="sent by", ordering="api_key")
    def sender(self, batch: ReadingBatch) -> str:
        return sender_in_words(batch.api_key)

    @display(description="detection", label={"stuck": "danger", "waiting": "info", "done": "success"})
    def detection(self, batch: ReadingBatch) -> str:
        if batch.parked_at:
            return "stuck"
        return "done" if batch.due_at is None else "waiting"

    @admin.display(description="sensors")
    def sensors(self, batch: ReadingBatch) -> str:
        keys = Sensor.objects.filter(pk__in=batch.sensor_ids, organization=batch.organization_id)
        return ", ".join(keys.values_list("key", flat=True))
