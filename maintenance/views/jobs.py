"""A technician's work: the list of jobs, a job, start and hold."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from maintenance.forms import HoldForm
from maintenance.jobs import group_jobs, holds_of, newest_entry, open_jobs, recently_done, technician_of
from maintenance.models import MaintenanceTask, TaskStatus
from maintenance.services.tasks import Actor, NotAllowed, TaskRefused, hold_task, may_work_on, start_task
from smartmaint.accounts.access import allows, organization_of, role_required
from smartmaint.accounts.models import Role


def task_or_404(request: HttpRequest, pk: int) -> MaintenanceTask:
    tasks = MaintenanceTask.objects.for_organization(organization_of(request)).select_related(
        "organization",
        "equipment__site",
        "equipment__equipment_class",
        "failure_mode",
        "technician__user",
        "standard_job",
        "prediction__sensor",
        "prediction__limit__sensor",
        "prediction__anomaly__sensor",
    )
    return get_object_or_404(tasks, pk=pk)


def actor_of(request: HttpRequest) -> Actor:
    return Actor.of(request.user, request.membership)


@require_safe
@role_required(Role.TECHNICIAN)
def my_jobs(request: HttpRequest) -> HttpResponse:
    """The technician's jobs; everybody's for a manager who is no technician."""
    organization = organization_of(request)
    technician = technician_of(request.user, organization)
    sees_all = technician is None and allows(request, Role.MANAGER)
    has_jobs = technician is not None or sees_all
    jobs = open_jobs(organization, technician) if has_jobs else []
    page = {
        "technician": technician,
        "sees_all": sees_all,
        "groups": group_jobs(jobs, organization),
        "done": recently_done(organization, technician) if has_jobs else [],
    }
    return render(request, "maintenance/my_jobs.html", page)


@require_safe
@role_required(Role.VIEWER)
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: what, where, why, how, and what can be done with it now."""
    task = task_or_404(request, pk)
    may_act = allows(request, Role.TECHNICIAN) and may_work_on(task, actor_of(request))
    entry = newest_entry(task)
    page = {
        "task": task,
        "entry": entry,
        "corrected": list(
            task.logs.filter(correction__isnull=False).select_related("written_by", "failure_mode")
        ),
        "booking": task.active_booking,
        "skills": task.standard_job.skills.all() if task.standard_job else [],
        "holds": holds_of(task),
        "may_start": may_act and task.status == TaskStatus.PENDING,
        "may_go_on": may_act and task.status == TaskStatus.ON_HOLD,
        "may_hold": may_act and task.may_become(TaskStatus.ON_HOLD),
        "may_complete": may_act and task.may_become(TaskStatus.COMPLETED),
        "may_correct": may_act and entry is not None,
    }
    return render(request, "maintenance/job.html", page)


@require_POST
@role_required(Role.TECHNICIAN)
def start_job(request: HttpRequest, pk: int) -> HttpResponse:
    task = task_or_404(request, pk)
    try:
        start_task(task=task, actor=actor_of(request))
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except TaskRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{task.number} is in progress.")
    return redirect("job", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.TECHNICIAN)
def hold_job(request: HttpRequest, pk: int) -> HttpResponse:
    task = task_or_404(request, pk)
    form = HoldForm(request.POST or None)
    refused = ""
    if request.method == "POST" and form.is_valid():
        try:
            hold_task(task=task, actor=actor_of(request), reason=form.cleaned_data["reason"])
        except NotAllowed as error:
            raise PermissionDenied(str(error)) from error
        except TaskRefused as error:
            refused = str(error)
        else:
            messages.success(request, f"{task.number} is on hold; the rest of its booked time is free.")
            return redirect("job", pk=pk)
    page = {"task": task, "form": form, "refused": refused}
    return render(request, "maintenance/hold.html", page, status=409 if refused else 200)
