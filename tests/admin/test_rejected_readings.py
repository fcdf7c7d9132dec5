"""Managers' pages of what was not stored: the kept readings, the inbox of unknown sensors, the policy."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sensors.ingest.parsed import Refusal, from_columns
from sensors.models import IngestPolicy, Reading, RejectedReading, Sensor, SensorAlias, UnknownSensor
from sensors.services.ingest import ingest_readings
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from tests.plants import Plant, make_plant, make_sensor

pytestmark = pytest.mark.django_db

REJECTED = "/admin/sensors/rejectedreading/"
UNKNOWN = "/admin/sensors/unknownsensor/"
POLICY = "/admin/sensors/ingestpolicy/"
ALIASES = "/admin/sensors/sensoralias/"


@pytest.fixture
def api_key(plant, ingest_key) -> ApiKey:
    return ingest_key[0]


def send(api_key: ApiKey, *keys: str, unit: str | None = None, raw: str = "") -> None:
    """One request with a reading for each key, a second apart; and one that could not be read."""
    now_us = microseconds(clock.now())
    refusals = [Refusal(99, "invalid_row", "A reading is an object.", raw=raw)] if raw else []
    parsed = from_columns(
        keys=list(keys),
        ts_us=[now_us - 1_000_000 * age for age in range(len(keys))],
        values=[20.0] * len(keys),
        units=[unit] * len(keys),
        refusals=refusals,
    )
    ingest_readings(organization=api_key.organization, parsed=parsed, api_key=api_key, format="JSON")


def words(response) -> str:
    """A page as it is read."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(text.split())


def act(client, action: str, *rows, query: str = "", page: str = REJECTED) -> str:
    """Run an action on the rows, or on all that the page lists; the page that follows."""
    picked = {"_selected_action": [row.pk for row in rows] or [""], "select_across": "0" if rows else "1"}
    form = {"action": action, "index": "0", **picked}
    return words(client.post(page + query, form, follow=True))


def page_of(unknown: UnknownSensor, name: str = "change") -> str:
    return f"{UNKNOWN}{unknown.pk}/{name}/"


# Rejected readings.


def test_the_list_tells_what_waits_by_reason(manager_client, api_key):
    send(api_key, "a", "b", raw="[1]")
    send(api_key, "pump-7/vibration", unit="degC")
    page = words(manager_client.get(REJECTED))
    assert "Not stored yet unknown_sensor 2 invalid_row 1 unit_mismatch 1 Try to store 3 now" in page
    assert "1 of the list below can never be stored" in page


def test_the_list_shows_what_came_as_far_as_it_can_be_read(manager_client, api_key):
    send(api_key, "P9.Temp", unit="Cel", raw="pump,site=north vibration=4.2 " + "9" * 100)
    send(api_key, "P9.Temp", unit="Cel")
    page = words(manager_client.get(REJECTED))
    assert "P9.Temp = 20 °C" in page
    assert "pump,site=north vibration=4.2 999" in page
    assert "9" * 90 not in page
    row = RejectedReading.objects.get(sensor_key="")
    ingest_readings(
        organization=api_key.organization,
        parsed=from_columns(
            keys=[], ts_us=[], values=[], refusals=[Refusal(0, row.code, row.detail, raw=row.raw)]
        ),
        api_key=api_key,
    )
    assert "refused, came 2 times" in words(manager_client.get(REJECTED))


def test_only_what_can_be_stored_is_offered_to_be(manager_client, api_key):
    send(api_key, "a", "b", "c", raw="[1]")
    RejectedReading.objects.filter(sensor_key="b").update(ts=clock.now() - timedelta(days=401))

    def offer(query: str) -> str:
        return words(manager_client.get(REJECTED + query))

    assert "Try to store 2 now" in offer("")
    assert "2 of the list below can never be stored" in offer("")
    assert "Try to store 1 now" in offer("?sensor_key=a")
    assert "never be stored" not in offer("?sensor_key=a")
    assert "Try to store" not in offer("?state=unreadable")
    assert len(manager_client.get(f"{REJECTED}?state=unreadable").context["cl"].result_list) == 2


def test_the_list_is_narrowed_by_reason_sender_state_and_sensor(manager_client, api_key):
    send(api_key, "a", "b", raw="[1]")
    RejectedReading.objects.filter(sensor_key="b").update(stored_at=clock.now())

    def listed(query: str) -> list[str]:
        changelist = manager_client.get(REJECTED + query).context["cl"]
        return sorted(row.sensor_key or row.raw for row in changelist.result_list)

    assert listed("?code=unknown_sensor") == ["a", "b"]
    assert listed("?state=waiting") == ["[1]", "a"]
    assert listed("?state=unreadable") == ["[1]"]
    assert listed("?state=held") == []
    assert listed("?state=stored") == ["b"]
    assert listed(f"?api_key__id__exact={api_key.pk}&q=A") == ["a"]
    assert listed(f"?api_key__id__exact={api_key.pk + 1}") == []
    assert listed("?sensor_key=b") == ["b"]


def test_a_page_shows_what_came_as_it_was_sent_and_nothing_can_be_written(manager_client, api_key):
    send(api_key, raw='{"sensor": <script>}')
    row = RejectedReading.objects.get()
    response = manager_client.get(f"{REJECTED}{row.pk}/change/")
    assert "{&quot;sensor&quot;: &lt;script&gt;}" in response.content.decode()
    assert 'name="detail"' not in response.content.decode()
    assert "A reading is an object." in words(response)
    assert manager_client.post(f"{REJECTED}{row.pk}/change/", {"code": "x"}).status_code == 403
    assert manager_client.get(f"{REJECTED}add/").status_code == 403


def test_selected_readings_are_stored(manager_client, plant, api_key):
    send(api_key, "a", "b", "c")
    for key in "ab":
        make_sensor(plant.machine, key)
    rows = RejectedReading.objects.filter(sensor_key__in="ac")
    page = act(manager_client, "replay_selected", *rows)
    assert "1 stored; 1 refused again: 1 × unknown_sensor." in page
    assert [reading.sensor.key for reading in Reading.objects.all()] == ["a"]


def test_all_that_match_are_stored_at_one_press(manager_client, plant, api_key):
    send(api_key, *("a" * 120))
    send(api_key, "b", raw="[]")
    for key in "ab":
        make_sensor(plant.machine, key)
    assert "120 stored." in act(manager_client, "replay_selected", query="?sensor_key=a")
    assert "1 stored." in act(manager_client, "replay_selected")
    assert "There was nothing to store" in act(manager_client, "replay_selected")


def test_a_corrected_unit_lets_the_readings_in(manager_client, plant, api_key):
    sensor = make_sensor(plant.machine, "a")
    send(api_key, "a", unit="degC")
    form = {
        "key": "a",
        "equipment": plant.machine.pk,
        "quantity": "temperature",
        "unit": "Cel",
        "expected_interval_s": "300",
        "is_active": "on",
    }
    form |= {"limits-TOTAL_FORMS": "0", "limits-INITIAL_FORMS": "0"}
    assert manager_client.post(f"/admin/sensors/sensor/{sensor.pk}/change/", form).status_code == 302
    assert "1 stored." in act(manager_client, "replay_selected")


def test_selected_readings_are_forgotten(manager_client, api_key):
    IngestPolicy.objects.update(unknown_sensors="hold")
    send(api_key, "a", "b")
    row = RejectedReading.objects.get(sensor_key="a")
    manager_client.post(REJECTED, {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert RejectedReading.objects.get().sensor_key == "b"
    manager_client.post(f"{REJECTED}{RejectedReading.objects.get().pk}/delete/", {"post": "yes"})
    assert not RejectedReading.objects.exists()


def test_a_long_list_costs_no_more_queries_than_a_short_one(manager_client, api_key):
    def queries(page: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert manager_client.get(page).status_code == 200
        return len(captured)

    send(api_key, "a")
    queries(REJECTED)  # the first visit fills caches
    short = [queries(page) for page in (REJECTED, UNKNOWN)]
    send(api_key, *(f"sensor-{number}" for number in range(50)))
    assert [queries(page) for page in (REJECTED, UNKNOWN)] == short


@pytest.mark.parametrize("address", [REJECTED, UNKNOWN])
def test_these_pages_are_for_managers(viewer_client, technician_client, outsider_client, api_key, address):
    send(api_key, "a")
    assert viewer_client.get(address).status_code == 403
    assert technician_client.get(address).status_code == 403
    assert list(outsider_client.get(address).context["cl"].result_list) == []


def test_foreign_rows_are_not_there(outsider_client, api_key, plant):
    send(api_key, "a")
    rejected, unknown = RejectedReading.objects.get(), UnknownSensor.objects.get()
    addresses = [f"{REJECTED}{rejected.pk}/change/", page_of(unknown)]
    addresses += [page_of(unknown, name) for name in ("new-sensor", "existing-sensor", "store", "forget")]
    assert {outsider_client.get(address).status_code for address in addresses} == {404}
    assert {outsider_client.post(address).status_code for address in addresses[2:]} == {404}
    make_sensor(plant.machine, "a")
    act(outsider_client, "replay_selected", rejected)
    act(outsider_client, "forget_selected", unknown, page=UNKNOWN)
    assert UnknownSensor.objects.exists()
    assert not Reading.objects.exists()


def test_the_operator_looks_at_all_organisations_and_stores_for_none(operator_client, api_key):
    send(api_key, "a")
    page = operator_client.get(REJECTED)
    assert "unknown_sensor 1" in words(page)
    assert "Try to store" not in words(page)
    act(operator_client, "replay_selected")
    assert RejectedReading.objects.waiting().exists()


# Unknown sensors.


def test_the_inbox_tells_who_sent_what_and_how_much_is_kept(manager_client, api_key):
    send(api_key, "P9.Temp", unit="Cel")
    send(api_key, "P9.Temp", "P9.Temp", unit="Cel")
    page = words(manager_client.get(UNKNOWN))
    assert "P9.Temp gateway" in page
    assert "20 °C unknown" in page
    [unknown] = manager_client.get(UNKNOWN).context["cl"].result_list
    assert (unknown.readings, unknown.kept_count) == (3, RejectedReading.objects.count())
    assert f"?state=waiting&amp;sensor_key={quote('P9.Temp')}" in manager_client.get(UNKNOWN).content.decode()


def new_sensor_form(plant: Plant, **changes: object) -> dict:
    return {
        "key": "P9.Temp",
        "name": "",
        "equipment": plant.machine.pk,
        "quantity": "temperature",
        "unit": "Cel",
        "physical_min": "",
        "physical_max": "",
        "expected_interval_s": "60",
    } | changes


def test_a_sensor_is_made_of_a_line_and_takes_what_waits(manager_client, plant, api_key):
    send(api_key, "P9.Temp", "P9.Temp", "P9.Temp", unit="Cel")
    unknown = UnknownSensor.objects.get()
    form = manager_client.get(page_of(unknown, "new-sensor")).context["form"]
    guessed = {name: form[name].value() for name in ("key", "unit", "quantity", "expected_interval_s")}
    assert guessed == {
        "key": "P9.Temp",
        "unit": "Cel",
        "quantity": "temperature",
        "expected_interval_s": 1.0,
    }
    response = manager_client.post(page_of(unknown, "new-sensor"), new_sensor_form(plant), follow=True)
    assert response.redirect_chain == [(UNKNOWN, 302)]
    assert "The sensor P9.Temp takes these readings now. 3 stored." in words(response)
    made = Sensor.objects.get(key="P9.Temp")
    assert (made.organization, made.equipment, made.expected_interval_s) == (
        plant.organization,
        plant.machine,
        60,
    )
    assert made.history.get().history_user.username == "mina"
    assert Reading.objects.filter(sensor=made).count() == 3
    assert not UnknownSensor.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "P9.Temp\x07"}, "key"),
        ({"key": "pump-7/vibration"}, "__all__"),
        ({"unit": "furlong"}, "unit"),
        ({"expected_interval_s": "0"}, "expected_interval_s"),
        ({"physical_min": "5", "physical_max": "1"}, "__all__"),
        ({"max_change_per_min": "0"}, "__all__"),
        ({"equipment": ""}, "equipment"),
    ],
)
def test_a_sensor_that_cannot_be_is_not_made(manager_client, plant, api_key, changes, field):
    send(api_key, "P9.Temp")
    unknown = UnknownSensor.objects.get()
    response = manager_client.post(page_of(unknown, "new-sensor"), new_sensor_form(plant, **changes))
    assert list(response.context["form"].errors) == [field]
    assert UnknownSensor.objects.exists()


def test_a_machine_of_another_organisation_is_not_chosen(manager_client, plant, foreign_plant, api_key):
    send(api_key, "P9.Temp")
    unknown = UnknownSensor.objects.get()
    form = new_sensor_form(plant, equipment=foreign_plant.machine.pk)
    response = manager_client.post(page_of(unknown, "new-sensor"), form)
    assert list(response.context["form"].errors) == ["equipment"]
    response = manager_client.post(page_of(unknown, "existing-sensor"), {"sensor": foreign_plant.sensor.pk})
    assert list(response.context["form"].errors) == ["sensor"]
    assert not SensorAlias.objects.exists()


def test_a_line_is_assigned_to_a_sensor_that_is_there(manager_client, plant, api_key):
    send(api_key, "P9.Temp")
    unknown = UnknownSensor.objects.get()
    response = manager_client.post(
        page_of(unknown, "existing-sensor"), {"sensor": plant.sensor.pk}, follow=True
    )
    assert "What comes as P9.Temp goes to the sensor pump-7/vibration now. 1 stored." in words(response)
    assert SensorAlias.objects.get().sensor == plant.sensor


def test_a_key_that_names_another_machine_is_asked_about(manager_client, plant, organization, api_key):
    """The first hit of a search may be of any machine, and what is stored is not taken back."""
    fan = make_plant(organization, name="fan-4")
    send(api_key, "hall/FAN-4.vibration")
    unknown = UnknownSensor.objects.get()
    page, form = page_of(unknown, "existing-sensor"), {"sensor": plant.sensor.pk}
    response = manager_client.post(page, form)
    assert response.context["form"].errors == {
        "is_meant": [
            "pump-7/vibration measures PUMP-7 Pump pump-7, and this key names FAN-4 Pump fan-4. Is that meant?"
        ]
    }
    assert "It belongs to another machine than its key names" in words(response)
    assert not SensorAlias.objects.exists()
    manager_client.post(page, form | {"is_meant": "on"})
    assert SensorAlias.objects.get().sensor == plant.sensor

    SensorAlias.objects.all().delete()
    send(api_key, "hall/fan-4.vibration")
    manager_client.post(page_of(UnknownSensor.objects.get(), "existing-sensor"), {"sensor": fan.sensor.pk})
    assert SensorAlias.objects.get().sensor == fan.sensor


def test_a_new_sensor_stands_at_the_machine_that_its_key_names(manager_client, plant, api_key):
    send(api_key, "pump-7/temperature")
    form = manager_client.get(page_of(UnknownSensor.objects.get(), "new-sensor")).context["form"]
    assert form["equipment"].value() == plant.machine.pk


def test_what_could_not_be_stored_is_shown_next(manager_client, plant, api_key):
    send(api_key, "P9.Temp", unit="Cel")
    unknown = UnknownSensor.objects.get()
    form = {"sensor": plant.sensor.pk}
    response = manager_client.post(page_of(unknown, "existing-sensor"), form, follow=True)
    assert response.redirect_chain == [(f"{REJECTED}?state=waiting&sensor_key=P9.Temp", 302)]
    assert "0 stored; 1 refused again: 1 × unit_mismatch." in words(response)
    assert len(response.context["cl"].result_list) == 1


def buttons(client, unknown: UnknownSensor) -> set[str]:
    found = re.findall(rf"{UNKNOWN}{unknown.pk}/([a-z-]+)", client.get(page_of(unknown)).content.decode())
    return set(found) & {"new-sensor", "existing-sensor", "store", "forget"}


def test_readings_of_a_key_that_got_its_sensor_elsewhere_only_need_to_be_stored(
    manager_client, plant, api_key
):
    send(api_key, "P9.Temp")
    unknown = UnknownSensor.objects.get()
    assert buttons(manager_client, unknown) == {"new-sensor", "existing-sensor", "forget"}
    refused = manager_client.post(page_of(unknown, "store"))
    assert "No sensor has this key yet" in words(refused)
    make_sensor(plant.machine, "P9.Temp")
    assert buttons(manager_client, unknown) == {"store", "forget"}
    assert "1 stored." in words(manager_client.post(page_of(unknown, "store"), follow=True))
    assert not UnknownSensor.objects.exists()


def test_a_line_is_forgotten_with_what_is_kept_for_it(manager_client, api_key):
    send(api_key, "P9.Temp", "P9.Temp")
    unknown = UnknownSensor.objects.get()
    assert "2 kept readings are deleted" in words(manager_client.get(page_of(unknown, "forget")))
    response = manager_client.post(page_of(unknown, "forget"), follow=True)
    assert "Forgotten, with 2 kept readings." in words(response)
    assert not RejectedReading.objects.exists()


def test_selected_lines_are_forgotten(manager_client, api_key):
    send(api_key, "a", "b", "c")
    page = act(manager_client, "forget_selected", *UnknownSensor.objects.exclude(key="c"), page=UNKNOWN)
    assert "2 forgotten, with 2 kept readings." in page
    assert UnknownSensor.objects.get().key == "c"


def test_a_technician_assigns_nothing(technician_client, api_key):
    send(api_key, "a")
    unknown = UnknownSensor.objects.get()
    for name in ("new-sensor", "existing-sensor", "store", "forget"):
        assert technician_client.post(page_of(unknown, name)).status_code == 403
    assert UnknownSensor.objects.exists()


# Aliases.


def test_an_alias_is_added_and_taken_away_by_hand(manager_client, plant):
    form = {"key": "RMS", "sensor": plant.sensor.pk}
    assert manager_client.post(f"{ALIASES}add/", form).status_code == 302
    alias = SensorAlias.objects.get()
    assert (alias.organization, alias.sensor) == (plant.organization, plant.sensor)
    assert manager_client.post(f"{ALIASES}{alias.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not SensorAlias.objects.exists()


def test_an_alias_is_no_sensors_own_key_and_is_there_once(manager_client, plant):
    form = {"key": "pump-7/vibration", "sensor": plant.sensor.pk}
    response = manager_client.post(f"{ALIASES}add/", form)
    assert list(response.context["adminform"].form.errors) == ["key"]
    SensorAlias.objects.create(organization=plant.organization, key="RMS", sensor=plant.sensor)
    response = manager_client.post(f"{ALIASES}add/", {**form, "key": "RMS"})
    assert "already exists" in words(response)


# The policy.


def policy_form(**changes: str) -> dict[str, str]:
    usual = {
        "unknown_sensors": "hold",
        "retention_days": "730",
        "rejected_kept": "500",
        "silence_factor": "4",
    }
    return usual | changes


def test_an_organisation_has_a_policy_from_its_beginning_and_says_what_it_means(manager_client, organization):
    policy = IngestPolicy.objects.get(organization=organization)
    response = manager_client.get(POLICY, follow=True)
    assert response.redirect_chain == [(f"{POLICY}{policy.pk}/change/", 302)]
    page = words(response)
    assert "is refused with the code unknown_sensor" in page
    assert "the newest 10,000 refused readings of each key" in page
    assert "expected every 5 min is overdue after 15 min without a reading" in page
    assert "after another 15 min at the latest" in page
    page = words(manager_client.post(f"{POLICY}{policy.pk}/change/", policy_form(), follow=True))
    assert "from 500 of one key on, more are refused with the code inbox_full" in page
    assert "is overdue after 20 min" in page
    assert policy.history.first().history_user.username == "mina"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retention_days", "364"),
        ("rejected_kept", "100001"),
        ("rejected_kept", "-1"),
        ("silence_factor", "0.5"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(manager_client, organization, field, value):
    policy = IngestPolicy.objects.get(organization=organization)
    response = manager_client.post(f"{POLICY}{policy.pk}/change/", policy_form(**{field: value}))
    assert list(response.context["adminform"].form.errors) == [field]


def test_the_policy_says_from_when_readings_are_deleted(manager_client, organization):
    with clock.frozen(clock.now().replace(year=2026, month=11, day=22, hour=12)):
        IngestPolicy.objects.update(retention_days=365)
        page = words(manager_client.get(POLICY, follow=True))
    assert "Readings from before 22 Nov 2025 are deleted for good." in page


def test_a_policy_is_neither_added_nor_deleted_and_viewers_only_look(
    manager_client, viewer_client, outsider_client, organization
):
    policy = IngestPolicy.objects.get(organization=organization)
    assert manager_client.get(f"{POLICY}add/").status_code == 403
    assert manager_client.post(f"{POLICY}{policy.pk}/delete/", {"post": "yes"}).status_code == 403
    assert viewer_client.post(f"{POLICY}{policy.pk}/change/", policy_form()).status_code == 403
    assert outsider_client.get(f"{POLICY}{policy.pk}/change/").status_code == 404
    policy.refresh_from_db()
    assert policy.unknown_sensors == "refuse"
