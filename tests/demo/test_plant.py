from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from equipment.failure_modes import CLASSES, FOR_EVERY_CLASS
from equipment.models import Verdict
from maintenance.scheduling import instant_us, shift_windows
from smartmaint.demo.plant import ORGANISATIONS, RIVERSIDE

MACHINES = {machine.tag: machine for machine in RIVERSIDE.machines}
EVERY_ORGANISATION = pytest.mark.parametrize("plan", ORGANISATIONS, ids=lambda plan: plan.slug)


def modes_of(equipment_class: str) -> set[str]:
    own = CLASSES[equipment_class][1] if equipment_class else {}
    return {*own, *FOR_EVERY_CLASS}


@EVERY_ORGANISATION
def test_parents_stand_before_their_children_at_the_same_site(plan):
    seen = {}
    for machine in plan.machines:
        assert machine.tag not in seen
        assert machine.site in dict(plan.sites)
        assert not machine.parent or seen[machine.parent].site == machine.site
        seen[machine.tag] = machine


@EVERY_ORGANISATION
def test_limits_stand_in_order_inside_the_physical_range(plan):
    for _, sensor in plan.sensors:
        ordered = sorted(sensor.limits, key=lambda limit: ("LL", "L", "H", "HH").index(limit.level))
        values = [sensor.physical_min, *(limit.value for limit in ordered), sensor.physical_max]
        assert values == sorted(set(values))


@EVERY_ORGANISATION
def test_sensor_keys_begin_with_the_machine_and_are_unique(plan):
    keys = [sensor.key for _, sensor in plan.sensors]

    assert len(keys) == len(set(keys))
    assert all(sensor.key.startswith(f"{machine.tag}/") for machine, sensor in plan.sensors)


@EVERY_ORGANISATION
def test_every_failure_mode_is_one_of_its_class_and_has_a_standard_job(plan):
    jobs = {(job.equipment_class, job.failure_mode) for job in plan.standard_jobs}
    for machine, sensor in plan.sensors:
        for limit in sensor.limits:
            assert limit.failure_mode in modes_of(machine.equipment_class)
            assert (machine.equipment_class, limit.failure_mode) in jobs
    assert all(job.failure_mode in modes_of(job.equipment_class) for job in plan.standard_jobs)


def test_somebody_can_do_every_standard_job_at_riverside():
    for job in RIVERSIDE.standard_jobs:
        assert any(job.skills <= technician.skills for technician in RIVERSIDE.technicians)


@pytest.mark.parametrize("monday", [datetime(2026, 11, 23), datetime(2026, 10, 19), datetime(2026, 3, 23)])
def test_somebody_is_on_shift_at_every_moment_of_the_week(monday):
    start = monday.replace(tzinfo=RIVERSIDE.zone)
    span = (instant_us(start), instant_us(start + timedelta(days=7)))
    shifts = [shift for technician in RIVERSIDE.technicians for shift in technician.shifts]

    assert shift_windows(shifts, RIVERSIDE.zone, *span) == [span]


@pytest.mark.parametrize("story", RIVERSIDE.stories, ids=lambda story: story.sensor)
def test_a_story_fits_the_plant(story):
    machine = MACHINES[story.machine]
    (sensor,) = [sensor for sensor in machine.sensors if sensor.key == story.sensor]
    (technician,) = [each for each in RIVERSIDE.technicians if each.username == story.technician]
    (job,) = [
        job
        for job in RIVERSIDE.standard_jobs
        if (job.equipment_class, job.failure_mode) == (machine.equipment_class, story.failure_mode)
    ]

    assert sensor.limit(story.level).failure_mode == story.failure_mode
    assert story.found_failure_mode in modes_of(machine.equipment_class)
    assert job.skills <= technician.skills
    assert not technician.sites or machine.site in technician.sites
    assert -90 < story.predicted_day < story.started_day < story.completed_day < 0
    assert story.started_day <= story.completed_day - story.downtime_h / 24 + 0.1
    assert (story.stop in machine.stops) == bool(story.downtime_h)


def test_the_past_holds_true_and_false_alarms_and_surprises():
    assert sorted(story.verdict for story in RIVERSIDE.stories) == [
        "confirmed_another_mode",
        "confirmed_as_predicted",
        "confirmed_as_predicted",
        "early",
        "failed_before_repair",
        "no_fault_found",
        "sensor_fault",
    ]


def test_a_machine_that_failed_stood_still():
    for story in RIVERSIDE.stories:
        assert story.downtime_h or not Verdict(story.verdict).is_failure


def test_technicians_work_one_job_at_a_time():
    for technician in RIVERSIDE.technicians:
        own = sorted(
            (story.started_day, story.completed_day)
            for story in RIVERSIDE.stories
            if story.technician == technician.username
        )
        assert all(first[1] <= second[0] for first, second in pairwise(own))
