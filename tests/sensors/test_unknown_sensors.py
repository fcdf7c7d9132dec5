"""The inbox: keys that no sensor has are listed, assigned with what waits for them, or forgotten."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from sensors.ingest.parsed import from_columns
from sensors.models import IngestPolicy, Reading, RejectedReading, Sensor, SensorAlias, UnknownSensor
from sensors.services import assigning, inbox
from sensors.services.assigning import (
    AssignmentRefused,
    assign_unknown_sensor,
    sensor_of,
    suggest_sensor,
)
from sensors.services.forgetting import forget_unknown_sensor
from sensors.services.ingest import Receipt, ingest_readings
from sensors.services.replaying import replay_rejected
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import issue_api_key
from tests.plants import make_sensor
from tests.sensors.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ten_o_clock")]


def send(
    api_key: ApiKey, *values: float, key: str = "P9.Temp", unit: str | None = None, step_s: float = 60
) -> Receipt:
    ages_us = (np.arange(len(values))[::-1] * step_s * 1e6).astype(np.int64)
    parsed = from_columns(
        keys=[key] * len(values),
        ts_us=microseconds(NOW) - ages_us,
        values=values,
        quality=[2 if np.isnan(value) else 0 for value in values],
        units=[unit] * len(values),
    )
    return ingest_readings(organization=api_key.organization, parsed=parsed, api_key=api_key, format="JSON")


def line() -> UnknownSensor:
    return UnknownSensor.objects.get()


def hold(organization) -> None:
    IngestPolicy.objects.filter(organization=organization).update(unknown_sensors="hold")


# The lines.


@pytest.mark.parametrize("policy", ["hold", "refuse"])
def test_an_unknown_key_is_listed_whatever_the_policy(api_key, policy):
    IngestPolicy.objects.update(unknown_sensors=policy)
    send(api_key, 1.0, 2.0, unit="Cel")
    with clock.frozen(NOW + timedelta(hours=1)):
        send(api_key, 3.0, unit="degF")
    unknown = line()
    assert (unknown.key, unknown.api_key, unknown.readings) == ("P9.Temp", api_key, 3)
    assert (unknown.first_seen_at, unknown.last_seen_at) == (NOW, NOW + timedelta(hours=1))
    assert (unknown.last_value, unknown.unit) == (3.0, "degF")


def test_each_organisation_has_a_line_of_its_own(api_key, other_organization):
    foreign_key, _ = issue_api_key(organization=other_organization, name="gateway", scopes=[Scope.INGEST])
    send(api_key, 1.0)
    send(foreign_key, 2.0)
    values = UnknownSensor.objects.values_list("organization", "last_value")
    assert set(values) == {(api_key.organization_id, 1.0), (other_organization.pk, 2.0)}


def test_a_reading_that_is_refused_for_another_reason_has_no_line(plant, api_key):
    send(api_key, 1.0, key="pump-7/vibration", unit="degC")
    assert not UnknownSensor.objects.exists()


def test_a_sensor_that_is_switched_off_is_unknown(plant, api_key):
    Sensor.objects.update(is_active=False)
    send(api_key, 1.0, key="pump-7/vibration")
    assert line().key == "pump-7/vibration"


def test_keys_that_are_made_up_push_out_the_oldest_of_which_nothing_is_held(
    api_key, organization, monkeypatch
):
    monkeypatch.setattr(inbox, "MOST_UNKNOWN_SENSORS", 3)
    hold(organization)
    send(api_key, 1.0, key="held")
    IngestPolicy.objects.update(unknown_sensors="refuse")
    for number in range(5):
        with clock.frozen(NOW + timedelta(minutes=number)):
            send(api_key, 1.0, key=f"made-up-{number}")
    assert set(UnknownSensor.objects.values_list("key", flat=True)) == {"held", "made-up-3", "made-up-4"}


# Assigning.


def test_a_new_sensor_takes_what_waits(plant, api_key, manager):
    send(api_key, 20.0, 21.0, unit="Cel")
    new = suggest_sensor(line())
    new.equipment = plant.machine
    report = assign_unknown_sensor(unknown=line(), sensor=new, by=manager)
    assert (report.stored, dict(report.refused)) == (2, {})
    assert list(Reading.objects.values_list("sensor__key", "value")) == [("P9.Temp", 20.0), ("P9.Temp", 21.0)]
    assert not UnknownSensor.objects.exists()
    assert not SensorAlias.objects.exists()
    assert send(api_key, 22.0, unit="Cel").updated == 1


def test_a_new_sensor_may_have_a_nicer_key_and_is_known_under_both(plant, api_key):
    send(api_key, 20.0)
    new = Sensor(
        organization=plant.organization,
        equipment=plant.machine,
        key="pump-9/temperature",
        quantity="temperature",
        unit="Cel",
    )
    assign_unknown_sensor(unknown=line(), sensor=new, by=None)
    assert SensorAlias.objects.get(key="P9.Temp").sensor.key == "pump-9/temperature"
    assert send(api_key, 20.0).unchanged == 1
    assert send(api_key, 20.0, key="pump-9/temperature").unchanged == 1


def test_a_sensor_that_is_there_is_known_under_the_key_too(plant, api_key, manager):
    send(api_key, 2.0, 2.5)
    report = assign_unknown_sensor(unknown=line(), sensor=plant.sensor, by=manager)
    assert report.stored == 2
    assert Reading.objects.filter(sensor=plant.sensor).count() == 2
    assert send(api_key, 2.5).accepted == 1


def test_what_cannot_be_stored_stays_with_its_reason(plant, api_key):
    send(api_key, 20.0, unit="Cel")
    report = assign_unknown_sensor(unknown=line(), sensor=plant.sensor, by=None)
    assert (report.stored, dict(report.refused)) == (0, {"unit_mismatch": 1})
    assert str(report) == "0 stored; 1 refused again: 1 × unit_mismatch."
    assert RejectedReading.objects.get().code == "unit_mismatch"


def test_many_readings_are_not_stored_while_a_person_waits(plant, api_key, monkeypatch):
    monkeypatch.setattr(assigning, "REPLAYED_AT_ONCE", 2)
    send(api_key, 1.0, 2.0, 3.0)
    assert assign_unknown_sensor(unknown=line(), sensor=plant.sensor, by=None) is None
    assert RejectedReading.objects.replayable().count() == 3
    assert not Reading.objects.exists()
    assert not UnknownSensor.objects.exists()


def test_a_line_is_assigned_once(plant, api_key):
    send(api_key, 1.0)
    first = second = line()
    assign_unknown_sensor(unknown=first, sensor=plant.sensor, by=None)
    with pytest.raises(AssignmentRefused, match="Somebody else"):
        assign_unknown_sensor(unknown=second, sensor=plant.sensor, by=None)


def test_a_key_that_a_sensor_got_meanwhile_becomes_no_alias_of_another(plant, api_key):
    send(api_key, 1.0)
    made = make_sensor(plant.machine, "P9.Temp")
    with pytest.raises(AssignmentRefused, match=r"There is a sensor P9\.Temp itself now"):
        assign_unknown_sensor(unknown=line(), sensor=plant.sensor, by=None)
    assert sensor_of(line()) == made
    assert assign_unknown_sensor(unknown=line(), sensor=made, by=None).stored == 1


def test_a_new_sensor_whose_key_is_taken_is_refused(plant, api_key):
    send(api_key, 1.0)
    new = suggest_sensor(line())
    new.key, new.equipment, new.unit = plant.sensor.key, plant.machine, "mm/s"
    with pytest.raises(AssignmentRefused, match="There is a sensor pump-7/vibration already"):
        assign_unknown_sensor(unknown=line(), sensor=new, by=None)
    assert UnknownSensor.objects.exists()


def test_an_alias_of_a_sensor_out_of_use_leads_to_its_successor(plant, api_key):
    old = make_sensor(plant.machine, "old", is_active=False)
    SensorAlias.objects.create(organization=plant.organization, key="P9.Temp", sensor=old)
    send(api_key, 1.0)
    assert sensor_of(line()) is None
    assert assign_unknown_sensor(unknown=line(), sensor=plant.sensor, by=None).stored == 1
    assert SensorAlias.objects.get().sensor == plant.sensor


def test_a_line_whose_key_is_an_alias_by_now_knows_its_sensor(plant, api_key):
    send(api_key, 1.0)
    SensorAlias.objects.create(organization=plant.organization, key="P9.Temp", sensor=plant.sensor)
    assert sensor_of(line()) == plant.sensor


def test_only_the_organisations_own_readings_are_stored(plant, api_key, other_organization):
    foreign_key, _ = issue_api_key(organization=other_organization, name="gateway", scopes=[Scope.INGEST])
    send(foreign_key, 9.0)
    send(api_key, 1.0)
    unknown = UnknownSensor.objects.get(organization=plant.organization)
    assert assign_unknown_sensor(unknown=unknown, sensor=plant.sensor, by=None).stored == 1
    assert RejectedReading.objects.waiting().get().organization == other_organization


def test_a_line_goes_when_all_that_waits_for_it_is_stored_elsewhere(plant, api_key):
    send(api_key, 1.0)
    send(api_key, 1.0, key="other")
    make_sensor(plant.machine, "P9.Temp", unit="Cel")
    refused = send(api_key, 1.0, step_s=1, unit="mm/s")
    assert refused.rejected == 1
    replay_rejected(RejectedReading.objects.filter(unit=""), by=None)
    assert set(UnknownSensor.objects.values_list("key", flat=True)) == {"other", "P9.Temp"}
    Sensor.objects.filter(key="P9.Temp").update(unit="mm/s")
    replay_rejected(RejectedReading.objects.all(), by=None)
    assert line().key == "other"


# Guessing.


def test_unit_quantity_and_interval_are_guessed_from_what_came(api_key):
    send(api_key, 1.0, 2.0, 3.0, 4.0, unit="degC", step_s=10.02)
    guess = suggest_sensor(line())
    assert (guess.key, guess.unit, guess.quantity, guess.expected_interval_s) == (
        "P9.Temp",
        "degC",
        "temperature",
        10.0,
    )


@pytest.mark.parametrize("unit", [None, "furlong"])
def test_what_cannot_be_guessed_is_left_to_the_person(api_key, unit):
    send(api_key, 1.0, 2.0, unit=unit)
    guess = suggest_sensor(line())
    assert (guess.unit, guess.quantity, guess.expected_interval_s) == ("", "", 300)


def test_a_guessed_interval_is_never_too_small_for_a_sensor(api_key):
    send(api_key, 1.0, 2.0, 3.0, 4.0, step_s=0.000001)
    assert suggest_sensor(line()).expected_interval_s == 0.001


# Forgetting.


def test_forgetting_takes_what_is_held_with_it_until_the_key_comes_again(api_key, organization):
    hold(organization)
    send(api_key, 1.0, np.nan)
    send(api_key, 1.0, key="other")
    assert forget_unknown_sensor(UnknownSensor.objects.get(key="P9.Temp")) == 2
    assert [row.sensor_key for row in RejectedReading.objects.all()] == ["other"]
    assert line().key == "other"
    assert send(api_key, 5.0).held == 1
    assert UnknownSensor.objects.get(key="P9.Temp").readings == 1


def test_a_line_whose_sender_comes_again_while_it_is_forgotten_stays(api_key, organization):
    hold(organization)
    send(api_key, 1.0)
    again = []

    def send_again(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE") and "sensors_rejectedreading" in sql and not again:
            again.append(send(api_key, 2.0))
        return result

    with connection.execute_wrapper(send_again):
        forget_unknown_sensor(line())
    assert again[0].held == 1
    assert RejectedReading.objects.get().value == 2.0
    assert line().last_value == 2.0
