"""Tasks. A status changes by its verb only: approve, reject, reassign, cancel."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Field, Model, Prefetch, QuerySet
from django.forms import BaseModelForm
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from equipment.admin import name_classes
from maintenance.admin.badges import PRIORITY_BADGES, STATUS_BADGES
from maintenance.admin.filters import AttentionFilter, TechnicianFilter
from maintenance.admin.forms import NewTaskForm, ReasonForm, ReassignForm
from maintenance.admin.logs import LogInline
from maintenance.models import Booking, MaintenanceTask, TaskStatus
from maintenance.services.scheduling import reassign_task
from maintenance.services.tasks import (
    TaskRefused,
    approve_task,
    cancel_task,
    create_task,
    lock_task,
    reject_task,
)
from maintenance.wording import window_in_words
from smartmaint import clock
from smartmaint.accounts.scoped_admin import ScopedHistoryAdmin, ScopedTabularInline, WorkQueueAdmin
from smartmaint.accounts.scoped_admin.questions import Question, answers, asks_first

# Which buttons a task's page offers.
VERBS = {
    TaskStatus.PROPOSED: {"approve", "reject"},
    TaskStatus.PENDING: {"reassign", "cancel"},
    TaskStatus.IN_PROGRESS: {"cancel"},
    TaskStatus.ON_HOLD: {"reassign", "cancel"},
}

_verb = partial(asks_first, permission="change", refusals=(TaskRefused,))


class BookingInline(ScopedTabularInline):
    model = Booking
    add_role = change_role = delete_role = None
    fields = ["technician", "window", "is_active", "reason"]
    readonly_fields = ["window"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        return super().get_queryset(request).select_related("technician__user")

    @admin.display(description="when")
    def window(self, booking: Booking) -> str:
        return window_in_words(booking.period)


@admin.register(MaintenanceTask)
class MaintenanceTaskAdmin(WorkQueueAdmin, ScopedHistoryAdmin):
    empty_words = "There is no task yet. Predictions propose them, and you can add one."
    delete_role = None  # What was planned and done stays; a task is cancelled instead.
    list_display = [
        "number",
        "title",
        "equipment",
        "priority_badge",
        "status_badge",
        "due",
        "technician",
        "booked_for",
    ]
    list_display_links = ["number", "title"]
    list_filter = [
        AttentionFilter,
        ("status", ChoicesDropdownFilter),
        ("priority", ChoicesDropdownFilter),
        ("type", ChoicesDropdownFilter),
        ("equipment__site", RelatedDropdownFilter),
        ("equipment__criticality", ChoicesDropdownFilter),
        TechnicianFilter,
        ("required_by", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["equipment", "technician__user", "organization"]
    search_fields = ["title", "description", "equipment__tag", "equipment__name"]
    autocomplete_fields = ["equipment"]
    actions = ["approve_selected", "try_again"]
    actions_detail = ["approve", "reject", "reassign", "cancel"]
    inlines = [BookingInline, LogInline]
    fieldsets = [
        ("What", {"fields": ["title", "description", "priority", "required_by"]}),
        (
            "Where and how",
            {"fields": [("equipment", "failure_mode"), ("type", "standard_job"), "duration_minutes"]},
        ),
        (
            "How it stands",
            {
                "fields": [
                    ("status", "technician"),
                    "booked_for",
                    "not_booked_because",
                    "hold_reason",
                    "cancel_reason",
                    ("created_at", "created_by"),
                    ("approved_at", "approved_by"),
                    ("started_at", "closed_at"),
                    "prediction",
                ]
            },
        ),
    ]
    editable = ["title", "description", "priority", "required_by"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MaintenanceTask]:
        active = Prefetch("bookings", Booking.objects.filter(is_active=True))
        return super().get_queryset(request).prefetch_related(active)

    def get_inlines(self, request: HttpRequest, obj: MaintenanceTask | None) -> list[Any]:
        """Bookings and findings, where there are any."""
        return [inline for inline in self.inlines if obj and inline.model.objects.filter(task=obj).exists()]

    def get_fieldsets(self, request: HttpRequest, obj: MaintenanceTask | None = None) -> list[Any]:
        return self.fieldsets if obj else [(None, {"fields": NewTaskForm._meta.fields})]

    def get_form(
        self, request: HttpRequest, obj: MaintenanceTask | None = None, change: bool = False, **kwargs: Any
    ) -> type[BaseModelForm]:
        if obj is None:
            kwargs.setdefault("form", NewTaskForm)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: MaintenanceTask | None = None) -> list[str]:
        if obj is None:
            return []
        return [name for name in flatten_fieldsets(self.fieldsets) if name not in self.editable]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        is_closed = isinstance(obj, MaintenanceTask) and obj.is_closed
        return super().has_change_permission(request, obj) and not is_closed

    def revert_disabled(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An earlier version would bring its status back, past the table of transitions."""
        return True

    def formfield_for_foreignkey(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return name_classes(field) if db_field.name == "failure_mode" else field

    def save_model(
        self, request: HttpRequest, obj: MaintenanceTask, form: BaseModelForm, change: bool
    ) -> None:
        if change:
            # The row as it is now, not as the form was made from: an agent may have booked it meanwhile.
            task = lock_task(obj)
            for name in form.changed_data:
                setattr(task, name, form.cleaned_data[name])
            task.save()
            return
        told = {name: form.cleaned_data[name] for name in NewTaskForm._meta.fields}
        obj.pk = create_task(created_by=request.user, **told).pk

    @display(description="status", ordering="status", label=STATUS_BADGES)
    def status_badge(self, task: MaintenanceTask) -> tuple[str, str]:
        return task.status, task.get_status_display()

    @display(description="priority", ordering="priority", label=PRIORITY_BADGES)
    def priority_badge(self, task: MaintenanceTask) -> tuple[str, str]:
        return task.priority, task.get_priority_display()

    @display(description="required by", ordering="required_by", label={"overdue": "danger", "in time": ""})
    def due(self, task: MaintenanceTask) -> tuple[str, str] | None:
        if task.required_by is None:
            return None
        is_overdue = not task.is_closed and task.required_by < clock.now()
        day = date_format(localtime(task.required_by), "j M Y")
        return ("overdue", f"{day}, overdue") if is_overdue else ("in time", day)

    @admin.display(description="booked for")
    def booked_for(self, task: MaintenanceTask) -> str:
        booking = task.active_booking
        return window_in_words(booking.period) if booking else "not booked"

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what can be done with the task as it is."""
        task = self.get_object(request, object_id)
        verbs = VERBS.get(task.status, set()) if task else set()
        offered = super().get_actions_detail(request, object_id)
        return [verb for verb in offered if verb.path.rsplit("/", 1)[-1] in verbs]

    @_verb("Approve", url_path="approve", icon="check", variant=ActionVariant.PRIMARY)
    def approve(self, request: HttpRequest, task: MaintenanceTask) -> Question:
        def do(form: forms.Form) -> str:
            approve_task(task=task, user=request.user)
            return f"{task.number} is approved; a technician will be booked in some seconds."

        return Question(
            title=f"Approve {task.number}", words="A technician is booked for it.", submit="Approve", do=do
        )

    @_verb("Reject", url_path="reject", icon="close")
    def reject(self, request: HttpRequest, task: MaintenanceTask) -> Question:
        def do(form: forms.Form) -> str:
            reject_task(task=task, user=request.user, reason=form.cleaned_data["reason"])
            return f"{task.number} is rejected."

        return Question(
            title=f"Reject {task.number}",
            submit="Reject",
            is_dangerous=True,
            do=do,
            form=ReasonForm(answers(request)),
        )

    @_verb("Reassign", url_path="reassign", icon="person_edit")
    def reassign(self, request: HttpRequest, task: MaintenanceTask) -> Question:
        def do(form: forms.Form) -> str:
            booking = reassign_task(task=task, user=request.user, **form.cleaned_data)
            return f"{task.number} is booked with {booking.technician}."

        return Question(
            title=f"Reassign {task.number}",
            words=f"It takes {task.duration_minutes} minutes. An earlier booking is given up.",
            submit="Book",
            do=do,
            form=ReassignForm(answers(request), organization=request.organization),
        )

    @_verb("Cancel task", url_path="cancel", icon="block", variant=ActionVariant.DANGER)
    def cancel(self, request: HttpRequest, task: MaintenanceTask) -> Question:
        def do(form: forms.Form) -> str:
            cancel_task(task=task, user=request.user, reason=form.cleaned_data["reason"])
            return f"{task.number} is cancelled."

        return Question(
            title=f"Cancel {task.number}",
            words="It is closed without a finding, and its technician is free again.",
            submit="Cancel the task",
            is_dangerous=True,
            do=do,
            form=ReasonForm(answers(request)),
        )

    @admin.action(description="Approve", permissions=["change"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet) -> None:
        approved = 0
        for task in queryset:
            try:
                approve_task(task=task, user=request.user)
                approved += 1
            except TaskRefused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
        if approved:
            self.message_user(request, f"{approved} approved.", messages.SUCCESS)
