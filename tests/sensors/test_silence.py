"""A sensor from which nothing comes any more is noticed, once, and so is its return; what is no silence is not."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import State
from predictions.models import Prediction
from sensors.agents import detect_anomalies, notice_silence, validate_anomalies
from sensors.ingest.parsed import from_columns
from sensors.models import (
    Anomaly,
    AnomalyStatus,
    IngestPolicy,
    Limit,
    SenderAbsence,
    Sensor,
    SensorLatest,
    ServiceAbsence,
    SilenceWatch,
)
from sensors.services.absences import AWAY_AFTER, KEPT, MATTERS_FOR
from sensors.services.baselines import restart_baseline
from sensors.services.facts import gather_facts
from sensors.services.ingest import ingest_readings
from sensors.services.senders import find_sender
from sensors.services.silence import notice_silent_sensors
from sensors.storage import microseconds
from sensors.wording import interval_in_words, silence_in_words
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key
from tests.locks import held_elsewhere
from tests.plants import make_plant, make_sensor, post, put_into_a_train

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Day:
    """A day at the plant: the agent looks as seldom as it may while time goes on."""

    def __init__(self) -> None:
        self.now = START
        self.look()

    def look(self) -> None:
        with clock.frozen(self.now):
            notice_silence()

    def go_on(self, length: timedelta) -> None:
        end = self.now + length
        while self.now < end:
            self.now = min(self.now + AWAY_AFTER, end)
            self.look()

    def post(self, *sensors: Sensor, api_key=None, **how) -> None:
        with clock.frozen(self.now):
            parsed = from_columns(
                keys=[sensor.key for sensor in sensors],
                ts_us=[microseconds(self.now)] * len(sensors),
                values=[2.0] * len(sensors),
                **how,
            )
            ingest_readings(organization=sensors[0].organization, parsed=parsed, api_key=api_key)

    def judge(self) -> None:
        with clock.frozen(self.now):
            validate_anomalies()


@pytest.fixture
def day(db) -> Day:
    return Day()


@pytest.fixture
def plant(organization):
    """Its sensor is to send every 5 minutes, so it is silent after 15."""
    return make_plant(organization)


@pytest.fixture(autouse=True)
def afternoon() -> Iterator[None]:
    with clock.frozen(START):
        yield


def silences() -> list[tuple[str, datetime, datetime | None]]:
    rows = Anomaly.objects.filter(kind=Anomaly.Kind.NO_DATA).order_by("started_at", "sensor__key")
    return list(rows.values_list("sensor__key", "started_at", "ended_at"))


def test_a_sensor_is_silent_after_three_of_its_intervals(plant, day):
    day.post(plant.sensor)
    day.go_on(15 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]
    silence = Anomaly.objects.get()
    assert (silence.direction, silence.level, silence.batch, silence.peak_value) == ("", "", None, None)
    assert (silence.peak_at, silence.score, silence.organization) == (START, 1.0, plant.organization)


def test_one_silence_is_one_anomaly_and_ends_when_data_comes_back(plant, day):
    day.post(plant.sensor)
    day.go_on(2 * HOUR)
    assert silences() == [("pump-7/vibration", START, None)]
    day.post(plant.sensor)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + 2 * HOUR)]
    day.go_on(HOUR)
    assert silences()[1:] == [("pump-7/vibration", START + 2 * HOUR, None)]


def test_silence_is_each_sensors_own(plant, day):
    other = make_sensor(plant.machine, "pump-7/current")
    day.post(plant.sensor, other)
    for _ in range(6):
        day.go_on(5 * MINUTE)
        day.post(other)
    assert silences() == [("pump-7/vibration", START, None)]


def test_the_policy_says_how_many_intervals(plant, day):
    IngestPolicy.objects.filter(organization=plant.organization).update(silence_factor=10)
    day.post(plant.sensor)
    day.go_on(50 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert len(silences()) == 1


def test_nobody_is_silent_within_a_minute(plant, day):
    Sensor.objects.update(expected_interval_s=0.01)
    day.post(plant.sensor)
    day.go_on(MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert len(silences()) == 1


def test_a_device_with_a_wrong_clock_is_not_silent(plant, day):
    for _ in range(10):
        with clock.frozen(day.now):
            post(plant.sensor, [2.0], last_at=day.now - 5 * HOUR)
        day.go_on(5 * MINUTE)
    assert silences() == []


def test_readings_without_a_value_are_no_silence(plant, day):
    for _ in range(5):
        day.go_on(5 * MINUTE)
        with clock.frozen(day.now):
            post(plant.sensor, [float("nan")], quality=2)
    assert silences() == []


def test_a_sensor_that_never_sent_is_not_waited_for(plant, day):
    day.go_on(HOUR)
    assert silences() == []


def test_a_sensor_known_by_its_history_alone_is_not_waited_for(plant, day):
    day.post(plant.sensor, historical=True)
    assert SensorLatest.objects.get().is_historical
    day.go_on(HOUR)
    assert silences() == []
    day.post(plant.sensor)
    assert not SensorLatest.objects.get().is_historical
    day.go_on(HOUR)
    assert len(silences()) == 1


def test_history_does_not_end_a_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    day.post(plant.sensor, historical=True)
    day.go_on(5 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]
    day.post(plant.sensor)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR + 5 * MINUTE)]


def test_the_absence_of_the_service_is_nobodys_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(5 * MINUTE)
    day.now += 3 * HOUR
    day.look()
    day.go_on(10 * MINUTE)
    assert silences() == []
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_service_that_restarts_every_hour_still_tells_of_a_slow_sensor(plant, day):
    """It is to send every hour, so it is silent after three in which the service listened."""
    Sensor.objects.update(expected_interval_s=3600)
    day.post(plant.sensor)
    for _ in range(3):
        assert silences() == []
        day.go_on(HOUR)
        day.now += 5 * MINUTE
        day.look()
    day.go_on(MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_absences_of_the_service_are_not_kept_for_ever(plant, day):
    day.now += HOUR
    day.look()
    assert ServiceAbsence.objects.filter(ended_at=day.now).exists()
    day.now += KEPT + HOUR
    day.look()
    assert ServiceAbsence.objects.get().ended_at == day.now


@pytest.mark.parametrize(
    ("late", "between", "told_after", "rows"),
    [(61, 0, 16 * 61, 4), (61, 10, 13 * 71 + 61, 4), (120, 0, 17 * 120, 31)],
)
def test_a_worker_whose_looks_are_late_again_and_again_still_tells_of_a_silent_sensor(
    plant, day, late, between, told_after, rows
):
    """It is silent after 15 minutes; of each look that is late, but the first, a minute counts."""
    day.post(plant.sensor)
    while day.now < START + HOUR:
        day.now += timedelta(seconds=late)
        day.look()
        if between:
            day.go_on(timedelta(seconds=between))
    assert silences() == [("pump-7/vibration", START, None)]
    assert Anomaly.objects.get().detected_at - START == timedelta(seconds=told_after)
    assert ServiceAbsence.objects.count() == rows


def test_after_an_update_the_quickest_sensor_has_time_to_come_back(plant, day):
    """It sends every 20 seconds, and is silent after a minute."""
    Sensor.objects.update(expected_interval_s=20)
    day.post(plant.sensor)
    day.now += 20 * timedelta(seconds=1)
    day.look()
    day.now += 5 * MINUTE
    day.look()
    day.now += 30 * timedelta(seconds=1)
    day.look()
    assert silences() == []


def test_short_absences_are_forgotten_before_long_ones(plant, day):
    day.now += HOUR
    day.look()
    day.go_on(MINUTE)
    day.now += 2 * MINUTE
    day.look()
    assert ServiceAbsence.objects.count() == 3
    day.go_on(MATTERS_FOR * 2 * MINUTE)
    day.now += 3 * MINUTE
    day.look()
    lengths = sorted(row.ended_at - row.began_at for row in ServiceAbsence.objects.all())
    assert lengths[:2] == [3 * MINUTE, HOUR]


def test_each_absence_of_the_service_is_told_in_the_log_but_not_that_it_is_new(day, caplog):
    def told() -> list[float]:
        return [
            record.msg["seconds"] for record in caplog.records if record.msg["event"] == "service_was_away"
        ]

    assert told() == []
    day.now += 61 * timedelta(seconds=1)
    day.look()
    assert told() == [61]


def test_a_clock_that_is_set_back_brings_no_silence(plant, day):
    day.post(plant.sensor)
    with clock.frozen(START - timedelta(days=60)):
        notice_silence()
    day.look()
    assert silences() == []


@pytest.mark.parametrize("state", [State.MAINTENANCE, State.OUT_OF_SERVICE])
def test_a_machine_at_a_planned_stop_may_be_silent_until_it_is_back(plant, day, state):
    day.post(plant.sensor)
    plant.machine.state = state
    plant.machine.save()
    day.go_on(HOUR)
    assert silences() == []
    plant.machine.state = State.OPERATING
    plant.machine.save()
    day.go_on(15 * MINUTE)
    assert silences() == []
    day.go_on(2 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_so_may_one_that_is_part_of_a_machine_at_a_planned_stop(plant, day):
    train = put_into_a_train(plant, state=State.OUT_OF_SERVICE)
    day.post(plant.sensor)
    day.go_on(HOUR)
    assert silences() == []
    train.state = State.OPERATING
    train.save()
    day.go_on(17 * MINUTE)
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_sensor_that_is_switched_off_is_not_waited_for(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    Sensor.objects.update(is_active=False)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR)]
    day.go_on(HOUR)
    Sensor.objects.update(is_active=True)
    day.look()
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_longer_interval_ends_the_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    Sensor.objects.update(expected_interval_s=3600)
    day.look()
    assert silences() == [("pump-7/vibration", START, START + HOUR)]


def test_the_sensors_of_an_organisation_that_is_closed_are_not_waited_for(plant, day):
    day.post(plant.sensor)
    plant.organization.is_active = False
    plant.organization.save()
    day.go_on(HOUR)
    assert silences() == []


def test_a_repair_does_not_end_a_silence(plant, day):
    day.post(plant.sensor)
    day.go_on(HOUR)
    restart_baseline(equipment=plant.machine, started_at=day.now, reason="WO-1")
    day.look()
    assert silences() == [("pump-7/vibration", START, None)]


def test_a_sensor_that_reports_irregularly_is_soon_left_alone(plant, day):
    """It sends every ten minutes though one is expected each minute: three times it is told, and then no more."""
    Sensor.objects.update(expected_interval_s=60)
    for _ in range(8):
        day.post(plant.sensor)
        day.go_on(10 * MINUTE)
    assert len(silences()) == 3
    day.go_on(6 * MINUTE)
    assert len(silences()) == 4
    assert silences()[-1][2] is None


def test_silence_hides_no_excursion_and_an_excursion_no_silence(plant, day):
    with clock.frozen(day.now):
        post(plant.sensor, [2.0, 8.0])
        detect_anomalies()
    day.go_on(HOUR)
    assert list(Anomaly.objects.order_by("id").values_list("kind", "ended_at")) == [
        ("limit", None),
        ("no_data", None),
    ]
    with clock.frozen(day.now):
        post(plant.sensor, [8.1])
        detect_anomalies()
    day.look()
    assert Anomaly.objects.open().get().kind == "limit"


class TestJudgement:
    def test_silence_is_credible_and_asks_for_no_forecast(self, plant, day):
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        day.judge()
        silence = Anomaly.objects.get()
        assert (silence.status, silence.confidence) == (AnomalyStatus.CREDIBLE, 0.8)
        assert [reason["text"] for reason in silence.reasons] == [
            "Every anomaly starts here",
            "Nothing came for longer than the sensor may be silent",
            "Nothing new for 16 min; a reading was expected every 5 min",
        ]
        assert Limit.objects.outermost().filter(sensor=plant.sensor).exists()
        assert not Prediction.objects.exists()

    def test_silence_on_a_machine_that_was_put_out_of_service_meanwhile_is_not_believed(self, plant, day):
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        plant.machine.state = State.OUT_OF_SERVICE
        plant.machine.save()
        day.judge()
        assert Anomaly.objects.get().status == AnomalyStatus.SUSPECTED_FALSE

    def test_when_one_of_a_gateway_is_silent_it_is_the_sensor(self, plant, ingest_key, day):
        other = make_sensor(plant.machine, "pump-7/current")
        day.post(plant.sensor, other, api_key=ingest_key[0])
        for _ in range(4):
            day.go_on(5 * MINUTE)
            day.post(other, api_key=ingest_key[0])
        day.look()
        day.judge()
        words = "The other sensors of gateway are not silent: probably this sensor"
        assert Anomaly.objects.get().reasons[-1] == {"text": words, "adjustment": None}


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


class TestConstraints:
    def test_silence_has_no_peak(self, plant, day):
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        with pytest.raises(IntegrityError, match="anomaly_has_a_peak_unless_silent"), transaction.atomic():
            Anomaly.objects.update(peak_value=1.0)

    def test_an_excursion_has_one(self, plant):
        post(plant.sensor, [8.0])
        detect_anomalies()
        with pytest.raises(IntegrityError, match="anomaly_has_a_peak_unless_silent"), transaction.atomic():
            Anomaly.objects.update(peak_value=None)


class TestPages:
    @pytest.fixture
    def silence(self, plant, day) -> Iterator[Anomaly]:
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        day.judge()
        with clock.frozen(day.now):
            yield Anomaly.objects.get()

    def test_the_machine_says_since_when(self, viewer_client, plant, silence):
        page = viewer_client.get(f"/machines/{plant.machine.pk}/").content.decode()
        # 14:05 UTC is 15:05 in Berlin.
        assert page.count("No data since 15:05, expected every 5 min") == 2
        assert "Anomaly: pump-7/vibration is silent" in page

    def test_the_admin_says_so_in_the_list_and_on_its_page(self, manager_client, silence):
        for path in ("", f"{silence.pk}/change/"):
            page = manager_client.get(f"/admin/sensors/anomaly/{path}").content.decode()
            assert "no data since 15:05, expected every 5 min" in page
        assert "probably" not in page
        assert "last reading measured at" in page.lower()

    def test_a_person_may_settle_it_and_no_forecast_follows(self, manager_client, silence):
        Anomaly.objects.update(status=AnomalyStatus.NEEDS_A_LOOK)
        address = f"/admin/sensors/anomaly/{silence.pk}/credible/"
        assert "wants mending" in manager_client.get(address).content.decode()
        home = manager_client.get("/").content.decode()
        assert "No data since 15:05" in home
        manager_client.post(address)
        assert Anomaly.objects.get().status == AnomalyStatus.CREDIBLE
        assert not Prediction.objects.exists()

    def test_plots_show_it(self, viewer_client, plant, silence):
        for path in (f"sensor/{plant.sensor.pk}", f"anomaly/{silence.pk}"):
            answer = viewer_client.get(f"/plots/{path}.json").json()
            assert answer["words"].endswith("No data since 15:05, expected every 5 min.")
            assert '"no data"' in json.dumps(answer["plot"])

    def test_the_api_tells_it_without_a_peak(self, client, ingest_key, silence):
        answer = client.get("/api/v1/anomalies", headers={"Authorization": f"Bearer {ingest_key[1]}"})
        (row,) = answer.json()["results"]
        assert (row["kind"], row["peak_value"], row["expected_value"]) == ("no_data", None, None)

    def test_other_organisations_do_not_see_it(self, outsider_client, silence):
        assert outsider_client.get(f"/admin/sensors/anomaly/{silence.pk}/change/").status_code == 404
        assert outsider_client.get(f"/plots/anomaly/{silence.pk}.json").status_code == 404


class TestWords:
    def test_today_is_told_by_the_hour(self, plant, day):
        day.post(plant.sensor)
        day.go_on(16 * MINUTE)
        with clock.frozen(day.now):
            assert silence_in_words(Anomaly.objects.get()) == "no data since 14:05, expected every 5 min"
        with clock.frozen(day.now + timedelta(days=2)):
            assert "since Sun 22 Nov 2026, 14:05" in silence_in_words(Anomaly.objects.get())

    def test_what_is_over_is_told_with_its_length(self, plant, day):
        day.post(plant.sensor)
        day.go_on(90 * MINUTE)
        day.post(plant.sensor)
        day.look()
        words = "no data for 1.5 h from 14:05, expected every 5 min"
        with clock.frozen(day.now):
            assert silence_in_words(Anomaly.objects.get()) == words

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0.25, "0.25 s"),
            (59, "59 s"),
            (60, "1 min"),
            (300, "5 min"),
            (86_400, "24 h"),
            (259_200, "3 days"),
        ],
    )
    def test_an_interval(self, seconds, words):
        assert interval_in_words(seconds) == words


def test_a_look_that_begins_while_another_goes_on_leaves_it_to_that(plant):
    with held_elsewhere(notice_silence.name):
        notice_silence()
        assert not SilenceWatch.objects.exists()
    notice_silence()
    assert SilenceWatch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_look_that_had_to_wait_is_of_the_moment_when_it_could_begin(monkeypatch):
    """An older moment than that of the look before it would be taken for a time in which the service was away."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))
    notice_silent_sensors()
    other = connection.copy()
    released: list[datetime] = []

    def release() -> None:
        released.append(clock.now())
        other.connection.rollback()

    try:
        other.set_autocommit(False)
        with other.cursor() as elsewhere:
            elsewhere.execute("SELECT id FROM sensors_silencewatch FOR UPDATE")
        Timer(0.5, release).start()
        notice_silent_sensors()
        assert SilenceWatch.objects.get().looked_at >= released[0]
    finally:
        other.close()


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
