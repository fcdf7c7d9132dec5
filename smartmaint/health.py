"""For whoever watches the service: is the process there, and does the whole of it work?"""

from datetime import UTC, datetime

from django.db import Error, connection
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_celery_beat.models import PeriodicTask

from smartmaint.models import AgentRun
from smartmaint.work import PendingWork

STALE_AFTER_SECONDS = 60


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and beat and a worker ran within a minute; 503 with the same facts otherwise."""
    try:
        facts = _facts()
    except Error as error:
        return JsonResponse({"ready": False, "database": f"{type(error).__name__}"}, status=503)
    ages = (facts["last_beat_age_s"], facts["last_worker_run_age_s"])
    is_ready = all(age is not None and age <= STALE_AFTER_SECONDS for age in ages)
    return JsonResponse({"ready": is_ready, **facts}, status=200 if is_ready else 503)


def _facts() -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    beat = PeriodicTask.objects.order_by("-last_run_at").filter(last_run_at__isnull=False).first()
    run = AgentRun.objects.order_by("-finished_at").first()
    oldest = min(
        filter(None, (model.objects.due().aggregate(Min("due_at"))["due_at__min"] for model in queues())),
        default=None,
    )
    return {
        "database": "ok",
        "last_beat_age_s": _age(beat and beat.last_run_at),
        "last_worker_run_age_s": _age(run and run.finished_at),
        "oldest_due_row_age_s": _age(oldest),
        "stuck_rows": {
            model._meta.label: count for model in queues() if (count := model.objects.stuck().count())
        },
    }


def queues() -> list[type[PendingWork]]:
    """Every model that is a queue of the work engine."""
    return [model for model in PendingWork.__subclasses__() if not model._meta.abstract]


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)
