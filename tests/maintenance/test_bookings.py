"""Who is booked when: all skills, certificates, shifts, absences, and a manager's own choice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from maintenance.agents import schedule_tasks
from maintenance.models import Absence, Booking, MaintenanceTask, Shift
from maintenance.services.scheduling import reassign_task
from maintenance.services.tasks import (
    TaskRefused,
    start_task,
)
from smartmaint import clock
from tests.plants import make_standard_job, make_task, make_technician

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_all_skills_are_needed_not_any(organization, plant, manager):
    job = make_standard_job(plant.failure_mode, skills=("vibration", "hydraulics"))
    make_technician(organization, username="one-skill", skills=("vibration",))
    task = make_task(plant, manager, standard_job=job)

    schedule_tasks()
    task.refresh_from_db()
    assert task.technician is None
    assert task.not_booked_because != ""
    assert task.due_at > datetime.now(UTC) + timedelta(minutes=10)

    able = make_technician(organization, username="both", skills=("vibration", "hydraulics"))
    task.mark_due()
    task.save()
    schedule_tasks()
    task.refresh_from_db()
    assert (task.technician, task.not_booked_because) == (able, "")


def test_waiting_for_a_technician_leaves_one_line_in_the_history(organization, plant, manager):
    task = make_task(
        plant, manager, standard_job=make_standard_job(plant.failure_mode, skills=("hydraulics",))
    )
    for _ in range(3):
        MaintenanceTask.objects.update(due_at=datetime.now(UTC))
        schedule_tasks()
    assert task.history.count() == 2  # made, and why nobody is booked
    task.refresh_from_db()
    assert task.due_at > datetime.now(UTC) + timedelta(minutes=10)


def test_a_task_that_is_started_without_a_booking_waits_for_none(organization, plant, manager, manager_actor):
    task = make_task(
        plant, manager, standard_job=make_standard_job(plant.failure_mode, skills=("hydraulics",))
    )
    schedule_tasks()
    assert start_task(task=task, actor=manager_actor).not_booked_because == ""


def test_an_expired_certificate_does_not_count(organization, plant, manager):
    job = make_standard_job(plant.failure_mode, skills=("vibration",))
    able = make_technician(organization, username="was-able", skills=("vibration",))
    able.certificates.update(valid_until=clock.now().date() - timedelta(days=1))
    task = make_task(plant, manager, standard_job=job)
    schedule_tasks()
    task.refresh_from_db()
    assert task.technician is None


def test_a_certificate_counts_until_the_end_of_its_last_day_where_the_plant_is(organization, plant, manager):
    job = make_standard_job(plant.failure_mode, skills=("vibration",))
    able = make_technician(organization, username="able", skills=("vibration",))
    able.certificates.update(valid_until=MONDAY.date())
    midnight = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)  # In Berlin.
    with clock.frozen(midnight - timedelta(minutes=70)):
        first, second = (make_task(plant, manager, standard_job=job) for _ in range(2))
        schedule_tasks()
        for task in (first, second):
            task.refresh_from_db()
        with pytest.raises(TaskRefused, match="lacks vibration on that day"):
            reassign_task(
                task=second, technician=able, starts_at=midnight - timedelta(minutes=30), user=manager
            )
    assert (first.technician, second.technician) == (able, None)
    assert "a certificate for it runs out" in second.not_booked_because


def test_nobody_is_booked_twice_at_once_or_while_away(plant, manager):
    with clock.frozen(MONDAY):
        away = DateTimeTZRange(MONDAY, MONDAY + timedelta(hours=5), "[)")
        Absence.objects.create(organization=plant.organization, technician=plant.technician, period=away)
        for _ in range(5):
            make_task(plant, manager, duration_minutes=120)
        schedule_tasks()
    periods = sorted(Booking.objects.values_list("period", flat=True), key=lambda period: period.lower)
    assert len(periods) == 5
    assert periods[0].lower >= away.upper
    assert all(earlier.upper <= later.lower for earlier, later in pairwise(periods))


def test_work_stays_inside_the_shift(plant, manager):
    Shift.objects.all().delete()
    Shift.objects.create(
        organization=plant.organization,
        technician=plant.technician,
        weekday=1,
        starts_at="06:00",
        ends_at="14:00",
    )
    with clock.frozen(MONDAY):
        make_task(plant, manager)
        schedule_tasks()
    # Tuesday 06:00 in Berlin.
    assert Booking.objects.get().period.lower == datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


def test_an_overlapping_booking_is_refused_by_the_database(plant, task):
    booking = Booking.objects.get()
    other = MaintenanceTask.objects.get(pk=task.pk)
    other.pk = None
    other.save()
    with pytest.raises(IntegrityError, match="booking_no_overlap"), transaction.atomic():
        Booking.objects.create(
            organization=plant.organization, task=other, technician=plant.technician, period=booking.period
        )


def test_a_manager_books_somebody_by_hand_and_hears_why_not(organization, plant, task, manager):
    other = make_technician(organization, username="hand-picked")
    later = clock.now() + timedelta(days=1)
    booking = reassign_task(task=task, technician=other, starts_at=later, user=manager)
    assert (booking.technician, booking.booked_by) == (other, manager)
    assert Booking.objects.filter(is_active=True).get() == booking

    second = make_task(plant, manager)
    with pytest.raises(TaskRefused, match="has another job at that time"):
        reassign_task(task=second, technician=other, starts_at=later + timedelta(minutes=30), user=manager)
    job = make_standard_job(plant.failure_mode, skills=("hydraulics",))
    third = make_task(plant, manager, standard_job=job)
    with pytest.raises(TaskRefused, match="lacks hydraulics"):
        reassign_task(task=third, technician=other, starts_at=later + timedelta(days=1), user=manager)
