"""Telling what was found: once when the job is done, and again when that has to be put right."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from maintenance.forms import CompletionForm, CorrectionForm, FindingForm
from maintenance.jobs import newest_entry
from maintenance.models import MaintenanceLog, MaintenanceTask, TaskStatus
from maintenance.services.completing import complete_task, correct_log
from maintenance.services.tasks import NotAllowed, TaskRefused, may_work_on
from maintenance.views.jobs import actor_of, task_or_404
from smartmaint.accounts.access import role_required
from smartmaint.accounts.models import Role


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.TECHNICIAN)
def complete_job(request: HttpRequest, pk: int) -> HttpResponse:
    """The form for a finding. What cannot be kept is shown again, to be copied."""
    task = task_or_404(request, pk)
    if request.method != "POST":
        return _empty_form(request, task)
    form = CompletionForm(request.POST, task=task)
    is_valid = form.is_valid()
    if not is_valid and task.may_become(TaskStatus.COMPLETED):
        return _form_page(request, "maintenance/complete.html", task, form, status=422)
    try:
        if not is_valid:
            raise TaskRefused(_state_of(task))
        complete_task(
            task=task,
            actor=actor_of(request),
            finding=form.finding,
            completed_at=form.cleaned_data["completed_at"],
        )
    except ValidationError as error:
        form.refuse(error)
        return _form_page(request, "maintenance/complete.html", task, form, status=422)
    except TaskRefused as error:
        return _refusal(request, task, form, error)
    messages.success(
        request, f"{task.number} is completed. Thank you: the prediction learns from what you found."
    )
    return redirect("job", pk=pk)


def _empty_form(request: HttpRequest, task: MaintenanceTask) -> HttpResponse:
    if not task.may_become(TaskStatus.COMPLETED):
        messages.info(request, _state_of(task))
        return redirect("job", pk=task.pk)
    if not may_work_on(task, actor_of(request)):
        messages.error(request, f"{task.number} is not yours.")
        return redirect("job", pk=task.pk)
    return _form_page(request, "maintenance/complete.html", task, CompletionForm(task=task))


def _state_of(task: MaintenanceTask) -> str:
    if task.status == TaskStatus.PENDING:
        return f"{task.number} was not started yet: start it first."
    return f"{task.number} is {task.get_status_display().lower()}."


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.TECHNICIAN)
def correct_job(request: HttpRequest, pk: int) -> HttpResponse:
    """The form for a correction of the newest entry of a job's log."""
    task = task_or_404(request, pk)
    entry = get_object_or_404(MaintenanceLog, pk=_newest_key(task))
    if not may_work_on(task, actor_of(request)):
        messages.error(request, f"{task.number} is not yours.")
        return redirect("job", pk=pk)
    if request.method != "POST":
        return _form_page(request, "maintenance/correct.html", task, CorrectionForm.of(entry, task=task))
    form = CorrectionForm.of(entry, task=task, data=request.POST)
    if not form.is_valid():
        return _form_page(request, "maintenance/correct.html", task, form, status=422)
    try:
        seen = get_object_or_404(task.logs, pk=form.cleaned_data["entry"])
        correct_log(log=seen, actor=actor_of(request), finding=form.finding)
    except ValidationError as error:
        form.refuse(error)
        return _form_page(request, "maintenance/correct.html", task, form, status=422)
    except TaskRefused as error:
        return _refusal(request, task, form, error)
    messages.success(request, f"The log of {task.number} is corrected; the first entry stays to be seen.")
    return redirect("job", pk=pk)


def _newest_key(task: MaintenanceTask) -> int | None:
    entry = newest_entry(task)
    return entry.pk if entry else None


def _form_page(
    request: HttpRequest, template: str, task: MaintenanceTask, form: FindingForm, *, status: int = 200
) -> HttpResponse:
    return render(request, template, {"task": task, "form": form}, status=status)


def _refusal(
    request: HttpRequest, task: MaintenanceTask, form: FindingForm, error: TaskRefused
) -> HttpResponse:
    """Say why it was not kept, what is logged by whom, and give back what was typed."""
    page: dict[str, Any] = {
        "task": MaintenanceTask.objects.select_related("equipment").get(pk=task.pk),
        "entry": newest_entry(task),
        "reason": str(error),
        "typed": form.typed,
    }
    return render(
        request, "maintenance/refused.html", page, status=403 if isinstance(error, NotAllowed) else 409
    )
