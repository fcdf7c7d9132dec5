from datetime import UTC, datetime
from itertools import pairwise
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.scheduling import (
    PRIORITIES,
    Booking,
    Job,
    PlanningSettings,
    Risk,
    TechnicianSlots,
    instant_us,
    schedule,
)

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOW_US = instant_us(datetime(2026, 11, 23, 6, tzinfo=UTC))  # a Monday
MORNING = ((NOW_US + 2 * HOUR_US, NOW_US + 10 * HOUR_US),)
SKILLS = ("mechanical", "electrical", "vibration", "refrigeration")


def hours(start: float, end: float) -> tuple[int, int]:
    return (NOW_US + round(start * HOUR_US), NOW_US + round(end * HOUR_US))


def job(key, *skills: str, hours_long: float = 2, site: str = "Works", **fields) -> Job:
    return Job(key=key, skills=frozenset(skills), duration_s=round(hours_long * 3600), site=site, **fields)


def technician(name: str, *skills: str, free=MORNING, **fields) -> TechnicianSlots:
    return TechnicianSlots(key=name, name=name, skills=frozenset(skills), free=tuple(free), **fields)


def risk(*points: tuple[float, float]) -> Risk:
    return Risk(from_us=NOW_US, points=points)


jobs_strategy = st.lists(
    st.builds(
        Job,
        key=st.integers(0, 10_000),
        skills=st.frozensets(st.sampled_from(SKILLS), max_size=3),
        duration_s=st.sampled_from([900, 3600, 7500, 18_000, 32_400]),
        site=st.sampled_from(["Works", "Harbour"]),
        priority=st.sampled_from(PRIORITIES),
        earliest_us=st.integers(-5, 400).map(lambda after: NOW_US + after * HOUR_US),
        required_by_us=st.none() | st.integers(0, 400).map(lambda after: NOW_US + after * HOUR_US),
        risk=st.sampled_from([Risk(), risk((0, 1.0)), risk((1, 0.1), (7, 0.9)), risk((30, 0.2))]),
        consequence=st.sampled_from([0.0, 10.0, 1000.0]),
    ),
    max_size=12,
    unique_by=lambda each: each.key,
)
technicians_strategy = st.lists(
    st.builds(
        TechnicianSlots,
        key=st.integers(0, 1000),
        name=st.just("Ana"),
        skills=st.frozensets(st.sampled_from(SKILLS)),
        free=st.lists(st.tuples(st.floats(-9, 300), st.floats(0, 12)), max_size=6).map(
            lambda spans: tuple(hours(start, start + length) for start, length in spans)
        ),
        sites=st.sampled_from([frozenset(), frozenset({"Works"})]),
    ),
    max_size=4,
    unique_by=lambda each: each.key,
)


def test_a_job_gets_the_first_free_time_of_someone_who_has_all_its_skills():
    ana = technician("Ana", "mechanical", "vibration")
    jo = technician("Jo", "mechanical", free=[hours(0, 10)])

    plan = schedule([job("bearing", "mechanical", "vibration")], [ana, jo], now_us=NOW_US)

    (assignment,) = plan.assignments
    assert assignment.technician is ana
    assert (assignment.start_us, assignment.end_us) == hours(2, 4)
    assert assignment.reason == "Ana: has mechanical, vibration; first free Mon 23 Nov 08:00"


def test_the_reason_tells_the_risk_and_local_time():
    work = job("bearing", risk=risk((1, 0.12), (7, 0.6)), required_by_us=NOW_US + 3 * HOUR_US)
    ana = technician("Ana", free=[hours(24, 32)])
    berlin = PlanningSettings(zone=ZoneInfo("Europe/Berlin"))

    (assignment,) = schedule([work], [ana], now_us=NOW_US, settings=berlin).assignments

    assert assignment.probability == pytest.approx(0.12)
    assert assignment.reason == (
        "Ana: no special skill needed; first free Tue 24 Nov 07:00; "
        "P(failure) 12 % before the start; ends 23 h later than required"
    )


def test_the_riskier_job_chooses_first():
    likely = job("likely", hours_long=8, risk=risk((1, 0.5), (7, 0.9)))
    unlikely = job("a-unlikely", hours_long=8, risk=risk((30, 0.1)))
    ana = technician("Ana", free=[hours(2, 10), hours(26, 34)])

    plan = schedule([unlikely, likely], [ana], now_us=NOW_US)

    assert [assignment.job.key for assignment in plan.assignments] == ["likely", "a-unlikely"]


def test_priority_decides_between_jobs_without_a_forecast():
    work = [job("a", hours_long=8, priority="low"), job("b", hours_long=8, priority="critical")]

    plan = schedule(work, [technician("Ana", free=[hours(0, 8), hours(24, 32)])], now_us=NOW_US)

    assert [assignment.job.key for assignment in plan.assignments] == ["b", "a"]


def test_a_machine_that_has_surely_failed_is_not_put_off():
    failed = job("failed", hours_long=8, priority="critical", risk=risk((0, 1.0)))
    slow = job("a-slow", hours_long=8, priority="low", risk=risk((90, 0.3)))

    plan = schedule([slow, failed], [technician("Ana", free=[hours(0, 8), hours(24, 32)])], now_us=NOW_US)

    assert plan.assignments[0].job is failed
    assert plan.assignments[0].probability == 1.0


def test_who_is_at_the_site_that_day_anyway_is_preferred():
    visitor = technician("Zoe", bookings=(Booking(*hours(0, 2), "Harbour"),))
    work = job("fan", site="Harbour", priority="low")

    (assignment,) = schedule([work], [technician("Ana"), visitor], now_us=NOW_US).assignments

    assert assignment.technician is visitor
    assert assignment.reason.startswith(
        "Zoe: no special skill needed; first free Mon 23 Nov 08:00; at Harbour that day"
    )


def test_a_low_priority_job_waits_for_a_visit_but_a_critical_one_does_not():
    ana = technician("Ana", free=[hours(0, 8), hours(24, 32)], bookings=(Booking(*hours(32, 33), "Harbour"),))

    def start(priority: str) -> int:
        plan = schedule([job("fan", site="Harbour", priority=priority)], [ana], now_us=NOW_US)
        return plan.assignments[0].start_us

    assert start("low") == hours(24, 32)[0]
    assert start("critical") == NOW_US


def test_the_less_loaded_technician_breaks_a_tie():
    loaded = technician("Ana", bookings=(Booking(*hours(0, 2), "Harbour"),))

    (assignment,) = schedule([job("fan")], [loaded, technician("Zoe")], now_us=NOW_US).assignments

    assert assignment.technician.name == "Zoe"


def test_starts_are_rounded_up_to_the_step():
    ana = technician("Ana", free=[(NOW_US - HOUR_US, NOW_US + 9 * HOUR_US)])

    (assignment,) = schedule([job("fan")], [ana], now_us=NOW_US + 1).assignments

    assert assignment.start_us == NOW_US + 300_000_000


def test_a_technician_of_another_site_is_not_sent():
    plan = schedule(
        [job("fan", "mechanical", site="Harbour")],
        [technician("Ana", "mechanical", sites=frozenset({"Works"}))],
        now_us=NOW_US,
    )

    assert plan.unplaced[0].reason == "nobody with mechanical works at Harbour"


@pytest.mark.parametrize(
    ("skills", "reason"),
    [
        (("welding",), "nobody has the skill welding"),
        (("welding", "diving"), "nobody has the skills diving, welding"),
        (("mechanical", "electrical"), "nobody has all of electrical, mechanical"),
    ],
)
def test_missing_skills_are_named(skills, reason):
    people = [technician("Ana", "mechanical"), technician("Jo", "electrical")]

    assert schedule([job("fan", *skills)], people, now_us=NOW_US).unplaced[0].reason == reason


def test_a_job_is_over_when_a_certificate_for_it_runs_out():
    ana = technician("Ana", "mechanical", skills_end_us={"mechanical": NOW_US + 4 * HOUR_US})
    jo = technician("Jo", "mechanical", free=[hours(12, 20)])

    plan = schedule(
        [job("short", "mechanical"), job("long", "mechanical", hours_long=3)], [ana, jo], now_us=NOW_US
    )

    assert {each.job.key: each.technician.name for each in plan.assignments} == {"short": "Ana", "long": "Jo"}


def test_a_certificate_that_is_not_needed_may_run_out():
    ana = technician("Ana", "mechanical", skills_end_us={"mechanical": NOW_US})

    assert schedule([job("fan")], [ana], now_us=NOW_US).assignments[0].technician == ana


def test_a_certificate_that_runs_out_too_soon_is_named():
    ana = technician("Ana", "mechanical", skills_end_us={"mechanical": NOW_US + 3 * HOUR_US})

    assert schedule([job("fan", "mechanical")], [ana], now_us=NOW_US).unplaced[0].reason == (
        "no free shift of 2 h within 14 days: the longest free time is 1 h on Mon 23 Nov 08:00; "
        "a certificate for it runs out within the plan: Ana"
    )


def test_without_technicians_the_reason_says_so():
    assert schedule([job("fan")], [], now_us=NOW_US).unplaced[0].reason == "there are no technicians"


def test_a_job_is_never_split_over_two_windows():
    ana = technician("Ana", free=[hours(2, 5), hours(6, 9)])

    plan = schedule([job("overhaul", hours_long=4)], [ana], now_us=NOW_US)

    assert plan.unplaced[0].reason == (
        "no free shift of 4 h within 14 days: the longest free time is 3 h on Mon 23 Nov 08:00"
    )


def test_nobody_free_within_the_horizon_is_told():
    ana = technician("Ana", free=[hours(15 * 24, 15 * 24 + 8)])

    assert schedule([job("fan")], [ana], now_us=NOW_US).unplaced[0].reason == (
        "no free shift of 2 h within 14 days: nobody with the skills has free time"
    )


def test_a_job_that_may_only_start_after_the_horizon_waits():
    later = job("yearly", earliest_us=NOW_US + 40 * DAY_US)

    assert schedule([later], [technician("Ana")], now_us=NOW_US).unplaced[0].reason == (
        "may not start for 40 days: the plan covers 14 days"
    )


@given(jobs_strategy, technicians_strategy)
@settings(max_examples=150, deadline=None)
def test_every_plan_can_be_worked(jobs, technicians):
    plan = schedule(jobs, technicians, now_us=NOW_US)

    placed = [assignment.job.key for assignment in plan.assignments]
    unplaced = [left.job.key for left in plan.unplaced]
    assert sorted(placed + unplaced) == sorted(each.key for each in jobs)
    assert all(left.reason for left in plan.unplaced)
    for each in plan.assignments:
        assert each.job.skills <= each.technician.skills
        assert each.technician.works_at(each.job.site)
        assert each.start_us >= max(NOW_US, each.job.earliest_us)
        assert each.end_us - each.start_us == each.job.duration_us
        assert each.end_us <= NOW_US + 14 * DAY_US
        assert _is_covered(each.start_us, each.end_us, each.technician.free)
    for person in technicians:
        own = [each for each in plan.assignments if each.technician.key == person.key]
        assert all(first.end_us <= second.start_us for first, second in pairwise(own))


@given(jobs_strategy, technicians_strategy, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_input_does_not_matter(jobs, technicians, random):
    plan = schedule(jobs, technicians, now_us=NOW_US)
    random.shuffle(jobs)
    random.shuffle(technicians)

    assert schedule(jobs, technicians, now_us=NOW_US) == plan


def test_two_hundred_jobs_for_fifteen_technicians_take_a_moment():
    jobs = [
        job(
            n,
            SKILLS[n % 4],
            hours_long=1 + n % 4,
            site=f"site {n % 40}",
            risk=risk((1, 0.01 * (n % 9)), (30, 0.5)),
        )
        for n in range(200)
    ]
    free = [hours(24 * day, 24 * day + 9) for day in range(14)]
    people = [technician(f"T{n:02}", SKILLS[n % 4], SKILLS[n % 3], free=free) for n in range(15)]

    began = perf_counter()
    plan = schedule(jobs, people, now_us=NOW_US)

    assert perf_counter() - began < 1.0  # about 0.03 s on an idle machine
    assert len(plan.assignments) == 200


def _is_covered(start_us: int, end_us: int, windows) -> bool:
    for window_start_us, window_end_us in sorted(windows):
        if window_start_us <= start_us < window_end_us:
            start_us = window_end_us
    return start_us >= end_us
