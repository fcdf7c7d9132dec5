"""Alarms on a phone: the list, one alarm, and handling it with and without JavaScript."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from equipment.models import Criticality, FailureMode, Site
from sensors.models import Alarm, AlarmPolicy
from sensors.services.alarms.handling import acknowledge_alarm, shelve_alarm
from sensors.services.alarms.watching import watch_alarms
from sensors.services.baselines import restart_baseline
from smartmaint import clock
from tests.alarms import end_all, raised
from tests.event_rules import make_rule, report, work
from tests.plants import make_plant

pytestmark = pytest.mark.django_db

LIST = "/alarms/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alarm(plant) -> Alarm:
    return raised(plant)


def now(alarm: Alarm) -> Alarm:
    return Alarm.objects.get(pk=alarm.pk)


def shown(client, query="") -> list[Alarm]:
    return list(client.get(LIST + query).context["page"].object_list)


def test_the_list_begins_with_the_worst_and_then_the_newest(viewer_client, organization):
    begin, alarms = clock.now(), {}
    for minute, (name, criticality) in enumerate(
        [
            ("old-b", Criticality.B),
            ("old-a", Criticality.A),
            ("new-b", Criticality.B),
            ("new-c", Criticality.C),
        ]
    ):
        plant = make_plant(organization, name=name)
        plant.machine.criticality = criticality
        plant.machine.save()
        with clock.frozen(begin + timedelta(minutes=minute)):
            alarms[name] = raised(plant)
    assert shown(viewer_client) == [alarms[name] for name in ("old-a", "new-b", "old-b", "new-c")]


@pytest.mark.parametrize(("longest", "offered"), [(72, [1, 8, 24]), (8, [1, 8]), (4, [1, 4]), (1, [1])])
def test_a_tap_shelves_for_no_longer_than_the_policy_allows(owner_client, alarm, longest, offered):
    AlarmPolicy.objects.update(longest_shelving_h=longest)
    page = owner_client.get(LIST).text
    assert [hours for hours in (1, 4, 8, 24) if f'name="hours" value="{hours}"' in page] == offered


def test_what_is_set_aside_or_over_has_lists_of_its_own(viewer_client, alarm, manager, organization):
    shelved = raised(make_plant(organization, name="fan"))
    shelve_alarm(alarm=shelved, by=manager, hours=1)
    over = raised(make_plant(organization, name="belt"))
    acknowledge_alarm(alarm=over, by=manager)
    end_all(over)
    watch_alarms()
    assert shown(viewer_client) == [alarm]
    assert shown(viewer_client, "?show=aside") == [shelved]
    assert shown(viewer_client, "?show=over") == [over]
    assert shown(viewer_client, "?show=nonsense") == [alarm]


def test_by_site_and_ones_own(technician_client, technician_user, alarm, organization):
    elsewhere = raised(make_plant(organization, name="fan"))
    depot = Site.objects.create(organization=organization, name="Depot")
    elsewhere.equipment.site = depot
    elsewhere.equipment.save()
    Alarm.objects.filter(pk=alarm.pk).update(assigned_to=technician_user)
    assert shown(technician_client, f"?site={depot.pk}") == [elsewhere]
    assert shown(technician_client, "?mine=1") == [alarm]
    assert technician_client.get(LIST + "?site=999999999").status_code == 404
    assert technician_client.get(LIST + "?site=" + "9" * 30).status_code == 200


def test_the_navigation_says_how_many_are_open(viewer_client, alarm, manager):
    page = viewer_client.get("/machines/").content.decode()
    assert '<span class="visually-hidden"> open, 1 not acknowledged</span>' in page
    acknowledge_alarm(alarm=alarm, by=manager)
    page = viewer_client.get("/machines/").content.decode()
    assert '1<span class="visually-hidden"> open, 0 not acknowledged</span>' in page


def test_the_list_asks_for_itself_again_and_again(viewer_client, alarm, plant):
    address = f"/alarms/?show=open&amp;site={plant.site.pk}"
    page = viewer_client.get(address.replace("&amp;", "&")).content.decode()
    assert (
        f'id="alarm-list" hx-get="{address}" hx-trigger="every 15s, visibilitychange from:document"' in page
    )
    # What it takes from the answer stands in it, also where there is nothing.
    for query in ("", "?show=aside", "?show=over"):
        again = viewer_client.get(LIST + query, headers=HTMX).content.decode()
        for place in ("alarm-list", "alarm-count", "count-open", "count-aside"):
            assert again.count(f'id="{place}"') == 1


def test_the_list_of_who_was_logged_out_meanwhile_is_loaded_anew(client, operator_client, alarm):
    for anybody in (client, operator_client):
        answer = anybody.get(LIST, headers=HTMX)
        assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (204, "true", b"")
        assert anybody.get(LIST).status_code == 302
    assert client.post(f"{LIST}{alarm.pk}/acknowledge/", headers=HTMX).status_code == 204
    assert now(alarm).acknowledged_at is None


def test_one_tap_acknowledges(owner_client, alarm, plant):
    answer = owner_client.post(f"{LIST}{alarm.pk}/acknowledge/", {"next": "/alarms/?show=open"})
    assert answer.headers["Location"] == "/alarms/?show=open"
    assert now(alarm).acknowledged_by == plant.technician.user


def test_without_a_page_to_return_to_it_shows_the_alarm(owner_client, alarm):
    for elsewhere in ("https://evil.example/alarms/", "//evil.example/", "/admin/", ""):
        answer = owner_client.post(f"{LIST}{alarm.pk}/comment/", {"comment": "x", "next": elsewhere})
        assert answer.headers["Location"] == f"{LIST}{alarm.pk}/"


def test_with_htmx_the_card_alone_comes_back(owner_client, alarm):
    answer = owner_client.post(f"{LIST}{alarm.pk}/acknowledge/", headers=HTMX)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.startswith("\n<article") or page.lstrip().startswith("<article")
    assert "Acknowledged: it calls nobody any more." in page
    assert 'hx-swap-oob="true"' in page
    again = owner_client.post(f"{LIST}{alarm.pk}/acknowledge/", headers=HTMX).content.decode()
    assert "acknowledged it already" in again


def test_shelving_by_a_button_or_by_the_form(owner_client, alarm):
    owner_client.post(f"{LIST}{alarm.pk}/shelve/", {"hours": "8"})
    assert now(alarm).state == "shelved"
    owner_client.post(f"{LIST}{alarm.pk}/unshelve/")
    assert now(alarm).state == "unacknowledged"


@pytest.mark.parametrize("hours", ["", "abc", "0", "-3", "1e400", "nan", "9999"])
def test_hours_that_are_none_are_refused_in_words(owner_client, alarm, hours):
    page = owner_client.post(f"{LIST}{alarm.pk}/shelve/", {"hours": hours}, follow=True)
    assert page.status_code == 200
    assert "message--error" in page.content.decode()
    assert now(alarm).state == "unacknowledged"


def test_comments_and_people(owner_client, alarm, manager, outsider):
    owner_client.post(f"{LIST}{alarm.pk}/comment/", {"comment": "Smells of <b>oil</b>"})
    owner_client.post(f"{LIST}{alarm.pk}/assign/", {"assignee": manager.pk})
    page = owner_client.get(f"{LIST}{alarm.pk}/").content.decode()
    assert "Smells of &lt;b&gt;oil&lt;/b&gt;" in page
    assert now(alarm).assigned_to == manager
    owner_client.post(f"{LIST}{alarm.pk}/assign/", {"assignee": outsider.pk})
    assert now(alarm).assigned_to == manager
    too_long = owner_client.post(f"{LIST}{alarm.pk}/comment/", {"comment": "x" * 501}, follow=True)
    assert "at most 500 characters" in too_long.content.decode()


def test_out_of_service_is_the_managers_affair(owner_client, manager_client, alarm):
    assert owner_client.post(f"{LIST}{alarm.pk}/take-out/", {"comment": "Broken"}).status_code == 403
    manager_client.post(f"{LIST}{alarm.pk}/take-out/", {"comment": ""})
    assert now(alarm).state == "unacknowledged"
    manager_client.post(f"{LIST}{alarm.pk}/take-out/", {"comment": "Sensor on order"})
    assert now(alarm).state == "out_of_service"
    assert "Put back into service" in manager_client.get(f"{LIST}{alarm.pk}/").content.decode()
    manager_client.post(f"{LIST}{alarm.pk}/put-back/")
    assert now(alarm).state == "unacknowledged"


def test_viewers_look_and_do_nothing(viewer_client, alarm):
    page = viewer_client.get(f"{LIST}{alarm.pk}/").content.decode()
    assert "beyond its high limit" in page
    assert 'method="post" action="/alarms/' not in page
    for verb in ("acknowledge", "reset", "shelve", "unshelve", "comment", "assign", "take-out", "put-back"):
        assert viewer_client.post(f"{LIST}{alarm.pk}/{verb}/").status_code == 403
    assert now(alarm).state == "unacknowledged"


def test_one_of_no_known_failure_mode_is_called_unusual(viewer_client, alarm):
    alarm.failure_mode = FailureMode.objects.unknown_of(alarm.organization_id)
    alarm.save()
    assert "<h1>PUMP-7: something unusual</h1>" in viewer_client.get(f"{LIST}{alarm.pk}/").content.decode()


def test_the_work_at_its_machine_is_told(viewer_client, alarm, pending, plant):
    page = viewer_client.get(f"{LIST}{alarm.pk}/").content.decode()
    assert f"/jobs/{pending.pk}/" in page
    assert pending.title in page


def test_an_alarm_of_counted_events_lists_them(viewer_client, plant):
    make_rule(plant, times=2, within_hours=24)
    report(plant, 30, message="too old")
    report(plant, 2, 1, message="Overload of the drive")
    report(plant, 1.5, code="F9", message="of another code")
    work()
    found = Alarm.objects.get()
    page = viewer_client.get(f"{LIST}{found.pk}/").content.decode()

    assert page.count("Overload of the drive") == 2
    assert "too old" not in page
    assert "of another code" not in page


def test_what_came_before_a_repair_is_not_among_them(viewer_client, plant):
    make_rule(plant, times=2, within_hours=24)
    report(plant, 5, message="before the repair")
    work()
    restart_baseline(equipment=plant.machine, started_at=clock.now() - timedelta(hours=3), reason="Repaired")
    report(plant, 2, 1, message="after it")
    work()
    page = viewer_client.get(f"{LIST}{Alarm.objects.get().pk}/").content.decode()
    assert (page.count("after it"), page.count("before the repair")) == (2, 0)


def test_one_of_readings_lists_no_events(viewer_client, alarm, plant):
    report(plant, 0.1)
    assert "The events that were counted" not in viewer_client.get(f"{LIST}{alarm.pk}/").content.decode()


def test_a_foreign_alarm_is_not_there(outsider_client, alarm):
    assert outsider_client.get(f"{LIST}{alarm.pk}/").status_code == 404
    assert outsider_client.post(f"{LIST}{alarm.pk}/acknowledge/").status_code == 404
    assert shown(outsider_client) == []


def test_the_number_of_alarms_renews_itself_on_every_page(viewer_client, client, outsider_client, alarm):
    page = viewer_client.get("/machines/").content.decode()
    assert f'hx-get="{LIST}count/"' in page
    number = viewer_client.get(f"{LIST}count/").content.decode()
    assert "1<span" in number
    assert "hidden" in outsider_client.get(f"{LIST}count/").content.decode()
    logged_out = client.get(f"{LIST}count/")
    assert (logged_out.status_code, logged_out.content) == (204, b"")


def test_verbs_are_posted(owner_client, alarm):
    assert owner_client.get(f"{LIST}{alarm.pk}/acknowledge/").status_code == 405
    assert owner_client.post(f"{LIST}{alarm.pk}/").status_code == 405


def test_a_long_list_takes_no_more_queries_than_a_short_one(owner_client, organization, alarm):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner_client.get(LIST).status_code == 200
        return len(captured)

    few = queries()
    for number in range(5):
        raised(make_plant(organization, name=f"fan-{number}"))
    assert queries() == few


def test_the_machine_and_its_story_tell_of_it(owner_client, plant, alarm, manager):
    acknowledge_alarm(alarm=alarm, by=manager, comment="On my way")
    page = owner_client.get(f"/machines/{plant.machine.pk}/").content.decode()
    assert f'href="/alarms/{alarm.pk}/"' in page
    assert "Alarm raised: Vibration" in page
    assert "Alarm acknowledged: Vibration" in page
    assert "On my way" in page
