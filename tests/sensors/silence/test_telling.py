"""How silence is judged, and what people read of it."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from equipment.models import State
from predictions.models import Prediction
from sensors.models import (
    Anomaly,
    AnomalyStatus,
    Limit,
)
from sensors.wording import interval_in_words, silence_in_words
from smartmaint import clock
from tests.plants import make_sensor
from tests.sensors.silence.days import MINUTE

pytestmark = pytest.mark.django_db


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
