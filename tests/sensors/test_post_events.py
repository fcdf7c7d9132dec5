"""POST /api/v1/events answers as POST /api/v1/readings does; one test per case."""

import gzip
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Equipment, KeyRestriction
from sensors.models import KeyAllowance, MachineEvent, RefusedRequests
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import issue_api_key
from tests.plants import make_plant
from tests.sensors.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ten_o_clock")]

URL = "/api/v1/events"


@pytest.fixture
def event(plant):
    def make(code="E17", minutes=0, **more):
        at = (NOW - timedelta(minutes=minutes)).isoformat()
        return {"equipment": plant.machine.tag, "code": code, "ts": at} | more

    return make


def counts(response):
    body = response.json()
    return tuple(
        body[name] for name in ("received", "accepted", "inserted", "updated", "unchanged", "rejected")
    )


def test_all_stored_is_200_with_counts(plant, post, event, key):
    response = post({"events": [event(kind="fault", message="Overload"), event("E18", minutes=3)]})

    assert (response.status_code, counts(response)) == (200, (2, 2, 2, 0, 0, 0))
    newest = MachineEvent.objects.first()
    assert (newest.equipment, newest.code, newest.at, newest.received_at) == (plant.machine, "E17", NOW, NOW)
    assert (newest.kind, newest.message, newest.api_key) == ("fault", "Overload", key[0])


def test_the_same_event_again_changes_nothing(post, event):
    body = {"events": [event(message="Overload")]}
    post(body)
    response = post(body)

    assert (response.status_code, counts(response)) == (200, (1, 1, 0, 0, 1, 0))
    assert MachineEvent.objects.count() == 1


def test_of_the_same_event_the_last_words_win(post, event):
    post({"events": [event()]})
    response = post({"events": [event(message="one"), event(kind="fault", message="two")]})

    assert counts(response) == (2, 2, 0, 1, 1, 0)
    assert MachineEvent.objects.values_list("kind", "message").get() == ("fault", "two")


def test_some_refused_is_207_and_the_good_ones_are_stored(post, event):
    response = post({"events": [event(), event(equipment="nobody"), event(kind="alarm"), event(code="")]})

    assert (response.status_code, counts(response)) == (207, (4, 1, 1, 0, 0, 3))
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [
        (1, "unknown_equipment"),
        (2, "unknown_kind"),
        (3, "invalid_code"),
    ]


def test_all_refused_is_422_as_a_problem_and_counted(post, event):
    response = post({"events": [event(equipment="nobody")]})

    assert (response.status_code, response.json()["code"]) == (422, "all_refused")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert counts(response) == (1, 0, 0, 0, 0, 1)
    assert RefusedRequests.objects.values_list("code", "count").get() == ("all_refused", 1)


def test_atomic_stores_all_or_nothing(post, event):
    response = post({"events": [event(), event(equipment="nobody")]}, query="?atomic=true")

    assert (response.status_code, counts(response)) == (422, (2, 0, 0, 0, 0, 2))
    assert not MachineEvent.objects.exists()


def test_an_empty_request_stores_nothing_and_is_no_error(post, plant):
    response = post({"events": []})
    assert (response.status_code, counts(response)) == (200, (0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("minutes", "code"), [(-11, 422), (-9, 200), (401 * 24 * 60, 422), (399 * 24 * 60, 200)]
)
def test_what_lies_outside_the_window_of_time_is_refused(minutes, code, post, event):
    response = post({"events": [event(minutes=minutes)]})

    assert response.status_code == code
    if code == 422:
        assert response.json()["errors"][0]["code"] == "timestamp_out_of_range"


def test_csv_and_gzip_are_taken(post, plant):
    body = f"equipment,code,ts\n{plant.machine.tag},E17,{NOW.isoformat()}\n".encode()
    response = post(gzip.compress(body), content_type="text/csv", **{"Content-Encoding": "gzip"})

    assert (response.status_code, counts(response)) == (200, (1, 1, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"<events/>", "application/xml", 415),
        (b'{"events": [' + b" " * (10 * 2**20) + b"]}", "application/json", 413),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(body, content_type, status, post, plant):
    assert post(body, content_type=content_type).status_code == status


def test_a_key_is_needed_and_its_scope(client, organization, post, event):
    body = {"events": [event()]}
    _, read_only = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])

    assert post(body, Authorization="").status_code == 401
    assert post(body, Authorization=f"Bearer {read_only}").status_code == 403
    assert client.get(URL).status_code == 405
    assert not MachineEvent.objects.exists()


def test_a_key_for_some_machines_posts_for_no_other(organization, plant, key, post, event):
    other = Equipment.objects.create(
        organization=organization,
        site=plant.site,
        tag="P-999",
        name="Another",
        equipment_class=plant.machine.equipment_class,
    )
    KeyRestriction.objects.create(organization=organization, api_key=key[0], equipment=plant.machine)

    response = post({"events": [event(), event(equipment=other.tag)]})

    assert response.json()["errors"][0]["code"] == "forbidden_equipment"
    assert MachineEvent.objects.get().equipment == plant.machine


def test_over_the_keys_limit_is_429(organization, key, post, event, settings):
    KeyAllowance.objects.create(
        organization=organization, api_key=key[0], requests_per_s=0.01, readings_per_s=1000
    )
    settings.INGEST_BURST_S = 1

    answers = [post({"events": [event()]}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0


def test_another_organisations_machine_of_the_same_tag_is_not_meant(other_organization, post, event, plant):
    foreign = make_plant(other_organization, name="pump-8")
    Equipment.objects.filter(pk=foreign.machine.pk).update(tag=plant.machine.tag)

    post({"events": [event()]})

    assert MachineEvent.objects.get().equipment == plant.machine


def test_the_database_keeps_events_whole(plant, other_organization):
    owned = {"organization": plant.organization, "equipment": plant.machine, "at": NOW}
    for wrong in ({"code": ""}, {"code": "E1", "kind": "alarm"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            MachineEvent.objects.create(**owned | wrong)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic():
        MachineEvent.objects.create(**owned | {"organization": other_organization, "code": "E1"})
    MachineEvent.objects.create(**owned, code="E1")
    with pytest.raises(IntegrityError), transaction.atomic():
        MachineEvent.objects.create(**owned, code="E1")
