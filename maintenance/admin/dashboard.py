"""The first page of the admin: what needs a manager now, which machines are at risk, and how the loop runs."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse

from maintenance.health import least_healthy
from maintenance.machines import is_anything_foretold, worst_machines
from maintenance.models import MaintenanceLog, MaintenanceTask, Proposal
from maintenance.wording import distance_in_words
from predictions.models import Outcome, Prediction, PredictionOutcome
from predictions.risk import percent, risk_level
from predictions.services.scoring import missed_failures
from sensors.models import Alarm, Anomaly, AnomalyStatus, ReadingBatch
from smartmaint import clock
from smartmaint.accounts.models import Organization

WEEK = timedelta(days=7)
LISTED = 5
MACHINES_AT_RISK = 10
# Within 30 days; what is less is nobody's concern yet.
LEAST_RISK = 0.05
ENOUGH_SCORES = 5
# The colours of the dashboard are those of risks.
RISK_OF_HEALTH = {"good": "low", "medium": "medium", "high": "medium", "critical": "high", "unknown": "low"}
RIGHT = (Outcome.TRUE_POSITIVE, Outcome.TRUE_NEGATIVE)
WRONG = (Outcome.FALSE_POSITIVE, Outcome.FALSE_NEGATIVE)


@dataclass(frozen=True)
class Waiting:
    """One kind of thing that waits for a manager: how many, the first few, and the list of all."""

    title: str
    nothing: str
    count: int
    rows: list[tuple[str, str, str]]
    """Of each: what it is, a note on it, and the address of its page."""
    link: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the overview of the request's organisation; nothing for the operator who looks at all of them."""
    organization = request.organization
    if organization is None:
        return context
    return context | {
        "waiting": _waiting(organization),
        "machines_at_risk": _machines_at_risk(organization),
        "least_risk": percent(LEAST_RISK),
        "is_foretold": is_anything_foretold(organization),
        "least_healthy": _least_healthy(organization),
        "steps": _steps(organization),
        "accuracy": _accuracy(organization),
    }


def _waiting(organization: Organization) -> list[Waiting]:
    tasks = MaintenanceTask.objects.for_organization(organization).select_related("equipment")
    anomalies = Anomaly.objects.for_organization(organization).select_related("sensor__equipment")
    task_list = reverse("admin:maintenance_maintenancetask_changelist")
    alarms = Alarm.objects.for_organization(organization).unanswered().worst_first()
    return [
        _listed(
            "Alarms to acknowledge",
            "No alarm waits for anybody.",
            alarms.select_related("equipment", "failure_mode"),
            reverse("admin:sensors_alarm_changelist") + "?show=unanswered",
            lambda alarm: (
                str(alarm),
                f"{alarm.get_severity_display()}, {distance_in_words(alarm.raised_at)}",
                alarm.get_absolute_url(),
            ),
        ),
        _waiting_tasks(
            "Tasks to approve",
            "Nothing waits for your approval.",
            tasks.to_approve(),
            f"{task_list}?attention=to_approve",
            note=lambda task: f"{task.equipment.tag}, {task.get_priority_display().lower()}",
        ),
        _listed(
            "Anomalies that need a look",
            "No anomaly needs a look.",
            anomalies.to_settle(),
            reverse("admin:sensors_anomaly_changelist") + f"?status__exact={AnomalyStatus.NEEDS_A_LOOK}",
            lambda one: (
                str(one.sensor),
                f"{one.get_kind_display()}, {one.confidence:.0%} credible",
                reverse("admin:sensors_anomaly_change", args=[one.pk]),
            ),
        ),
        _waiting_tasks(
            "Not booked",
            "Every approved task has its technician.",
            tasks.not_booked(),
            f"{task_list}?attention=not_booked",
            note=lambda task: task.not_booked_because,
        ),
        _waiting_tasks(
            "Overdue",
            "Nothing is overdue.",
            tasks.overdue().order_by("required_by"),
            f"{task_list}?attention=overdue",
            note=lambda task: f"{task.equipment.tag}, {distance_in_words(task.required_by)}",
        ),
    ]


def _waiting_tasks(title: str, nothing: str, tasks: QuerySet, link: str, *, note: Any) -> Waiting:
    return _listed(
        title,
        nothing,
        tasks,
        link,
        lambda task: (
            str(task),
            note(task),
            reverse("admin:maintenance_maintenancetask_change", args=[task.pk]),
        ),
    )


def _listed(title: str, nothing: str, rows: QuerySet, link: str, describe: Any) -> Waiting:
    return Waiting(title, nothing, rows.count(), [describe(row) for row in rows[:LISTED]], link)


def _machines_at_risk(organization: Organization) -> list[dict[str, Any]]:
    """Of each machine with any risk to speak of the worst of its newest predictions, the worst first."""
    return [
        {
            "machine": prediction.sensor.equipment,
            "failure_mode": prediction.failure_mode,
            "level": risk_level(prediction.p_30d),
            "p_7d": percent(prediction.p_7d),
            "p_30d": "now" if prediction.is_already_beyond else percent(prediction.p_30d),
            "half_by": prediction.passes_p50_at,
            "is_already_beyond": prediction.is_already_beyond,
            "link": reverse("admin:predictions_prediction_change", args=[prediction.pk]),
        }
        for prediction in worst_machines(organization, at_least=LEAST_RISK)[:MACHINES_AT_RISK]
    ]


def _least_healthy(organization: Organization) -> list[dict[str, Any]]:
    return [
        {
            "machine": machine,
            "score": score,
            "level": RISK_OF_HEALTH[level],
            "words": words,
            "link": reverse("machine", args=[machine.pk]),
        }
        for machine, score, level, words in least_healthy(organization, most=LISTED)
    ]


def _steps(organization: Organization) -> list[tuple[str, int, str]]:
    """What the loop did in the last seven days: step, count, and where to look at it."""
    since = clock.now() - WEEK

    def of(model: Any) -> QuerySet:
        return model.objects.for_organization(organization)

    stored = (
        of(ReadingBatch)
        .filter(received_at__gte=since)
        .aggregate(readings=Sum("inserted", default=0) + Sum("updated", default=0))["readings"]
    )
    return [
        ("readings stored", stored, _list_of("sensors_readingbatch")),
        ("anomalies", of(Anomaly).filter(detected_at__gte=since).count(), _list_of("sensors_anomaly")),
        (
            "predictions",
            of(Prediction).filter(made_at__gte=since).count(),
            _list_of("predictions_prediction"),
        ),
        (
            "tasks",
            of(MaintenanceTask).filter(created_at__gte=since).count(),
            _list_of("maintenance_maintenancetask"),
        ),
        (
            "findings",
            of(MaintenanceLog).originals().filter(completed_at__gte=since).count(),
            _list_of("maintenance_maintenancelog"),
        ),
    ]


def _list_of(model: str) -> str:
    return reverse(f"admin:{model}_changelist")


def _accuracy(organization: Organization) -> dict[str, Any]:
    """How many decided predictions were right. Censored and undecided ones say nothing either way.

    A finding decides every prediction that joined its task; it counts once, for the first of them.
    """
    first_of_each_task = (
        Proposal.objects.for_organization(organization)
        .filter(task__isnull=False)
        .order_by("task_id", "pk")
        .distinct("task_id")
        .values("prediction")
    )
    counted = PredictionOutcome.objects.for_organization(organization).filter(
        Q(verdict="") | Q(prediction__in=first_of_each_task)
    )
    counts = counted.aggregate(
        right=Count("pk", filter=Q(outcome__in=RIGHT)),
        wrong=Count("pk", filter=Q(outcome__in=WRONG)),
        false_alarms=Count("pk", filter=Q(outcome=Outcome.FALSE_POSITIVE)),
    )
    decided = counts["right"] + counts["wrong"]
    return {
        "is_known": decided >= ENOUGH_SCORES,
        "decided": decided,
        "right": counts["right"],
        "share": f"{counts['right'] / decided:.0%}" if decided >= ENOUGH_SCORES else None,
        "false_alarms": counts["false_alarms"],
        "missed": missed_failures(organization).count(),
        "enough": ENOUGH_SCORES,
        "link": _list_of("predictions_predictionoutcome"),
    }
