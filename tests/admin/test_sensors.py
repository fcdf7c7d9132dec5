"""Sensors, their limits, and what cannot be deleted."""

import pytest

from equipment.models import Equipment, FailureMode
from sensors.models import Level, Limit, Sensor, ValidationRule
from tests.plants import make_limit, make_sensor, post

pytestmark = pytest.mark.django_db

SENSORS = "/admin/sensors/sensor/"


def sensor_form(sensor: Sensor, *limits: dict, **changes) -> dict:
    form = {
        "key": sensor.key,
        "name": "",
        "equipment": sensor.equipment_id,
        "quantity": sensor.quantity,
        "unit": sensor.unit,
        "physical_min": "",
        "physical_max": "",
        "expected_interval_s": "300",
        "is_active": "on",
        "limits-TOTAL_FORMS": str(len(limits)),
        "limits-INITIAL_FORMS": str(sum("id" in limit for limit in limits)),
    }
    for number, limit in enumerate(limits):
        usual = {"sensor": sensor.pk, "dead_band": "0", "on_delay_s": "0", "is_active": "on"}
        form |= {f"limits-{number}-{name}": value for name, value in (usual | limit).items()}
    return form | changes


def row_of(limit: Limit, value: float) -> dict:
    return {"id": limit.pk, "level": limit.level, "value": value, "failure_mode": limit.failure_mode_id}


def save(client, sensor: Sensor, *limits: dict, **changes):
    return client.post(f"{SENSORS}{sensor.pk}/change/", sensor_form(sensor, *limits, **changes))


def errors_of(response) -> list:
    assert response.status_code == 200
    form_errors = dict(response.context["adminform"].form.errors)
    in_rows = [
        dict(errors)
        for inline in response.context["inline_admin_formsets"]
        for errors in inline.formset.errors
    ]
    return [errors for errors in (form_errors, *in_rows) if errors]


def test_two_limits_move_up_together_past_each_others_old_place(manager_client, plant):
    outer = make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level=Level.HIGH_HIGH)
    response = save(manager_client, plant.sensor, row_of(plant.limit, 10.0), row_of(outer, 12.0))
    assert response.status_code == 302
    assert list(Limit.objects.values_list("level", "value")) == [("H", 10.0), ("HH", 12.0)]


def test_limits_out_of_order_are_refused_though_each_fits_the_others_old_place(manager_client, plant):
    outer = make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level=Level.HIGH_HIGH)
    response = save(manager_client, plant.sensor, row_of(plant.limit, 8.5), row_of(outer, 8.0))
    assert errors_of(response) == [
        {"value": ["It must be below the high-high limit."]},
        {"value": ["It must be above the high limit."]},
    ]
    assert list(Limit.objects.values_list("value", flat=True)) == [7.1, 9.0]


def test_a_limit_alone_is_held_to_the_order_too(manager_client, plant):
    make_limit(plant.sensor, value=9.0, failure_mode=plant.failure_mode, level=Level.HIGH_HIGH)
    form = {
        "value": "9.5",
        "dead_band": "0",
        "on_delay_s": "0",
        "failure_mode": plant.failure_mode.pk,
        "is_active": "on",
    }
    response = manager_client.post(f"/admin/sensors/limit/{plant.limit.pk}/change/", form)
    errors = response.context["adminform"].form.errors
    assert errors == {"value": ["It must be below the high-high limit."]}


def test_who_changed_a_limit_is_kept(manager_client, plant):
    save(manager_client, plant.sensor, row_of(plant.limit, 6.5))
    version = plant.limit.history.first()
    assert (version.value, version.history_user.username) == (6.5, "mina")


def test_a_limit_names_a_failure_mode_that_the_machine_can_have(manager_client, plant):
    other = FailureMode.objects.get(organization=plant.organization, equipment_class__code="CV", code="VIB")
    row = row_of(plant.limit, 7.0) | {"failure_mode": other.pk}
    [errors] = errors_of(save(manager_client, plant.sensor, row))
    assert list(errors) == ["failure_mode"]


def test_a_new_sensor_goes_on_to_its_limits(manager_client, plant):
    new = Sensor(key="pump-7/speed", equipment=plant.machine, quantity="speed", unit="mm/s")
    response = manager_client.post(f"{SENSORS}add/", sensor_form(new))
    assert response.url == f"{SENSORS}{Sensor.objects.get(key='pump-7/speed').pk}/change/"


def test_an_unknown_unit_is_refused(manager_client, plant):
    [errors] = errors_of(save(manager_client, plant.sensor, unit="furlong"))
    assert list(errors) == ["unit"]


def test_the_unit_stays_once_there_are_readings(manager_client, plant):
    post(plant.sensor, [2.0])
    assert save(manager_client, plant.sensor, unit="Cel").status_code == 302
    assert Sensor.objects.get(pk=plant.sensor.pk).unit == "mm/s"


def test_an_earlier_version_of_a_sensor_does_not_bring_its_unit_back(manager_client, plant):
    version = plant.sensor.history.earliest()
    Sensor.objects.filter(pk=plant.sensor.pk).update(unit="m/s")
    form = sensor_form(plant.sensor)
    manager_client.post(f"{SENSORS}{plant.sensor.pk}/history/{version.pk}/", form)
    assert Sensor.objects.get(pk=plant.sensor.pk).unit == "m/s"


def test_who_stated_a_sensors_fastest_change_is_kept(manager_client, plant):
    assert save(manager_client, plant.sensor, max_change_per_min="2.5").status_code == 302
    version = plant.sensor.history.latest()
    assert (version.max_change_per_min, version.history_user.username) == (2.5, "mina")
    save(manager_client, plant.sensor, max_change_per_min="")
    assert Sensor.objects.get(pk=plant.sensor.pk).max_change_per_min is None


@pytest.mark.parametrize(
    ("value", "field"), [("0", "__all__"), ("-1", "__all__"), ("inf", "max_change_per_min")]
)
def test_a_fastest_change_that_cannot_be_is_refused(manager_client, plant, value, field):
    [errors] = errors_of(save(manager_client, plant.sensor, max_change_per_min=value))
    assert list(errors) == [field]


def test_a_sensor_with_readings_is_not_deleted(manager_client, plant):
    sensor = make_sensor(plant.machine, "pump-7/temperature")
    post(sensor, [2.0])
    address = f"{SENSORS}{sensor.pk}/delete/"
    page = manager_client.get(address).content.decode()
    assert "Readings of pump-7/temperature: deactivate the sensor instead." in page
    manager_client.post(address, {"post": "yes"})
    manager_client.post(SENSORS, {"action": "delete_selected", "_selected_action": sensor.pk, "post": "yes"})
    assert Sensor.objects.filter(pk=sensor.pk).exists()


def test_a_sensor_that_never_measured_is_deleted(manager_client, plant):
    sensor = make_sensor(plant.machine, "typo")
    assert manager_client.post(f"{SENSORS}{sensor.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Sensor.objects.filter(pk=sensor.pk).exists()


def test_a_machine_with_sensors_is_not_deleted(manager_client, plant):
    address = f"/admin/equipment/equipment/{plant.machine.pk}/delete/"
    page = manager_client.get(address).content.decode()
    assert "protected" in page
    assert "pump-7/vibration" in page
    assert manager_client.post(address, {"post": "yes"}).status_code == 200
    assert Equipment.objects.filter(pk=plant.machine.pk).exists()


def test_the_value_of_a_rule_fits_its_fact(manager_client, organization):
    rule = ValidationRule.objects.get(organization=organization, name="Far from normal")
    form = {
        "name": rule.name,
        "fact": "score",
        "operator": "at_least",
        "value": "high",
        "adjustment": "0.2",
        "reason": rule.reason,
    }
    response = manager_client.post(f"/admin/sensors/validationrule/{rule.pk}/change/", form)
    errors = response.context["adminform"].form.errors
    assert errors == {"value": ["score of the detector (0 to 1) is a number; 'high' is none."]}
