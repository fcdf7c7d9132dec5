"""Who was told what, and which way it went; what could not be delivered is tried again from here."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, WorkQueueAdmin
from smartmaint.notifications.models import Notification, NotificationPreference, Severity

SEVERITY_BADGES = {
    Severity.CRITICAL: "danger",
    Severity.MAJOR: "danger",
    Severity.MINOR: "warning",
    Severity.WARNING: "info",
}


@admin.register(Notification)
class NotificationAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    empty_words = "Nobody was told anything yet: an alarm does it."
    view_role = Role.MANAGER
    list_display = ["created_at", "severity_badge", "subject", "person", "delivery", "delivered_at"]
    list_filter = [
        ("severity", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("created_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["recipient", "organization"]
    search_fields = ["subject", "about", "recipient__username", "recipient__last_name"]
    date_hierarchy = "created_at"
    fieldsets = [
        ("What was told", {"fields": [("severity", "about"), "subject", "body", "link"]}),
        (
            "To whom, and how it went",
            {
                "fields": [
                    ("recipient", "created_at"),
                    ("channel", "delivered_at"),
                    "remark",
                    ("attempts", "parked_at"),
                    "last_error",
                ]
            },
        ),
    ]

    @display(description="severity", ordering="severity", label=SEVERITY_BADGES)
    def severity_badge(self, notification: Notification) -> tuple[str, str]:
        return notification.severity, notification.get_severity_display()

    @admin.display(description="person", ordering="recipient__last_name")
    def person(self, notification: Notification) -> str:
        return notification.recipient.display_name

    @display(
        description="way",
        ordering="channel",
        label={"email": "success", "log": "info", "stuck": "danger", "": "warning"},
    )
    def delivery(self, notification: Notification) -> tuple[str, str]:
        if notification.channel:
            return notification.channel, notification.get_channel_display()
        return ("stuck", "stuck") if notification.parked_at else ("", "waits")


@admin.register(NotificationPreference)
class NotificationPreferenceAdmin(ReadOnlyScopedModelAdmin):
    """Who wants to be told what: each person chooses on their own page."""

    empty_words = "Everybody has the usual: what is critical or major, by e-mail."
    view_role = Role.MANAGER
    list_display = ["person", "chosen", "by_email"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__username", "user__last_name"]
    fields = ["user", "chosen", "by_email"]

    @admin.display(description="person", ordering="user__last_name")
    def person(self, preference: NotificationPreference) -> str:
        return preference.user.display_name

    @admin.display(description="told of")
    def chosen(self, preference: NotificationPreference) -> str:
        return ", ".join(preference.severities) or "nothing"
