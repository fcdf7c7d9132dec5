"""Scheduling: technicians' diaries in, bookings out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import Prefetch

from equipment.models import Criticality
from maintenance.models import Absence, Booking, MaintenanceTask, TaskStatus, Technician
from maintenance.scheduling import (
    Assignment,
    Job,
    PlanningSettings,
    Risk,
    TechnicianSlots,
    Unplaced,
    WeeklyShift,
    free_windows,
    instant_us,
    schedule,
    shift_windows,
)
from maintenance.scheduling import Booking as DiaryEntry
from maintenance.services.tasks import TaskRefused, lock_task
from maintenance.signals import task_scheduled
from sensors.storage import moment
from smartmaint import clock
from smartmaint.accounts.models import Organization, User

RETRY = timedelta(minutes=15)
CONSEQUENCE = {Criticality.A: 20_000.0, Criticality.B: 5_000.0, Criticality.C: 1_000.0}
SKILLS = "standard_job__skills"


def plan_tasks(tasks: Sequence[MaintenanceTask]) -> list[Assignment | Unplaced]:
    """Find technician and time for all tasks of each organisation together. Writes nothing."""
    by_organization: dict[Organization, list[MaintenanceTask]] = defaultdict(list)
    for task in (
        MaintenanceTask.objects.filter(pk__in=[task.pk for task in tasks])
        .select_related("organization", "equipment", "prediction", "standard_job")
        .prefetch_related(SKILLS)
    ):
        by_organization[task.organization].append(task)
    now = clock.now()
    found: dict[int | str, Assignment | Unplaced] = {}
    for organization, waiting in by_organization.items():
        settings = PlanningSettings(zone=organization.zone)
        people = _diaries(organization, now, settings)
        plan = schedule(map(_job, waiting), people, now_us=instant_us(now), settings=settings)
        found |= {assignment.job.key: assignment for assignment in plan.assignments}
        found |= {unplaced.job.key: unplaced for unplaced in plan.unplaced}
    return [found[task.pk] for task in tasks]


def _job(task: MaintenanceTask) -> Job:
    return Job(
        key=task.pk,
        skills=required_skills(task),
        duration_s=task.duration_minutes * 60,
        site=str(task.equipment.site_id),
        priority=task.priority,
        required_by_us=None if task.required_by is None else instant_us(task.required_by),
        risk=_risk(task),
        consequence=CONSEQUENCE[Criticality(task.equipment.criticality)],
    )


def required_skills(task: MaintenanceTask) -> frozenset[str]:
    job = task.standard_job
    return frozenset(skill.name for skill in job.skills.all()) if job else frozenset()


def _risk(task: MaintenanceTask) -> Risk:
    if task.prediction is None:
        return Risk()
    foretold = task.prediction
    return Risk.by_days(
        from_us=instant_us(foretold.cutoff_at),
        probabilities=[(days, foretold.probability_within(days)) for days in (1, 7, 14, 30, 90)],
    )


def _diaries(organization: Organization, now: datetime, settings: PlanningSettings) -> list[TechnicianSlots]:
    until = now + timedelta(days=settings.horizon_days)
    window = DateTimeTZRange(now, until)
    technicians = (
        Technician.objects.for_organization(organization)
        .active()
        .select_related("user")
        .prefetch_related(
            "shifts",
            "certificates__skill",
            Prefetch("absences", Absence.objects.filter(period__overlap=window)),
            Prefetch(
                "bookings",
                Booking.objects.filter(is_active=True, period__overlap=window).select_related(
                    "task__equipment"
                ),
            ),
        )
    )
    return [_diary(technician, organization, now, until) for technician in technicians]


def _diary(
    technician: Technician, organization: Organization, now: datetime, until: datetime
) -> TechnicianSlots:
    shifts = [WeeklyShift(shift.weekday, shift.starts_at, shift.ends_at) for shift in technician.shifts.all()]
    bookings = list(technician.bookings.all())
    ends = _certificate_ends(technician, organization.zone)
    return TechnicianSlots(
        key=technician.pk,
        name=str(technician),
        skills=_skills_until(now, ends),
        skills_end_us={skill: instant_us(end) for skill, end in ends.items() if end is not None},
        free=tuple(
            free_windows(
                shift_windows(shifts, organization.zone, instant_us(now), instant_us(until)),
                _windows(absence.period for absence in technician.absences.all()),
                _windows(booking.period for booking in bookings),
            )
        ),
        bookings=tuple(
            DiaryEntry(*window, site=str(booking.task.equipment.site_id))
            for booking, window in zip(bookings, _windows(one.period for one in bookings), strict=True)
        ),
    )


def _certificate_ends(technician: Technician, zone: tzinfo) -> dict[str, datetime | None]:
    """Of each skill the midnight, local, that ends the last day of its certificate; None where it does not run out."""
    return {
        certificate.skill.name: None
        if certificate.valid_until is None
        else datetime.combine(certificate.valid_until + timedelta(days=1), time(), zone)
        for certificate in technician.certificates.all()
    }


def _skills_until(moment: datetime, ends: Mapping[str, datetime | None]) -> frozenset[str]:
    return frozenset(skill for skill, end in ends.items() if end is None or end >= moment)


def _windows(periods: Iterable[DateTimeTZRange]) -> list[tuple[int, int]]:
    return [(instant_us(period.lower), instant_us(period.upper)) for period in periods]


def schedule_task(task: MaintenanceTask, place: Assignment | Unplaced) -> None:
    """Book the technician, or say why nobody could be and come back later. Runs in the task's transaction."""
    if isinstance(place, Unplaced):
        if task.not_booked_because != place.reason:
            task.not_booked_because = place.reason
            task.save(update_fields=["not_booked_because"])
        task.put_off(RETRY)
        task.save_queue_columns()
        return
    _book(
        task,
        technician_id=int(place.technician.key),
        period=DateTimeTZRange(moment(place.start_us), moment(place.end_us), "[)"),
        reason=place.reason,
    )


def _book(
    task: MaintenanceTask,
    *,
    technician_id: int,
    period: DateTimeTZRange,
    reason: str,
    user: User | None = None,
) -> Booking:
    Booking.objects.filter(task=task, is_active=True).update(is_active=False)
    booking = Booking.objects.create(
        organization_id=task.organization_id,
        task=task,
        technician_id=technician_id,
        period=period,
        reason=reason,
        booked_by=user,
    )
    task.technician_id, task.not_booked_because, task.due_at = technician_id, "", None
    task.save(update_fields=["technician", "not_booked_because", "due_at"])
    task_scheduled.send(sender=Booking, booking=booking)
    return booking


def reassign_task(
    *, task: MaintenanceTask, technician: Technician, starts_at: datetime, user: User
) -> Booking:
    """A manager books somebody by hand; raises TaskRefused where that cannot be.

    A start outside the shift is allowed: the manager has spoken with the technician.
    """
    try:
        with transaction.atomic():
            locked = lock_task(task)
            if locked.status not in (TaskStatus.PENDING, TaskStatus.ON_HOLD):
                raise TaskRefused(
                    f"{locked.number} is {locked.get_status_display().lower()}: it cannot be booked."
                )
            if starts_at < clock.now():
                raise TaskRefused("A booking begins in the future.")
            ends_at = starts_at + timedelta(minutes=locked.duration_minutes)
            certified = _skills_until(ends_at, _certificate_ends(technician, locked.organization.zone))
            if missing := required_skills(locked) - certified:
                raise TaskRefused(f"{technician} lacks {', '.join(sorted(missing))} on that day.")
            period = DateTimeTZRange(starts_at, ends_at, "[)")
            if technician.absences.filter(period__overlap=period).exists():
                raise TaskRefused(f"{technician} is away then.")
            return _book(
                locked,
                technician_id=technician.pk,
                period=period,
                reason=f"Chosen by {user.display_name}",
                user=user,
            )
    except IntegrityError as error:
        if "booking_no_overlap" not in str(error):
            raise
        raise TaskRefused(f"{technician} has another job at that time.") from error
