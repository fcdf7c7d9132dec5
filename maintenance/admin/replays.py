"""Replays: a manager uploads a plant's past, watches how far it is told, and reads what it came to."""

import io
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet
from django.forms import BaseModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminFileFieldWidget

from maintenance.models import ReplayRun
from maintenance.replay.mapping import PastUnreadable
from maintenance.replay.report import write_failures
from maintenance.services.replays import (
    MOST_BYTES,
    MOST_FILES,
    require_readable,
    start_replay,
    take_scratch_away,
)
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ScopedModelAdmin, ScopedModelForm, WorkQueueAdmin
from smartmaint.accounts.scoped_admin.questions import page_of

LOADED_AGAIN_S = 15
# In a world of its own: it is made of what was uploaded, its scripts stand in it, and it needs nothing from here.
PLOTS_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data: blob:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
)


class SeveralFilesInput(UnfoldAdminFileFieldWidget):
    allow_multiple_selected = True


class SeveralFilesField(forms.FileField):
    """Some files at once, as a list."""

    widget = SeveralFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        several = data if isinstance(data, list | tuple) else [data]
        return [super(SeveralFilesField, self).clean(one, initial) for one in several]


class NewReplayForm(ScopedModelForm):
    left_out: Sequence[str] = ()
    files = SeveralFilesField(
        label="Files",
        help_text="PdM_telemetry.csv with datetime, machineID and a column for each sensor must be there. There may be "
        "PdM_errors.csv (datetime, machineID, errorID), PdM_failures.csv (datetime, machineID, failure), PdM_maint.csv "
        "(datetime, machineID, comp) and PdM_machines.csv (machineID, model). A replay.toml tells of other names, of "
        "units and of the time zone: docs/replay.md shows one. "
        f"At most {MOST_FILES} files with {MOST_BYTES // 2**20} MB in all.",
    )

    def clean_files(self) -> dict[str, bytes]:
        """The files by name, of a past that can be read."""
        uploaded: Sequence[UploadedFile] = self.cleaned_data["files"]
        if sum(one.size or 0 for one in uploaded) > MOST_BYTES:
            raise ValidationError(f"These are more than {MOST_BYTES // 2**20} MB.")
        files = {str(one.name): one.read() for one in uploaded}
        if len(files) < len(uploaded):
            raise ValidationError("Two of these files have the same name.")
        try:
            self.left_out = require_readable(files).left_out
        except PastUnreadable as error:
            raise ValidationError(str(error)) from error
        return files


@admin.register(ReplayRun)
class ReplayRunAdmin(WorkQueueAdmin, ScopedModelAdmin):
    """Started by being added; what was told stays told."""

    empty_words = "No past was lived again yet. Add one to see what would have been caught."
    form = NewReplayForm
    view_role = Role.MANAGER
    change_role = None
    list_display = ["name", "created_at", "state_badge", "told", "first_line"]
    search_fields = ["name"]
    list_select_related = ["organization"]
    actions_detail = ["show_plots", "download_tasks", "download_failures"]
    readonly_fields = ["state_badge", "told", "what_it_came_to", "created_at", "created_by", "how_many"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReplayRun]:
        return super().get_queryset(request).defer("plots_page", "tasks_csv", "failures")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """There is nothing to show before the end, nor of one that failed."""
        run = self.get_object(request, object_id)
        return super().get_actions_detail(request, object_id) if run is not None and run.report else []

    def get_fieldsets(self, request: HttpRequest, obj: ReplayRun | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "files", ("with_events", "open_hours")]})]
        return [
            (
                "How it stands",
                {
                    "fields": [
                        ("state_badge", "told"),
                        "how_many",
                        ("with_events", "open_hours"),
                        ("created_at", "created_by"),
                    ]
                },
            ),
            ("What it came to", {"fields": ["what_it_came_to"]}),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().change_view(request, object_id, *args, **kwargs)
        run = self.get_object(request, object_id)
        if run is not None and run.due_at is not None:
            response.headers["Refresh"] = str(LOADED_AGAIN_S)
        return response

    def save_model(self, request: HttpRequest, obj: ReplayRun, form: BaseModelForm, change: bool) -> None:
        start_replay(run=obj, files=form.cleaned_data["files"], user=request.user)
        for line in form.left_out:
            self.message_user(request, f"Left out of {line}", messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: ReplayRun) -> None:
        with transaction.atomic():
            take_scratch_away(obj)
            obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ReplayRun]) -> None:
        for run in queryset:
            self.delete_model(request, run)

    @display(
        description="state",
        label={
            "waiting": "info",
            "running": "info",
            "done": "success",
            "failed": "danger",
            "stuck": "danger",
        },
    )
    def state_badge(self, run: ReplayRun) -> str:
        if run.finished_at is not None:
            return "failed" if run.failed_because else "done"
        if run.parked_at is not None:
            return "stuck"
        return "waiting" if run.told_until_us is None else "running"

    @admin.display(description="told")
    def told(self, run: ReplayRun) -> str:
        return f"{run.progress:.0%}"

    @admin.display(description="readings")
    def how_many(self, run: ReplayRun) -> str:
        return f"{run.readings:,}"

    @admin.display(description="caught", empty_value="")
    def first_line(self, run: ReplayRun) -> str | None:
        return run.report[2] if len(run.report) > 2 else None

    @admin.display(description="report")
    def what_it_came_to(self, run: ReplayRun) -> str:
        if run.failed_because or run.last_error:
            return run.failed_because or run.last_error
        if run.finished_at is None:
            return f"It is still being told. This page loads itself again every {LOADED_AGAIN_S} seconds."
        return render_to_string(
            "admin/maintenance/replay_report.html", {"lines": run.report, "failures": run.failures}
        )

    @action(description="Show the plots", url_path="plots", permissions=["download"], icon="monitoring")
    def show_plots(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A plot per machine, on a page that can be saved."""
        run = self.own_row(request, object_id)
        if not run.plots_page:
            self.message_user(
                request, "There are no plots of it: they are made at a replay's end.", messages.WARNING
            )
            return redirect(page_of(self, run))
        return HttpResponse(run.plots_page, headers={"Content-Security-Policy": PLOTS_POLICY})

    def has_download_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, Role.MANAGER)

    @action(description="Download the tasks", url_path="tasks", permissions=["download"], icon="download")
    def download_tasks(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The tasks that were proposed, as CSV."""
        run = self.own_row(request, object_id)
        return _csv(run.tasks_csv, name=f"replay-{run.pk}-tasks.csv")

    @action(
        description="Download the failures", url_path="failures", permissions=["download"], icon="download"
    )
    def download_failures(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What became of each failure, as CSV."""
        run = self.own_row(request, object_id)
        lines = io.StringIO()
        write_failures(run.failures, lines)
        return _csv(lines.getvalue(), name=f"replay-{run.pk}-failures.csv")


def _csv(content: str, *, name: str) -> HttpResponse:
    return HttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
