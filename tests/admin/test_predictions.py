"""The ledger in the admin: read, never written; a new prediction can be asked for."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from predictions.agents import make_predictions
from predictions.models import Prediction, Trigger
from predictions.services.requesting import request_prediction_by_person
from sensors.agents import detect_anomalies
from sensors.models import Limit
from smartmaint import clock
from tests.plants import foretell, post

pytestmark = pytest.mark.django_db

LEDGER = "/admin/predictions/prediction/"


def predict(plant) -> Prediction:
    request_prediction_by_person(sensor=plant.sensor)
    make_predictions()
    return Prediction.objects.latest("id")


def test_a_page_tells_what_was_foretold_why_and_what_was_decided(manager_client, proposed_task):
    prediction = Prediction.objects.get()
    page = manager_client.get(f"{LEDGER}{prediction.pk}/change/").content.decode()
    assert "The sensor is beyond its limit already." in page
    assert "The newest reading, 7.9 mm/s, is at or above the limit of 7.1 mm/s." in page
    assert f"/admin/sensors/anomaly/{prediction.anomaly_id}/change/" in page
    assert f"/admin/maintenance/maintenancetask/{proposed_task.pk}/change/" in page
    assert f'data-plot-url="/plots/prediction/{prediction.pk}.json"' in page


def test_a_prediction_is_never_written(org_admin_client, proposed_task):
    prediction = Prediction.objects.get()
    for address in (f"{LEDGER}add/", f"{LEDGER}{prediction.pk}/change/", f"{LEDGER}{prediction.pk}/delete/"):
        assert org_admin_client.post(address, {"p_30d": "0", "post": "yes"}).status_code == 403


def test_a_manager_asks_for_a_new_prediction(manager_client, proposed_task):
    first = Prediction.objects.get()
    assert manager_client.post(f"{LEDGER}{first.pk}/ask-anew/").status_code == 302
    asked = Prediction.objects.latest("id")
    assert (asked.trigger, asked.limit, asked.status) == (Trigger.PERSON, first.limit, "pending")
    assert asked.due_at is not None


def test_asking_without_a_limit_in_force_is_refused_in_words(manager_client, proposed_task):
    Limit.objects.update(is_active=False)
    prediction = Prediction.objects.get()
    response = manager_client.post(f"{LEDGER}{prediction.pk}/ask-anew/")
    assert "pump-7/vibration has no limit in force any more." in response.content.decode()
    assert Prediction.objects.count() == 1


def test_only_managers_of_the_organisation_ask(
    viewer_client, technician_client, outsider_client, proposed_task
):
    address = f"{LEDGER}{Prediction.objects.get().pk}/ask-anew/"
    for client, status in ((viewer_client, 403), (technician_client, 403), (outsider_client, 404)):
        assert client.post(address).status_code == status
    assert Prediction.objects.count() == 1


def test_the_newest_word_on_each_limit_is_listed_by_risk(manager_client, plant, foreign_plant):
    post(plant.sensor, [2.0, 7.9])
    post(foreign_plant.sensor, [2.0, 7.9])
    predict(foreign_plant)
    predict(plant)
    newest = predict(plant)
    response = manager_client.get(f"{LEDGER}?age=newest")
    assert list(response.context["cl"].result_list) == [newest]
    assert len(manager_client.get(LEDGER).context["cl"].result_list) == 2


@pytest.mark.parametrize(("risk", "count"), [("high", 1), ("medium", 0), ("low", 0)])
def test_the_list_is_filtered_by_risk(manager_client, proposed_task, risk, count):
    response = manager_client.get(f"{LEDGER}?risk={risk}")
    assert len(response.context["cl"].result_list) == count


def test_what_is_stuck_is_tried_again(manager_client, plant):
    [prediction] = request_prediction_by_person(sensor=plant.sensor)
    Prediction.objects.update(
        due_at=None, parked_at=datetime.now(UTC), last_error="ValueError: x", attempts=8
    )
    response = manager_client.get(f"{LEDGER}?work=stuck")
    assert list(response.context["cl"].result_list) == [prediction]
    manager_client.post(LEDGER, {"action": "try_again", "_selected_action": prediction.pk})
    prediction.refresh_from_db()
    assert (prediction.parked_at, prediction.attempts, prediction.due_at is not None) == (None, 0, True)


def test_a_forecast_that_is_not_possible_says_why(manager_client, plant):
    post(plant.sensor, [2.0], last_at=clock.now() - timedelta(days=30))
    prediction = predict(plant)
    assert prediction.status == "not_possible"
    page = manager_client.get(f"{LEDGER}{prediction.pk}/change/").content.decode()
    assert f"No forecast: {prediction.not_possible_because}" in page


def post_rising(plant) -> None:
    days = np.arange(20 * 24) / 24
    post(plant.sensor, list(2.0 + 0.1 * days + 0.1 * np.sin(days * 6.28)), interval=timedelta(hours=1))
    detect_anomalies()


def test_a_page_names_its_numbers_and_gives_their_units(manager_client, plant):
    post_rising(plant)
    prediction = predict(plant)
    page = manager_client.get(f"{LEDGER}{prediction.pk}/change/").content.decode()
    for words in (
        "<dt>slope over that history</dt><dd>+0.1 mm/s a day</dd>",
        "<dt>limit</dt><dd>7.1 mm/s</dd>",
        "<dt>readings used</dt><dd>480 of 480</dd>",
        "old, at the cut-off</dd>",
        "<dt>summed up to</dt><dd>480 medians of 1 h each</dd>",
        "The last level with drift",
        "Drift-diffusion",
    ):
        assert words in page
    for raw in ("noise sd", "bucket_s", "mean_errors", "companion_share", "of_prophets_paths"):
        assert raw not in page


def test_a_page_shows_who_lost_the_contest_and_by_how_much(manager_client, plant):
    contest = {
        "winner": "drift",
        "replaced": "last_level",
        "held_at_us": 0,
        "reason": "",
        "changed": "changed from last_level",
        "mean_errors": {"last_level": 0.31, "drift": 0.1369},
    }
    prediction = foretell(plant, explanation={"words": "It rises.", "contest": contest})
    page = manager_client.get(f"{LEDGER}{prediction.pk}/change/").content.decode()
    rows = page[page.index("Mean error over 7 days") :]
    assert rows.index("0.137 mm/s") < rows.index(">forecasts<") < rows.index("0.31 mm/s")
    assert ">lost its place<" in rows


def test_a_prediction_of_an_older_version_has_a_page(manager_client, plant):
    prediction = foretell(plant, explanation={"words": "It rises.", "contest": None}, input_quality=None)
    page = manager_client.get(f"{LEDGER}{prediction.pk}/change/").content.decode()
    assert "It rises." in page
    assert "There were too few earlier moments" in page


def test_the_plot_of_a_forecast_has_its_bands(viewer_client, plant):
    post_rising(plant)
    prediction = predict(plant)
    assert prediction.status == "made"
    answer = viewer_client.get(f"/plots/prediction/{prediction.pk}.json").json()
    assert answer["words"].startswith("pump-7/vibration against its high 7.1 mm/s: ")
    drawn = str(answer["plot"])
    assert all(words in drawn for words in ("9 in 10", "8 in 10", "expected", "today", "high 7.1 mm/s"))
