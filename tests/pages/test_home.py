"""Where each role arrives."""

import pytest
from django.urls import reverse

from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, start_task
from sensors.models import Anomaly, Baseline
from sensors.services.alarms.handling import acknowledge_alarm
from smartmaint import clock
from smartmaint.accounts.middleware import SESSION_KEY
from tests.alarms import raised
from tests.plants import foretell, make_limit, make_plant, post

pytestmark = pytest.mark.django_db


def home(client):
    return client.get(reverse("home"))


def numbers(client) -> dict[str, int]:
    return {number.label: number.amount for number in home(client).context["numbers"]}


def test_a_technician_sees_the_next_job_first(owner_client, pending):
    page = home(owner_client)

    assert page.context["next_job"] == pending
    assert "Next" in page.content.decode()
    assert numbers(owner_client)["open in all"] == 1


def test_the_job_in_hand_comes_before_the_next(owner_client, started):
    assert "You are working on" in home(owner_client).content.decode()
    assert numbers(owner_client)["in progress"] == 1


def test_a_manager_sees_what_waits(manager_client, proposed, plant):
    assert numbers(manager_client) == {
        "to approve": 1,
        "anomalies to look at": 0,
        "machines at risk": 1,
        "overdue": 0,
        "without a technician": 0,
        "in progress": 0,
    }
    page = home(manager_client).content.decode()
    assert reverse("admin:maintenance_maintenancetask_change", args=[proposed.pk]) in page
    assert "80 % within 30 days" in page


def test_a_manager_sees_the_latest_findings(manager_client, started, plant):
    actor = Actor(user=plant.technician.user, is_manager=False)
    complete_task(task=started, actor=actor, finding=Finding("no_fault_found", plant.failure_mode))

    assert "No fault found, Vibration" in home(manager_client).content.decode()


def test_a_viewer_sees_machines_and_risks(viewer_client, plant):
    foretell(plant, p30=0.6)

    page = home(viewer_client).content.decode()

    assert "60 % within 30 days" in page
    assert "All machines" in page


def test_a_risk_below_the_policys_threshold_is_no_risk(viewer_client, plant):
    foretell(plant, p30=0.4)

    assert numbers(viewer_client)["machines at risk"] == 0


def test_a_repair_makes_older_predictions_void(viewer_client, plant):
    foretell(plant)
    Baseline.objects.create(
        organization=plant.organization, sensor=plant.sensor, started_at=clock.now(), reason="repaired"
    )

    assert numbers(viewer_client)["machines at risk"] == 0


def test_a_prediction_from_the_moment_of_the_repair_holds(viewer_client, plant):
    prediction = foretell(plant)
    Baseline.objects.create(
        organization=plant.organization,
        sensor=plant.sensor,
        started_at=prediction.cutoff_at,
        reason="repaired",
    )

    assert numbers(viewer_client)["machines at risk"] == 1


def test_a_machine_at_risk_by_two_limits_is_counted_once(viewer_client, plant):
    second = make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level="HH")
    foretell(plant)
    foretell(plant, limit=second)

    assert numbers(viewer_client)["machines at risk"] == len(home(viewer_client).context["at_risk"]) == 1


def test_only_the_newest_prediction_counts(viewer_client, plant):
    foretell(plant, p30=0.9)
    foretell(plant, p30=0.1)

    assert numbers(viewer_client)["machines at risk"] == 0


def test_another_organisations_work_is_not_counted(outsider_client, proposed):
    assert set(numbers(outsider_client).values()) == {0}
    assert "No machines yet" in home(outsider_client).content.decode()


def test_the_numbers_refresh_by_themselves(manager_client, proposed):
    page = home(manager_client).content.decode()
    assert f'hx-get="{reverse("home-numbers")}" hx-trigger="every 10s"' in page

    fragment = manager_client.get(reverse("home-numbers")).content.decode()

    assert "<html" not in fragment
    assert '<span class="figure">1</span> <span class="muted">to approve</span>' in fragment


def test_the_numbers_of_somebody_logged_out_reload_the_page(client):
    answer = client.get(reverse("home-numbers"), headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (204, "true", b"")


def test_the_operator_chooses_an_organisation_first(operator_client, organization):
    assert home(operator_client).url == reverse("switch-organization")

    session = operator_client.session
    session[SESSION_KEY] = organization.pk
    session.save()

    assert home(operator_client).status_code == 200


def test_anomalies_in_doubt_are_listed(manager_client, plant):
    batch = post(plant.sensor, [2.0, 7.9]).batch
    now = clock.now()
    Anomaly.objects.create(
        organization=plant.organization,
        sensor=plant.sensor,
        batch=batch,
        kind="profile",
        direction="high",
        started_at=now,
        peak_at=now,
        peak_value=5,
        expected_value=2,
        score=0.6,
        detector_version="1",
        status="needs_a_look",
        confidence=0.5,
        validated_at=now,
    )

    page = home(manager_client).content.decode()

    assert numbers(manager_client)["anomalies to look at"] == 1
    assert "Unlike its own past" in page


def test_the_managers_queries_do_not_grow_with_the_plant(
    manager_client,
    organization,
    plant,
    manager,
    proposed,
    django_assert_max_num_queries,
    django_assert_num_queries,
):
    with django_assert_max_num_queries(25) as few:
        home(manager_client)
    for number in range(3):
        foretell(make_plant(organization, name=f"fan-{number}"))

    with django_assert_num_queries(len(few.captured_queries)):
        home(manager_client)


def test_tasks_that_nobody_could_be_booked_for_are_counted_as_they_are_listed(manager_client, pending):
    pending.not_booked_because = "Nobody has the skill Bearings."
    pending.save()
    [number] = [
        number for number in home(manager_client).context["numbers"] if number.label == "without a technician"
    ]

    assert number.amount == manager_client.get(number.link).context["cl"].result_count == 1


def test_a_started_task_is_counted_in_progress(manager_client, pending, manager):
    start_task(task=pending, actor=Actor(user=manager, is_manager=True))

    assert numbers(manager_client)["in progress"] == 1


def test_everybody_sees_the_worst_alarm_that_nobody_answered(owner_client, viewer_client, manager, plant):
    assert home(viewer_client).context["worst_alarm"] is None
    alarm = raised(plant)
    for client in (owner_client, viewer_client):
        page = home(client)
        assert page.context["worst_alarm"] == alarm
        assert reverse("alarm", args=[alarm.pk]) in page.content.decode()
    acknowledge_alarm(alarm=alarm, by=manager)
    assert home(viewer_client).context["worst_alarm"] is None


def test_nobody_sees_the_alarm_of_another_organization(viewer_client, other_organization):
    raised(make_plant(other_organization))
    assert home(viewer_client).context["worst_alarm"] is None
