"""Plots: whose, of what, and never too large."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.staticfiles import finders

from sensors.agents import detect_anomalies
from sensors.models import DailyRollup, FiveMinuteRollup, HourlyRollup, Quality
from sensors.plots import MAX_POINTS, plot_sensor, read_series
from sensors.plots.canvas import LIGHT, Canvas
from sensors.services.baselines import restart_baseline
from smartmaint import clock
from tests.admin.conftest import make_anomaly
from tests.plants import post


def week(sensor):
    return read_series(sensor, begin=clock.now() - timedelta(days=7), end=clock.now())


@pytest.mark.django_db
class TestSeries:
    def test_few_readings_are_drawn_one_by_one_without_the_bad_ones(self, plant):
        now = clock.now()
        post(plant.sensor, [1.0, 2.0, 3.0], last_at=now)
        post(plant.sensor, [99.0], last_at=now - timedelta(hours=1), quality=Quality.BAD)
        series = week(plant.sensor)
        assert (series.values.tolist(), series.is_of_means) == ([1.0, 2.0, 3.0], False)

    def test_many_readings_are_drawn_as_means_with_their_range(self, plant):
        this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        last_at = this_hour - timedelta(minutes=5)
        values = [float(number % 12) for number in range(180 * 12)]
        assert len(values) > MAX_POINTS
        post(plant.sensor, values, last_at=last_at)
        detect_anomalies()
        series = read_series(
            plant.sensor, begin=clock.now() - timedelta(days=30), end=clock.now() + timedelta(hours=1)
        )
        assert len(series) == 180
        assert set(series.values.tolist()) == {5.5}
        assert (set(series.low.tolist()), set(series.high.tolist())) == ({0.0}, {11.0})

    def test_many_more_are_drawn_as_means_of_five_minutes_or_of_a_day(self, plant):
        last_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=1)
        values = [float(number % 2) for number in range(MAX_POINTS + 480)]
        post(plant.sensor, values, last_at=last_at, interval=timedelta(minutes=1))
        detect_anomalies()
        series = week(plant.sensor)
        assert (len(series), series.step_us) == (500, 300_000_000)
        hours = datetime(2020, 1, 1, tzinfo=UTC)
        for table, step in ((HourlyRollup, timedelta(hours=1)), (FiveMinuteRollup, timedelta(minutes=5))):
            table.objects.bulk_create(
                table(sensor=plant.sensor, started_at=hours + step * n, count=1, mean=1, minimum=0, maximum=2)
                for n in range(MAX_POINTS + 1)
            )
        DailyRollup.objects.create(
            sensor=plant.sensor, started_at=hours, count=2_021, mean=1, minimum=0, maximum=2
        )
        series = read_series(plant.sensor, begin=hours - timedelta(days=1), end=clock.now())
        assert (series.step_us, series.extremes()) == (86_400_000_000, [0.0, 2.0])

    def test_a_silence_breaks_the_line(self, plant):
        now = clock.now()
        post(plant.sensor, [1.0, 2.0], last_at=now - timedelta(days=1))
        post(plant.sensor, [3.0, 4.0], last_at=now)
        assert week(plant.sensor).gaps().tolist() == [2]

    def test_nothing_is_drawn_of_nothing(self, plant):
        series = week(plant.sensor)
        assert (len(series), series.extremes(), series.gaps().tolist()) == (0, [], [])


@pytest.mark.django_db
class TestFigures:
    def test_a_plot_has_limits_anomalies_and_repairs(self, plant):
        post(plant.sensor, [1.0, 2.0])
        make_anomaly(plant)
        restart_baseline(
            equipment=plant.machine, started_at=clock.now() - timedelta(hours=3), reason="WO-1: repaired"
        )
        drawn = plot_sensor(plant.sensor, begin=clock.now() - timedelta(days=7), end=clock.now())
        kinds = sorted(type(one).__name__ for one in drawn.center)
        assert kinds.count("BoxAnnotation") == 1
        assert kinds.count("Span") == 2
        texts = [one.text for one in drawn.center if type(one).__name__ == "Label"]
        assert texts == ["high 7.1 mm/s", "repaired"]
        assert drawn.y_range.end > 7.1

    def test_times_are_those_of_the_organisations_clocks(self, organization):
        moment = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
        canvas = Canvas(
            begin=moment,
            end=moment + timedelta(days=1),
            zone=organization.zone,
            quantity="temperature",
            unit="Cel",
            look=LIGHT,
        )
        assert canvas.at(moment) == datetime(2026, 7, 2, 0, 30, tzinfo=UTC).timestamp() * 1_000
        assert canvas.figure.xaxis.axis_label == "time in Europe/Berlin"


@pytest.mark.django_db
class TestAddresses:
    def test_a_sensor_that_never_measured_says_so(self, viewer_client, plant):
        answer = viewer_client.get(f"/plots/sensor/{plant.sensor.pk}.json").json()
        assert answer == {"plot": None, "words": "pump-7/vibration: no readings yet."}

    def test_readings_outside_the_time_asked_for_are_told_apart_from_none(self, viewer_client, plant):
        post(plant.sensor, [1.0], last_at=clock.now() - timedelta(days=3))
        answer = viewer_client.get(f"/plots/sensor/{plant.sensor.pk}.json?days=1").json()
        assert answer["words"] == "pump-7/vibration: no readings in this time."

    def test_a_plot_comes_with_words_for_those_who_do_not_see_it(self, technician_client, plant):
        post(plant.sensor, [1.0, 2.5, 2.0])
        answer = technician_client.get(f"/plots/sensor/{plant.sensor.pk}.json?days=30&look=dark").json()
        assert answer["words"] == (
            "pump-7/vibration: vibration velocity between 1 and 2.5 mm/s, 2 mm/s at the end."
        )
        assert answer["plot"]["doc"]["version"]

    @pytest.mark.parametrize("days", ["0", "401", "-1", "x", "", "1e3", "²"])
    def test_a_strange_number_of_days_is_refused(self, viewer_client, plant, days):
        assert viewer_client.get(f"/plots/sensor/{plant.sensor.pk}.json", {"days": days}).status_code == 400

    def test_foreign_plots_are_not_there(self, outsider_client, proposed_task):
        sensor, prediction = proposed_task.prediction.sensor, proposed_task.prediction
        for address in (
            f"/plots/sensor/{sensor.pk}.json",
            f"/plots/prediction/{prediction.pk}.json",
            f"/plots/anomaly/{prediction.anomaly_id}.json",
        ):
            assert outsider_client.get(address).status_code == 404

    def test_own_plots_are(self, technician_client, proposed_task):
        prediction = proposed_task.prediction
        for address in (
            f"/plots/prediction/{prediction.pk}.json",
            f"/plots/anomaly/{prediction.anomaly_id}.json",
        ):
            assert technician_client.get(address).json()["plot"] is not None

    def test_a_plot_needs_a_log_in(self, client, plant):
        assert client.get(f"/plots/sensor/{plant.sensor.pk}.json").status_code == 302


def test_bokehjs_comes_from_its_package_and_nothing_else_does():
    assert finders.find("bokeh/bokeh.min.js").endswith("bokeh/server/static/js/bokeh.min.js")
    assert finders.find("bokeh/bokeh.js") is None
