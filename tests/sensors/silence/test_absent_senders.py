"""A gateway that dies, or a plant from which nothing comes at all, is told once for all its sensors."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from equipment.models import Equipment, State
from sensors.models import (
    Anomaly,
    SenderAbsence,
    Sensor,
)
from sensors.services.condition import report_condition
from sensors.services.facts import gather_facts
from sensors.services.senders import find_sender
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.plants import Plant, make_plant, make_sensor
from tests.sensors.silence.days import HOUR, MINUTE, START, silences

pytestmark = pytest.mark.django_db

CALM = (100, "Nothing out of the ordinary is noticed.")
NOTHING_COMES = (None, "Nothing comes from its sensors.")


class TestAbsentSenders:
    """A gateway sends twelve sensors every five minutes, another one a thirteenth every minute."""

    @pytest.fixture
    def sensors(self, plant) -> list[Sensor]:
        return [plant.sensor, *(make_sensor(plant.machine, f"pump-7/{n:02}") for n in range(11))]

    @pytest.fixture
    def other(self, plant) -> Sensor:
        return make_sensor(plant.machine, "pump-8/current", expected_interval_s=60)

    @pytest.fixture
    def other_key(self, organization):
        return issue_api_key(organization=organization, name="hall 2", scopes=[Scope.INGEST])[0]

    @pytest.fixture
    def both_send(self, day, sensors, other, ingest_key, other_key):
        def send(length: timedelta, *, first: bool = True, second: bool = True) -> None:
            end = day.now + length
            while day.now < end:
                if first and (day.now - START) % (5 * MINUTE) == timedelta(0):
                    # A gateway does not send all at once.
                    day.post(*sensors[:6], api_key=ingest_key[0])
                    day.post(*sensors[6:], api_key=ingest_key[0])
                if second:
                    day.post(other, api_key=other_key)
                day.go_on(MINUTE)

        return send

    def reasons(self) -> list[str]:
        return [reason["text"] for reason in Anomaly.objects.open().get().reasons]

    def test_a_gateway_that_dies_is_told_once(self, day, both_send):
        both_send(20 * MINUTE)
        both_send(30 * MINUTE, first=False)
        assert [(key, began) for key, began, _ in silences()] == [("pump-7/vibration", START + 15 * MINUTE)]
        day.judge()
        assert self.reasons()[-1] == (
            "All 12 sensors of gateway are silent: probably the gateway or its network; "
            "the others are not told one by one"
        )
        assert (
            gather_facts(Anomaly.objects.get(), sender=find_sender(Anomaly.objects.get()))["silent_share"]
            == 1
        )

    def test_its_sensors_are_waited_for_again_when_it_is_back(self, day, sensors, ingest_key, both_send):
        both_send(20 * MINUTE)
        both_send(30 * MINUTE, first=False)
        day.post(*sensors[:6], api_key=ingest_key[0])
        both_send(8 * MINUTE, first=False)
        assert len(silences()) == 1
        assert Anomaly.objects.open().count() == 0
        for _ in range(4):
            day.post(*sensors[:6], api_key=ingest_key[0])
            both_send(5 * MINUTE, first=False)
        assert Anomaly.objects.open().count() == 6

    def test_one_sensor_of_it_is_told_when_the_others_come_again(self, day, sensors, ingest_key, both_send):
        both_send(10 * MINUTE)
        for _ in range(4):
            day.post(*sensors[1:], api_key=ingest_key[0])
            both_send(5 * MINUTE, first=False)
        assert silences() == [("pump-7/vibration", START + 5 * MINUTE, None)]
        assert not SenderAbsence.objects.exists()

    def test_when_nothing_comes_for_the_organisation_one_thing_is_told(self, day, both_send):
        both_send(20 * MINUTE)
        day.go_on(40 * MINUTE)
        assert [(key, began) for key, began, _ in silences()] == [("pump-8/current", START + 19 * MINUTE)]
        day.judge()
        assert self.reasons()[-1] == (
            "Nothing at all comes any more, from none of 2 senders and 13 sensors: probably the network they "
            "share, or this service; the other sensors are not told one by one"
        )

    def test_when_the_service_is_back_nobody_else_is_told(self, day, both_send):
        both_send(20 * MINUTE)
        day.go_on(40 * MINUTE)
        both_send(25 * MINUTE)
        assert len(silences()) == 1
        assert not Anomaly.objects.open().exists()
        assert not SenderAbsence.objects.filter(ended_at=None).exists()

    def test_a_gateway_that_does_not_come_back_with_the_others_is_told(self, day, both_send):
        both_send(20 * MINUTE)
        day.go_on(40 * MINUTE)
        both_send(20 * MINUTE, first=False)
        assert [key for key, _, ended_at in silences() if ended_at is None] == ["pump-7/vibration"]

    def test_who_tells_for_a_gateway_may_be_switched_off(self, day, sensors, both_send):
        both_send(20 * MINUTE)
        both_send(20 * MINUTE, first=False)
        Sensor.objects.filter(pk=sensors[0].pk).update(is_active=False)
        both_send(2 * MINUTE, first=False)
        assert [key for key, _, ended_at in silences() if ended_at is None] == ["pump-7/00"]

    def test_who_comes_by_another_key_is_waited_for_by_itself(self, day, sensors, other_key, both_send):
        both_send(20 * MINUTE)
        both_send(20 * MINUTE, first=False)
        day.post(sensors[3], api_key=other_key)
        both_send(16 * MINUTE, first=False)
        assert [key for key, _, _ in silences()] == ["pump-7/vibration"]
        both_send(2 * MINUTE, first=False)
        assert [key for key, _, _ in silences()] == ["pump-7/vibration", "pump-7/02"]

    def test_the_reason_says_when_the_key_was_disabled(self, day, ingest_key, both_send):
        both_send(20 * MINUTE)
        disable_api_key(api_key=ingest_key[0])
        both_send(20 * MINUTE, first=False)
        day.judge()
        assert self.reasons()[-1] == (
            "The key gateway, with which its readings came, is disabled: what is sent with it is refused"
        )

    def test_the_reason_says_when_the_key_expired(self, day, ingest_key, both_send):
        both_send(20 * MINUTE)
        ApiKey.objects.filter(pk=ingest_key[0].pk).update(expires_at=day.now)
        both_send(20 * MINUTE, first=False)
        day.judge()
        assert self.reasons()[-1] == (
            "The key gateway, with which its readings came, expired on 22 Nov 2026, 14:25"
        )


class TestHealth:
    """A gateway sends both sensors of a pump and one of another pump, whose second sensor comes by another key."""

    @pytest.fixture
    def other(self, plant) -> Plant:
        return make_plant(plant.organization, name="pump-8")

    @pytest.fixture
    def sensors(self, plant, other) -> list[Sensor]:
        return [plant.sensor, other.sensor, make_sensor(plant.machine, "pump-7/oil")]

    @pytest.fixture
    def both_send(self, day, plant, other, sensors, ingest_key):
        more = make_sensor(other.machine, "pump-8/oil")
        other_key = issue_api_key(organization=plant.organization, name="hall 2", scopes=[Scope.INGEST])[0]

        def send(*, first: bool = True, second: bool = True) -> None:
            for _ in range(8):
                if first:
                    day.post(*sensors, api_key=ingest_key[0])
                if second:
                    day.post(more, api_key=other_key)
                day.go_on(5 * MINUTE)
            day.judge()

        return send

    def condition(self, day, plant: Plant) -> tuple[float | None, str]:
        with clock.frozen(day.now):
            report_condition()
        return plant.machine.health_parts.values_list("score", "reason").get(part="condition")

    def test_all_sensors_of_a_gateway_that_dies_are_silent(self, day, plant, other, both_send):
        both_send()
        assert self.condition(day, plant) == self.condition(day, other) == CALM
        both_send(first=False)
        assert len(silences()) == 1
        assert self.condition(day, plant) == NOTHING_COMES
        assert self.condition(day, other) == (
            pytest.approx(90),
            "pump-8/vibration is silent with its sender (−10%)",
        )
        both_send()
        assert self.condition(day, plant) == self.condition(day, other) == CALM

    def test_all_are_where_nothing_comes_for_the_organisation(self, day, plant, other, both_send):
        both_send()
        both_send(first=False, second=False)
        assert len(silences()) == 1
        assert self.condition(day, plant) == self.condition(day, other) == NOTHING_COMES

    def test_one_that_reports_once_a_day_is_not_before_its_time(self, day, plant, other, both_send):
        Sensor.objects.filter(equipment=other.machine).update(expected_interval_s=86_400)
        both_send()
        both_send(first=False, second=False)
        assert self.condition(day, plant) == NOTHING_COMES
        assert self.condition(day, other) == CALM

    def test_one_that_comes_by_another_way_is_not(self, day, plant, sensors, both_send):
        both_send()
        both_send(first=False)
        day.post(sensors[2])
        assert self.condition(day, plant)[0] == pytest.approx(90)

    def test_at_a_planned_stop_they_may_be(self, day, plant, other, both_send):
        both_send()
        Equipment.objects.filter(pk=other.machine.pk).update(state=State.MAINTENANCE)
        both_send(first=False)
        assert self.condition(day, plant) == NOTHING_COMES
        assert self.condition(day, other) == CALM

    def test_it_takes_no_more_queries_for_more_that_are_absent(self, day, plant, both_send):
        def queries() -> int:
            with clock.frozen(day.now), CaptureQueriesContext(connection) as captured:
                report_condition(plant.organization)
            return len(captured)

        both_send()
        self.condition(day, plant)
        few = queries()
        both_send(first=False, second=False)
        self.condition(day, plant)
        assert queries() == few


@pytest.mark.parametrize("of_key", [True, False])
def test_one_absence_of_a_key_and_one_of_all_goes_on_at_a_time(day, plant, organization, ingest_key, of_key):
    day.post(plant.sensor)
    day.go_on(2 * HOUR)
    silence = Anomaly.objects.get()
    SenderAbsence.objects.all().delete()
    key, other = ingest_key[0] if of_key else None, ingest_key[0] if not of_key else None
    absent = {"organization": organization, "anomaly": silence, "began_at": START}
    SenderAbsence.objects.create(**absent, api_key=key, ended_at=START)
    SenderAbsence.objects.create(**absent, api_key=key)
    SenderAbsence.objects.create(**absent, api_key=other)
    with pytest.raises(IntegrityError, match="open_once"), transaction.atomic():
        SenderAbsence.objects.create(**absent, api_key=key)
