"""What the home pages count and list. Reads only."""

from dataclasses import dataclass

from django.urls import reverse

from equipment.models import Equipment
from maintenance.jobs import LATE, TODAY, WORKING, group_jobs, open_jobs
from maintenance.machines import count_worst_machines, worst_machines
from maintenance.models import MaintenanceLog, MaintenancePolicy, MaintenanceTask, TaskStatus, Technician
from predictions.models import Prediction
from sensors.models import Anomaly
from smartmaint.accounts.models import Organization

SHOWN = 5
AT_RISK_SHOWN = 10


@dataclass(frozen=True)
class Number:
    """How much waits for somebody, and where to see it; `level` colours a number above 0."""

    label: str
    amount: int
    link: str
    level: str = "medium"


@dataclass(frozen=True)
class Overview:
    """The beginning of each list that a manager works through."""

    to_approve: list[MaintenanceTask]
    to_look_at: list[Anomaly]
    overdue: list[MaintenanceTask]
    findings: list[MaintenanceLog]


def risk_threshold(organization: Organization) -> float:
    """From which probability within 30 days a machine counts as at risk: where the policy proposes work."""
    return MaintenancePolicy.objects.get(organization=organization).propose_from_probability


def machines_at_risk(organization: Organization) -> list[Prediction]:
    return worst_machines(organization, at_least=risk_threshold(organization))


def numbers_of_manager(organization: Organization) -> list[Number]:
    tasks = MaintenanceTask.objects.for_organization(organization)
    list_of_tasks = reverse("admin:maintenance_maintenancetask_changelist")
    to_settle = Anomaly.objects.for_organization(organization).to_settle().count()
    return [
        Number("to approve", tasks.to_approve().count(), f"{list_of_tasks}?status__exact=proposed"),
        Number(
            "anomalies to look at",
            to_settle,
            reverse("admin:sensors_anomaly_changelist") + "?status__exact=needs_a_look",
        ),
        _number_at_risk(organization),
        Number("overdue", tasks.overdue().count(), "#overdue", "critical"),
        Number(
            "without a technician",
            tasks.not_booked().count(),
            f"{list_of_tasks}?attention=not_booked",
            "high",
        ),
        Number(
            "in progress", tasks.filter(status=TaskStatus.IN_PROGRESS).count(), reverse("my-jobs"), "info"
        ),
    ]


def numbers_of_technician(organization: Organization, technician: Technician) -> list[Number]:
    link = reverse("my-jobs")
    waiting = {
        group.title: len(group.jobs)
        for group in group_jobs(open_jobs(organization, technician), organization)
    }
    return [
        Number("in progress", waiting.get(WORKING, 0), link, "info"),
        Number("today", waiting.get(TODAY, 0), link, "info"),
        Number("should have begun", waiting.get(LATE, 0), link, "high"),
        Number("open in all", sum(waiting.values()), link, "low"),
    ]


def numbers_of_viewer(organization: Organization) -> list[Number]:
    tasks, link = MaintenanceTask.objects.for_organization(organization), reverse("machine-list")
    return [
        _number_at_risk(organization),
        Number("open tasks", tasks.open().count(), link, "info"),
        Number("overdue", tasks.overdue().count(), link, "critical"),
    ]


def _number_at_risk(organization: Organization) -> Number:
    amount = count_worst_machines(organization, at_least=risk_threshold(organization))
    return Number("machines at risk", amount, "#at-risk", "high")


def gather_overview(organization: Organization) -> Overview:
    tasks = MaintenanceTask.objects.for_organization(organization).select_related("equipment", "failure_mode")
    anomalies = Anomaly.objects.for_organization(organization).to_settle().select_related("sensor__equipment")
    findings = MaintenanceLog.objects.for_organization(organization).current()
    return Overview(
        to_approve=list(tasks.to_approve().order_by("required_by", "id")[:SHOWN]),
        to_look_at=list(anomalies[:SHOWN]),
        overdue=list(tasks.overdue().order_by("required_by")[:SHOWN]),
        findings=list(
            findings.select_related("task", "equipment", "failure_mode", "written_by").order_by(
                "-written_at"
            )[:SHOWN]
        ),
    )


def has_machines(organization: Organization) -> bool:
    return Equipment.objects.for_organization(organization).exists()
