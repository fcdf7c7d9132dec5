"""A machine's story, from reading to finding."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from equipment.models import Equipment, Verdict
from maintenance.agents import schedule_tasks
from maintenance.models import MaintenanceTask
from maintenance.services.completing import Finding, complete_task, correct_log
from maintenance.services.tasks import Actor, hold_task, start_task
from maintenance.story import Place, StoryPage, tell_story
from maintenance.story.entries import Kind
from predictions.agents import make_predictions, score_predictions
from sensors.agents import detect_anomalies, validate_anomalies
from sensors.models import MachineEvent
from smartmaint import clock
from tests.plants import Plant, foretell, make_plant, post, set_policy

pytestmark = pytest.mark.django_db


def run_agents() -> None:
    for agent in (detect_anomalies, validate_anomalies, make_predictions, schedule_tasks, score_predictions):
        agent()


@pytest.fixture
def lived(plant) -> Plant:
    """A pump that passed its limit, was repaired after a wait, and whose log was corrected."""
    set_policy(plant.organization, approval="automatic")
    actor = Actor(user=plant.technician.user, is_manager=False)
    now = clock.now()
    with clock.frozen(now - timedelta(hours=5)):
        post(plant.sensor, [2.0, 7.9])
        run_agents()
    task = MaintenanceTask.objects.get()
    with clock.frozen(now - timedelta(hours=4)):
        start_task(task=task, actor=actor)
    with clock.frozen(now - timedelta(hours=3)):
        hold_task(task=task, actor=actor, reason="Waits for a bearing")
    with clock.frozen(now - timedelta(hours=2)):
        start_task(task=task, actor=actor)
    with clock.frozen(now - timedelta(hours=1)):
        finding = Finding(Verdict.FAILED_BEFORE_REPAIR, plant.failure_mode, downtime_minutes=30)
        log = complete_task(task=task, actor=actor, finding=finding)
        run_agents()
    with clock.frozen(now - timedelta(minutes=30)):
        finding = Finding(Verdict.CONFIRMED_AS_PREDICTED, plant.failure_mode, cause="Dry")
        correct_log(log=log, actor=actor, finding=finding)
        run_agents()
    return plant


def test_the_whole_way_is_told_in_order(lived):
    number = MaintenanceTask.objects.get().number

    story = tell_story(lived.machine)

    assert [entry.title for entry in reversed(story.entries)] == [
        "Readings arrived",
        "Anomaly: pump-7/vibration is beyond its high limit",
        "Judged: credible",
        "Alarm raised: Vibration",
        "Prediction: beyond the limit now",
        "Decided: a task was proposed",
        f"{number} made and approved",
        f"tech-pump-7 booked for {number}",
        f"{number} started",
        f"{number} on hold",
        f"{number} goes on",
        f"{number} completed: failed before repair",
        "Baseline restarted",
        f"{number} corrected: confirmed as predicted",
        "Prediction scored: true positive",
    ]
    assert (story.older, story.is_newest) == (None, True)


def test_every_entry_names_its_cause(lived):
    story = tell_story(lived.machine)
    by_place = {entry.place: entry for entry in story.entries}
    number = MaintenanceTask.objects.get().number

    causes = {
        entry.title: by_place[entry.because.place].title
        for entry in story.entries
        if entry.because is not None
    }

    assert causes == {
        "Anomaly: pump-7/vibration is beyond its high limit": "Readings arrived",
        "Judged: credible": "Anomaly: pump-7/vibration is beyond its high limit",
        "Alarm raised: Vibration": "Anomaly: pump-7/vibration is beyond its high limit",
        "Prediction: beyond the limit now": "Judged: credible",
        "Decided: a task was proposed": "Prediction: beyond the limit now",
        f"{number} made and approved": "Decided: a task was proposed",
        f"tech-pump-7 booked for {number}": f"{number} made and approved",
        f"{number} completed: failed before repair": f"{number} made and approved",
        "Baseline restarted": f"{number} completed: failed before repair",
        f"{number} corrected: confirmed as predicted": f"{number} completed: failed before repair",
        "Prediction scored: true positive": f"{number} corrected: confirmed as predicted",
    }


def test_reasons_and_findings_are_told(lived):
    details = {entry.title.split(":")[0]: entry for entry in tell_story(lived.machine).entries}

    assert "A limit that people set was passed (+0.3)" in details["Judged"].details
    number = MaintenanceTask.objects.get().number
    assert details[f"{number} on hold"].words == "Waits for a bearing"
    assert "Cause: Dry" in details[f"{number} corrected"].details


def turn_pages(machine: Equipment, most: int) -> list[StoryPage]:
    pages = [tell_story(machine, most=most)]
    while pages[-1].older is not None:
        pages.append(tell_story(machine, start=Place.parse(str(pages[-1].older)), most=most))
    return pages


@pytest.mark.parametrize("most", [1, 2, 3, 5, 13, 14])
def test_pages_lose_nothing_and_repeat_nothing(lived, most):
    whole = tell_story(lived.machine).entries

    pages = turn_pages(lived.machine, most)

    assert [entry for page in pages for entry in page.entries] == whole
    assert {len(page.entries) for page in pages[:-1]} <= {most}


def test_a_machine_tells_of_what_stands_below_it_too(lived):
    line = Equipment.objects.create(
        organization=lived.organization,
        site=lived.site,
        tag="LINE",
        name="Line",
        equipment_class=lived.machine.equipment_class,
    )
    assert tell_story(line).entries == []

    Equipment.objects.filter(pk=lived.machine.pk).update(parent=line)

    assert tell_story(line).entries == tell_story(lived.machine).entries
    assert {entry.machine for entry in tell_story(line).entries} == {"PUMP-7", ""}


def test_another_machines_story_is_its_own(lived):
    assert tell_story(make_plant(lived.organization, name="pump-8").machine).entries == []


def test_hourly_predictions_without_a_task_are_left_out(plant):
    foretell(plant)

    assert tell_story(plant.machine).entries == []


def test_the_number_of_queries_is_fixed(lived, django_assert_max_num_queries, django_assert_num_queries):
    with django_assert_max_num_queries(21) as few:
        tell_story(lived.machine)
    set_policy(lived.organization, cooldown_hours=0)
    post(lived.sensor, [2.0, 8.0], interval=timedelta(minutes=1))
    run_agents()

    with django_assert_num_queries(len(few.captured_queries)):
        tell_story(lived.machine)


def test_the_page_links_causes_and_older_entries(viewer_client, lived):
    address = reverse("machine", args=[lived.machine.pk])
    page = viewer_client.get(address)

    newest = page.context["story"].entries[0]
    assert f'id="entry-{newest.place}"' in page.content.decode()
    assert f'href="#entry-{newest.because.place}"' in page.content.decode()
    from_hold = page.context["story"].entries[5]
    older = viewer_client.get(address, {"from": str(from_hold.place)})
    assert older.context["story"].entries[0] == from_hold
    assert "Newest" in older.content.decode()


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(Kind),
    st.integers(0, 2**63 - 1),
)
def test_a_place_is_read_as_it_was_written(at, kind, key):
    place = Place.of(at, kind, key)

    assert Place.parse(str(place)) == place
    assert place.at == at


@given(st.text(alphabet="0123456789-x ", max_size=40))
def test_no_place_in_an_address_breaks_the_page(text):
    place = Place.parse(text)

    assert place is None or Place.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "x", "1-2", "1-99-1", "9" * 30 + "-1-1", "1-1-" + "9" * 30, "253402300799000000-1-1"]
)
def test_odd_places_open_the_story(viewer_client, plant, text):
    assert viewer_client.get(reverse("machine", args=[plant.machine.pk]), {"from": text}).status_code == 200


def test_faults_and_errors_of_the_controller_stand_where_they_happened(lived):
    owned = {"organization": lived.organization, "equipment": lived.machine}
    before = clock.now() - timedelta(hours=5, minutes=10)
    MachineEvent.objects.create(**owned, code="E17", kind="fault", message="Overload", at=before)
    MachineEvent.objects.create(**owned, code="run", kind="state", at=before)

    *_, first = tell_story(lived.machine).entries

    assert (first.title, first.words, first.level, first.at) == ("Fault E17", "Overload", "high", before)
