"""Managers' pages of alarms: filters, handling many at once, one by its buttons, and the policy."""

import pytest

from sensors.models import Alarm, AlarmPolicy
from sensors.services.alarms.handling import acknowledge_alarm, shelve_alarm
from tests.alarms import raised
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

LIST = "/admin/sensors/alarm/"


@pytest.fixture
def alarm(plant) -> Alarm:
    return raised(plant)


@pytest.fixture
def another(organization) -> Alarm:
    return raised(make_plant(organization, name="fan-1"))


def found(client, query) -> list[Alarm]:
    return list(client.get(LIST + query).context["cl"].result_list)


def now(alarm: Alarm) -> Alarm:
    return Alarm.objects.get(pk=alarm.pk)


def test_the_list_is_filtered_by_what_is_to_do(manager_client, manager, alarm, another):
    assert found(manager_client, "?show=open") == [another, alarm]
    acknowledge_alarm(alarm=alarm, by=manager)
    assert found(manager_client, "?show=unanswered") == [another]
    shelve_alarm(alarm=another, by=manager, hours=1)
    assert found(manager_client, "?show=aside") == [another]
    assert found(manager_client, "?show=over") == []
    assert found(manager_client, "?severity__exact=minor") != []


def test_many_are_acknowledged_at_once_and_what_cannot_be_is_said(manager_client, manager, alarm, another):
    acknowledge_alarm(alarm=another, by=manager)
    picked = {"action": "acknowledge_selected", "_selected_action": [alarm.pk, another.pk]}
    page = manager_client.post(LIST, picked, follow=True).content.decode()
    assert "1 acknowledged. Of 1 that was not possible." in page
    assert now(alarm).state == "acknowledged"


def test_many_are_shelved_at_once(manager_client, alarm, another):
    picked = {"action": "shelve_selected", "_selected_action": [alarm.pk, another.pk]}
    manager_client.post(LIST, picked)
    assert {now(alarm).state, now(another).state} == {"shelved"}


def test_the_buttons_are_those_that_the_table_allows(manager_client, alarm):
    def buttons() -> set[str]:
        page = manager_client.get(f"{LIST}{alarm.pk}/change/").content.decode()
        verbs = ("acknowledge", "reset", "shelve", "unshelve", "take-out", "put-back")
        return {verb for verb in verbs if f'href="{LIST}{alarm.pk}/{verb}/"' in page}

    assert buttons() == {"acknowledge", "shelve", "take-out"}
    manager_client.post(f"{LIST}{alarm.pk}/acknowledge/")
    assert buttons() == {"shelve", "take-out"}
    manager_client.post(f"{LIST}{alarm.pk}/shelve/", {"hours": "500"})
    assert now(alarm).state == "acknowledged"
    manager_client.post(f"{LIST}{alarm.pk}/shelve/", {"hours": "4", "comment": "Known"})
    assert buttons() == {"shelve", "unshelve", "take-out"}
    manager_client.post(f"{LIST}{alarm.pk}/take-out/", {"comment": "On order"})
    assert buttons() == {"put-back"}
    manager_client.post(f"{LIST}{alarm.pk}/put-back/")
    assert now(alarm).state == "unacknowledged"


def test_viewers_only_look_at_alarms(viewer_client, alarm):
    assert viewer_client.post(f"{LIST}{alarm.pk}/acknowledge/").status_code == 403
    viewer_client.post(LIST, {"action": "acknowledge_selected", "_selected_action": [alarm.pk]})
    assert now(alarm).state == "unacknowledged"


def test_the_policy_is_one_page_and_refuses_nonsense(manager_client, organization):
    policy = AlarmPolicy.objects.get(organization=organization)
    address = f"/admin/sensors/alarmpolicy/{policy.pk}/change/"
    assert manager_client.get("/admin/sensors/alarmpolicy/").headers["Location"] == address
    good = {"flood_from": 5, "longest_shelving_h": 8, "operators": 2, "escalate_critical_min": ""}
    assert manager_client.post(address, good).status_code == 302
    policy.refresh_from_db()
    assert (policy.flood_from, policy.escalate_critical_min) == (5, None)
    for bad in ({"flood_from": 0}, {"longest_shelving_h": 721}, {"operators": 0}, {"escalate_major_min": 0}):
        assert manager_client.post(address, good | bad).status_code == 200


def test_the_sidebar_says_how_many_are_open(manager_client, alarm):
    assert "notifications_active" in manager_client.get("/admin/").content.decode()
