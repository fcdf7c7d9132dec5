"""Alarms for managers: all of them by any filter, many handled at once, and the organisation's choices."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import INPUT_CLASSES

from sensors.admin.alarm_figures import alarm_figures_page
from sensors.alarms.states import Event
from sensors.forms import ReasonForm, ShelveForm
from sensors.models import Alarm, AlarmEntry, AlarmPolicy, AlarmState
from sensors.models.alarms import AlarmQuerySet
from sensors.services.alarms.handling import (
    acknowledge_alarm,
    put_back_into_service,
    reset_alarm,
    shelve_alarm,
    take_out_of_service,
    unshelve_alarm,
)
from sensors.services.alarms.moving import AlarmRefused
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import (
    OnlyRowAdmin,
    ReadOnlyScopedModelAdmin,
    ScopedTabularInline,
)
from smartmaint.accounts.scoped_admin.questions import Question, answers, asks_first
from smartmaint.notifications.models import Severity

SEVERITY_BADGES = {
    Severity.CRITICAL: "danger",
    Severity.MAJOR: "danger",
    Severity.MINOR: "warning",
    Severity.WARNING: "info",
}
STATE_BADGES = {
    AlarmState.UNACKNOWLEDGED: "danger",
    AlarmState.RETURNED_UNACKNOWLEDGED: "warning",
    AlarmState.LATCHED_UNACKNOWLEDGED: "warning",
    AlarmState.ACKNOWLEDGED: "info",
    AlarmState.LATCHED_ACKNOWLEDGED: "info",
    AlarmState.NORMAL: "success",
}
# Which buttons an alarm's page offers, by the event that each of them is.
VERBS = {
    "acknowledge": Event.ACKNOWLEDGED,
    "reset": Event.RESET,
    "shelve": Event.SHELVED,
    "unshelve": Event.UNSHELVED,
    "take_out": Event.TAKEN_OUT,
    "put_back": Event.PUT_BACK,
}


class ShowFilter(admin.SimpleListFilter):
    title = "which"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("open", "Open"),
            ("unanswered", "To acknowledge"),
            ("aside", "Set aside"),
            ("over", "Over"),
        ]

    def queryset(self, request: HttpRequest, queryset: AlarmQuerySet) -> AlarmQuerySet:
        match self.value():
            case "open":
                return queryset.annunciated()
            case "unanswered":
                return queryset.unanswered()
            case "aside":
                return queryset.set_aside()
            case "over":
                return queryset.filter(state=AlarmState.NORMAL)
        return queryset


class JournalInline(ScopedTabularInline):
    """On the page of its alarm."""

    model = AlarmEntry
    add_role = change_role = delete_role = None
    verbose_name_plural = "journal"
    fields = ["at", "kind", "who", "to_state", "comment"]
    readonly_fields = ["who"]
    ordering = ["-at", "-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlarmEntry]:
        return super().get_queryset(request).select_related("by")

    @admin.display(description="who")
    def who(self, entry: AlarmEntry) -> str:
        return entry.by.display_name if entry.by else "the service"


def _in_admin(form: forms.Form) -> forms.Form:
    """The form of the alarm's page for people, with the looks of the admin."""
    for field in form.fields.values():
        field.widget.attrs["class"] = " ".join(INPUT_CLASSES)
    return form


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyScopedModelAdmin):
    empty_words = "No alarm was raised yet: a credible anomaly does it."
    handle_role = Role.MANAGER
    list_display = [
        "name",
        "severity_badge",
        "state_badge",
        "summary",
        "raised_at",
        "annunciated_at",
        "assignee",
    ]
    list_filter = [
        ShowFilter,
        ("severity", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("equipment__site", RelatedDropdownFilter),
        ("equipment__criticality", ChoicesDropdownFilter),
        ("raised_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["equipment", "failure_mode", "assigned_to", "organization"]
    search_fields = ["equipment__tag", "equipment__name", "failure_mode__name", "summary"]
    date_hierarchy = "raised_at"
    actions = ["acknowledge_selected", "shelve_selected"]
    actions_detail = list(VERBS)
    inlines = [JournalInline]
    fieldsets = [
        (
            "What",
            {
                "fields": [
                    ("equipment", "failure_mode"),
                    ("severity", "state"),
                    "summary",
                    ("is_active", "is_latching"),
                ]
            },
        ),
        (
            "When and who",
            {
                "fields": [
                    ("raised_at", "annunciated_at"),
                    ("returned_at", "closed_at"),
                    ("acknowledged_by", "acknowledged_at"),
                    ("shelved_until", "assigned_to"),
                    "escalations",
                ]
            },
        ),
    ]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(partial(alarm_figures_page, model_admin=self))
        return [path("figures/", page, name="sensors_alarm_figures"), *super().get_urls()]

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return list(Alarm.objects.worst_first().query.order_by)

    @admin.display(description="alarm", ordering="equipment__tag")
    def name(self, alarm: Alarm) -> str:
        return f"{alarm.equipment}: {alarm.what}"

    @display(description="severity", label=SEVERITY_BADGES)
    def severity_badge(self, alarm: Alarm) -> tuple[str, str]:
        return alarm.severity, alarm.get_severity_display()

    @display(description="state", ordering="state", label=STATE_BADGES)
    def state_badge(self, alarm: Alarm) -> tuple[str, str]:
        return alarm.state, alarm.get_state_display()

    @admin.display(description="takes care", ordering="assigned_to__last_name")
    def assignee(self, alarm: Alarm) -> str:
        return alarm.assigned_to.display_name if alarm.assigned_to else "nobody yet"

    def has_handle_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, self.handle_role)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what the table of transitions lets happen."""
        alarm = self.get_object(request, object_id)
        possible = {name for name, event in VERBS.items() if alarm is not None and alarm.may(event)}
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.path.rsplit("/", 1)[-1].replace("-", "_") in possible
        ]

    @admin.action(description="Acknowledge", permissions=["handle"])
    def acknowledge_selected(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        self._each(
            request, queryset, "acknowledged", lambda alarm: acknowledge_alarm(alarm=alarm, by=request.user)
        )

    @admin.action(description="Shelve for 8 hours", permissions=["handle"])
    def shelve_selected(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        self._each(
            request,
            queryset,
            "shelved for 8 hours",
            lambda alarm: shelve_alarm(alarm=alarm, by=request.user, hours=8),
        )

    def _each(
        self, request: HttpRequest, alarms: QuerySet[Alarm], done: str, do: Callable[[Alarm], object]
    ) -> None:
        count, refused = 0, 0
        for alarm in alarms.order_by("pk"):
            try:
                do(alarm)
                count += 1
            except AlarmRefused:
                refused += 1
        words = f"{count} {done}." + (f" Of {refused} that was not possible." if refused else "")
        self.message_user(request, words, messages.SUCCESS if count else messages.WARNING)

    @asks_first(
        "Acknowledge", url_path="acknowledge", permission="handle", icon="check", refusals=(AlarmRefused,)
    )
    def acknowledge(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Acknowledge this alarm",
            words="You take care of it; nobody else is called.",
            submit="Acknowledge",
            do=_doing(lambda form: acknowledge_alarm(alarm=alarm, by=request.user), "Acknowledged."),
        )

    @asks_first("Reset", url_path="reset", permission="handle", icon="restart_alt", refusals=(AlarmRefused,))
    def reset(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Reset this alarm",
            words="Its condition has gone; it stays only because it latches.",
            submit="Reset",
            do=_doing(lambda form: reset_alarm(alarm=alarm, by=request.user), "Reset."),
        )

    @asks_first("Shelve", url_path="shelve", permission="handle", icon="snooze", refusals=(AlarmRefused,))
    def shelve(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Shelve this alarm",
            words="It is out of the way for so many hours and then comes back by itself.",
            submit="Shelve",
            form=_in_admin(ShelveForm(answers(request))),
            do=_doing(
                lambda form: shelve_alarm(alarm=alarm, by=request.user, **form.cleaned_data), "Shelved."
            ),
        )

    @asks_first("Take back", url_path="unshelve", permission="handle", icon="undo", refusals=(AlarmRefused,))
    def unshelve(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Take this alarm back from the shelf",
            words="If its condition is still abnormal it calls people at once.",
            submit="Take back",
            do=_doing(lambda form: unshelve_alarm(alarm=alarm, by=request.user), "Back from the shelf."),
        )

    @asks_first(
        "Take out of service",
        url_path="take-out",
        permission="handle",
        icon="block",
        refusals=(AlarmRefused,),
    )
    def take_out(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Take this alarm out of service",
            words="It calls nobody until somebody puts it back.",
            submit="Take out of service",
            is_dangerous=True,
            form=_in_admin(ReasonForm(answers(request))),
            do=_doing(
                lambda form: take_out_of_service(
                    alarm=alarm, by=request.user, reason=form.cleaned_data["comment"]
                ),
                "Out of service.",
            ),
        )

    @asks_first(
        "Put back into service",
        url_path="put-back",
        permission="handle",
        icon="undo",
        refusals=(AlarmRefused,),
    )
    def put_back(self, request: HttpRequest, alarm: Alarm) -> Question:
        return Question(
            title="Put this alarm back into service",
            words="If its condition is abnormal it calls people at once.",
            submit="Put back",
            do=_doing(lambda form: put_back_into_service(alarm=alarm, by=request.user), "Back in service."),
        )


def _doing(do: Callable[[forms.Form], object], done: str) -> Callable[[forms.Form], str]:
    def and_say_so(form: forms.Form) -> str:
        do(form)
        return done

    return and_say_so


@admin.register(AlarmPolicy)
class AlarmPolicyAdmin(OnlyRowAdmin):
    list_display = ["organization", "escalate_critical_min", "escalate_major_min", "flood_from"]
    fieldsets = [
        (
            "When nobody acknowledges",
            {"fields": ["escalate_critical_min", "escalate_major_min", "escalate_minor_min"]},
        ),
        ("Floods and shelving", {"fields": ["flood_from", "longest_shelving_h"]}),
        ("Key figures", {"fields": ["operators"]}),
    ]
