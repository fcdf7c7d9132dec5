"""For whoever watches the service: is the process there, and does the whole of it work?"""

from datetime import UTC, datetime, timedelta

from django.db import Error
from django.db.models import Max, Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from smartmaint.models import AgentRun
from smartmaint.queues import PendingWork

STALE_AFTER = timedelta(seconds=60)
BEHIND_AFTER = timedelta(minutes=15)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when beat and every quick agent are at work and no row waits for long; 503, with the facts, otherwise."""
    try:
        facts = _facts(datetime.now(UTC))
    except Error as error:
        return JsonResponse({"ready": False, "problems": [f"database: {type(error).__name__}"]}, status=503)
    return JsonResponse(facts, status=200 if facts["ready"] else 503)


def _facts(now: datetime) -> dict[str, object]:
    beat_at = PeriodicTask.objects.aggregate(Max("last_run_at"))["last_run_at__max"]
    runs = dict(AgentRun.objects.values_list("name", "finished_at"))
    oldest_due_at = min(
        filter(None, (model.objects.due().aggregate(Min("due_at"))["due_at__min"] for model in queues())),
        default=None,
    )
    problems = [
        f"agent {name} did not run lately" for name in _quick_agents() if _is_old(runs.get(name), now)
    ]
    if _is_old(beat_at, now):
        problems.insert(0, "beat did not run lately")
    if oldest_due_at is not None and now - oldest_due_at > BEHIND_AFTER:
        problems.append("work waits for long")
    return {
        "ready": not problems,
        "problems": problems,
        "last_beat_age_s": _age(beat_at, now),
        "last_worker_run_age_s": _age(max(runs.values(), default=None), now),
        "oldest_due_row_age_s": _age(oldest_due_at, now),
        "waiting_rows": {
            model._meta.label: count for model in queues() if (count := model.objects.due().count())
        },
        "stuck_rows": {
            model._meta.label: count for model in queues() if (count := model.objects.stuck().count())
        },
    }


def _quick_agents() -> list[str]:
    """Agents that should have finished within the last minute, as the operator has set them."""
    enabled = PeriodicTask.objects.filter(enabled=True, interval__period=IntervalSchedule.SECONDS)
    return list(enabled.filter(interval__every__lte=10).order_by("task").values_list("task", flat=True))


def _is_old(moment: datetime | None, now: datetime) -> bool:
    return moment is None or now - moment > STALE_AFTER


def queues() -> list[type[PendingWork]]:
    """Every model that is a queue of the work engine."""
    return [model for model in PendingWork.__subclasses__() if not model._meta.abstract]


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 1)
