"""From a prediction to a task, or to the reason why there is none."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from equipment.models import Criticality, Equipment, FailureMode
from maintenance.models import (
    Decision,
    MaintenancePolicy,
    MaintenanceTask,
    Priority,
    Proposal,
    StandardJob,
    TaskStatus,
    TaskType,
)
from maintenance.models.tasks import CLOSED, MaintenanceTaskQuerySet
from predictions.models import Prediction
from predictions.services.scoring import expect_verdict
from sensors.models import Baseline
from smartmaint import clock
from smartmaint.accounts.models import Organization

MORE_URGENT_IF_CRITICAL = {
    Priority.LOW: Priority.MEDIUM,
    Priority.MEDIUM: Priority.HIGH,
    Priority.HIGH: Priority.CRITICAL,
}
# A manager's own order for the same fault is as good as one that a prediction proposed.
REPAIRS_OF_A_FAULT = (TaskType.PREDICTIVE, TaskType.CORRECTIVE)


def seed_policy(organization: Organization) -> None:
    """Give an organisation the careful policy: a manager approves each task."""
    MaintenancePolicy.objects.get_or_create(organization=organization)


def propose_task(prediction: Prediction) -> Proposal:
    """Decide on a prediction, once: a task of type predictive, or why not. Doing it again returns what was decided."""
    return propose_tasks([prediction])[0]


@transaction.atomic
def propose_tasks(predictions: Sequence[Prediction]) -> list[Proposal]:
    """Decide on predictions, each once and one after another, as `propose_task` does.

    Most tell of a risk that is too low: those need no look at anything, and are written together.
    """
    # One decision at a time per organisation: budget, cooldown and "one open task" are read before they are written.
    policies = _lock_policies({prediction.organization_id for prediction in predictions})
    proposals = Proposal.objects.in_bulk(
        [prediction.pk for prediction in predictions], field_name="prediction_id"
    )
    low_risks: dict[int, Proposal] = {}
    for prediction in predictions:
        if prediction.pk in proposals or prediction.pk in low_risks:
            continue
        policy = policies[prediction.organization_id]
        if reason := _low_risk(policy, prediction):
            low_risks[prediction.pk] = _proposal(prediction, Decision.LOW_RISK, reason)
        else:
            proposals[prediction.pk] = _weigh(policy, prediction)
    Proposal.objects.bulk_create(low_risks.values())
    proposals |= low_risks
    return [proposals[prediction.pk] for prediction in predictions]


def drop_proposals(prediction_ids: Sequence[int]) -> None:
    """Delete what was decided on predictions that leave the ledger; one that has a task stays, and so must its own."""
    Proposal.objects.filter(prediction__in=prediction_ids, task__isnull=True).delete()


def _lock_policies(organization_ids: set[int]) -> dict[int, MaintenancePolicy]:
    """In the order of their keys, as everybody who locks more than one."""
    policies = MaintenancePolicy.objects.select_for_update(no_key=True).filter(
        organization_id__in=organization_ids
    )
    return {policy.organization_id: policy for policy in policies.order_by("pk")}


def _low_risk(policy: MaintenancePolicy, prediction: Prediction) -> str:
    """Why the risk needs no task; empty when it may."""
    days, threshold = policy.propose_within_days, threshold_of(policy, prediction)
    risk = prediction.probability_within(days)
    if risk >= threshold:
        return ""
    words = f"{risk:.0%} within {days} days is below {threshold:.0%}"
    of_anomaly = prediction.risk_after_anomaly(days)
    if of_anomaly is not None and threshold > policy.inspect_from_probability:
        inspection = f"{policy.inspect_from_probability:.0%} of an inspection"
        words += f", and {of_anomaly:.1%} after such anomalies below the {inspection}"
    return f"{words}."


def threshold_of(policy: MaintenancePolicy, prediction: Prediction) -> float:
    """From which probability a task is proposed: for an inspection after an anomaly from a lower one."""
    of_anomaly = prediction.risk_after_anomaly(policy.propose_within_days)
    if of_anomaly is None or of_anomaly < policy.inspect_from_probability:
        return policy.propose_from_probability
    return min(policy.inspect_from_probability, policy.propose_from_probability)


def _weigh(policy: MaintenancePolicy, prediction: Prediction) -> Proposal:
    """Decide on a risk that is high enough, and keep the decision."""
    decision, reason, task = _decide(policy, prediction, prediction.sensor.equipment, prediction.failure_mode)
    if task is not None:
        expect_verdict(prediction)
    proposal = _proposal(prediction, decision, reason, task)
    proposal.save()
    return proposal


def _proposal(
    prediction: Prediction, decision: Decision, reason: str, task: MaintenanceTask | None = None
) -> Proposal:
    return Proposal(
        organization_id=prediction.organization_id,
        prediction=prediction,
        decision=decision,
        reason=reason,
        task=task,
    )


def _decide(
    policy: MaintenancePolicy, prediction: Prediction, equipment: Equipment, failure_mode: FailureMode
) -> tuple[Decision, str, MaintenanceTask | None]:
    if _was_repaired_since(prediction):
        return (
            Decision.SUPERSEDED,
            "The machine was repaired since the last reading that it was made from.",
            None,
        )
    same = MaintenanceTask.objects.filter(
        equipment=equipment, failure_mode=failure_mode, type__in=REPAIRS_OF_A_FAULT
    )
    if task := _lock_open(same):
        _make_more_urgent(task, prediction)
        return Decision.MERGED, f"{task.number} is open for it already.", task
    now, cooldown = clock.now(), timedelta(hours=policy.cooldown_hours)
    recently_closed = same.filter(status__in=CLOSED, closed_at__gt=now - cooldown).first()
    if recently_closed is not None:
        return (
            Decision.COOLDOWN,
            f"{recently_closed.number} was closed less than {policy.cooldown_hours} h ago.",
            None,
        )
    if policy.daily_budget is not None and _proposed_today(policy.organization, now) >= policy.daily_budget:
        return Decision.OVER_BUDGET, f"{policy.daily_budget} tasks were proposed today already.", None
    task = _create_task(policy, prediction, equipment, failure_mode)
    days = policy.propose_within_days
    risk = prediction.probability_within(days)
    return Decision.PROPOSED, f"{risk:.0%} within {days} days: {task.number}.", task


def _was_repaired_since(prediction: Prediction) -> bool:
    return Baseline.objects.filter(sensor=prediction.sensor_id, started_at__gt=prediction.cutoff_at).exists()


def _lock_open(tasks: MaintenanceTaskQuerySet) -> MaintenanceTask | None:
    """The open task, held as it is until the decision is kept; one born from a prediction before one made by hand."""
    found = tasks.open().select_for_update(no_key=True, of=("self",)).order_by("pk")
    return min(found, key=lambda task: task.type != TaskType.PREDICTIVE, default=None)


def _proposed_today(organization: Organization, now: datetime) -> int:
    midnight = now.astimezone(organization.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return Proposal.objects.filter(
        organization=organization, decision=Decision.PROPOSED, decided_at__gte=midnight
    ).count()


def _create_task(
    policy: MaintenancePolicy, prediction: Prediction, equipment: Equipment, failure_mode: FailureMode
) -> MaintenanceTask:
    job = StandardJob.objects.filter(failure_mode=failure_mode).first()
    task = MaintenanceTask(
        organization_id=prediction.organization_id,
        equipment=equipment,
        failure_mode=failure_mode,
        prediction=prediction,
        standard_job=job,
        type=TaskType.PREDICTIVE,
        priority=priority_of(prediction, policy),
        title=f"{job.title if job else 'Inspect'}: {equipment.name}"[:200],
        description=prediction.explanation.get("words", ""),
        duration_minutes=job.duration_minutes if job else 60,
        required_by=_required_by(prediction),
    )
    if policy.approval == MaintenancePolicy.Approval.AUTOMATIC:
        task.status, task.approved_at = TaskStatus.PENDING, clock.now()
        task.mark_due()
    task.save()
    return task


def priority_of(prediction: Prediction, policy: MaintenancePolicy) -> Priority:
    """The horizon sets it: high within a week, medium within a month, else low; one step more for criticality A."""
    threshold = threshold_of(policy, prediction)
    if prediction.p_7d >= threshold:
        priority = Priority.HIGH
    elif prediction.p_30d >= threshold:
        priority = Priority.MEDIUM
    else:
        priority = Priority.LOW
    if prediction.sensor.equipment.criticality == Criticality.A:
        return MORE_URGENT_IF_CRITICAL[priority]
    return priority


def _required_by(prediction: Prediction) -> datetime | None:
    """Done before one future in ten has failed."""
    return prediction.passes_p10_at


def _make_more_urgent(task: MaintenanceTask, prediction: Prediction) -> None:
    """A newer prediction may hurry a task that nobody has started; it never calms one down."""
    if task.status not in (TaskStatus.PROPOSED, TaskStatus.PENDING):
        return
    policy = MaintenancePolicy.objects.get(organization_id=task.organization_id)
    priority, required_by = priority_of(prediction, policy), _required_by(prediction)
    changed = []
    if priority.rank > Priority(task.priority).rank:
        task.priority = priority
        changed.append("priority")
    if required_by is not None and (task.required_by is None or required_by < task.required_by):
        task.required_by = required_by
        changed.append("required_by")
    if changed:
        task.save(update_fields=changed)
