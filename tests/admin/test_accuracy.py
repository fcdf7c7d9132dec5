"""The page of accuracy: figures where there is enough, words where there is not, and nobody else's."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from equipment.services import record_failure
from predictions.services import accuracy, accuracy_sql
from smartmaint import clock
from tests.plants import Plant, foretell, make_plant

pytestmark = pytest.mark.django_db

PAGE = "/admin/predictions/predictionoutcome/accuracy/"
PLOT = "/plots/reliability.json"
DAY = timedelta(days=1)


def live_through(plant: Plant, *, days: int = 24, model_version: str = "1") -> None:
    """A prediction each day from 75 days ago; of 24 days the last sixteen have the failure within their 30 days."""
    begin = clock.now() - 75 * DAY
    for day in range(days):
        made_at = begin + day * DAY
        foretell(
            plant,
            made_at=made_at,
            cutoff_at=made_at,
            p7=0.0,
            p30=0.2 if day < 8 else 0.9,
            model_name="prophet",
            model_version=model_version,
        )
    record_failure(equipment=plant.machine, failure_mode=plant.failure_mode, failed_at=begin + 37.5 * DAY)


def shown(client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("who", ["manager_client", "viewer_client", "org_admin_client"])
def test_who_may_look_sees_the_scores(request, plant, who):
    live_through(plant)
    page = shown(request.getfixturevalue(who))
    # 8 x 0.2^2 + 16 x 0.1^2 = 0.48, over 24; base rate 2/3, its variance 2/9.
    assert '<td data-label="Brier score">0.020</td>' in page
    assert '<td data-label="Of the base rate">0.222</td>' in page
    assert '<td data-label="Skill">+0.91</td>' in page
    assert "16 (67%), by 1 failure" in page
    assert f'data-plot-url="{PLOT}?days=90&amp;ahead=30"' in page


def test_where_there_is_not_enough_the_page_says_how_much_it_takes(manager_client, plant):
    live_through(plant, days=9)
    page = shown(manager_client)
    assert '<td data-label="Brier score">not enough data: 9 of 20</td>' in page
    assert '<td data-label="Failed">not enough data: 8 of 10</td>' in page
    assert "not enough data: 0 of 20 forecasts" in page
    assert "<strong>Not enough data.</strong> 1 of 5 true positives." in page
    assert '<td data-label="Skill">0' not in page


def test_without_any_failure_there_is_a_score_and_no_skill(manager_client, plant):
    live_through(plant)
    page = shown(manager_client, f"{PAGE}?ahead=7")
    assert '<td data-label="Brier score">0.000</td>' in page
    assert "not enough data: none failed" in page


def test_an_empty_plant_has_no_figure_at_all(manager_client):
    page = shown(manager_client)
    assert (
        page.count("not enough data: 0 of 20") == 4 + 4 + 8
    )  # Scores, skills, and two bands at four distances.
    assert "No prediction's 30 days ended in this period without a repair." in page


def test_a_class_and_a_model_narrow_the_page(manager_client, plant):
    live_through(plant)
    assert "Only Pumps." in shown(manager_client, f"{PAGE}?class=PU")
    page = shown(manager_client, f"{PAGE}?version=prophet+2")
    assert "Only the model prophet 2." in page
    assert "none resolved" in page
    assert "not by model" in page


@pytest.mark.parametrize("wrong", ["days=7", "days=x", "ahead=8", "class=%00", f"version={'x' * 200}"])
@pytest.mark.parametrize("address", [PAGE, PLOT])
def test_what_there_is_not_is_refused(manager_client, address, wrong):
    assert manager_client.get(f"{address}?{wrong}").status_code == 400


def test_others_see_nothing_of_it(outsider_client, technician_client, client, plant, foreign_plant):
    live_through(plant, model_version="of ours")
    page = shown(outsider_client)
    assert "of ours" not in page
    assert "none resolved" in page
    assert outsider_client.get(f"{PLOT}?version=prophet+of+ours").json()["plot"] is None
    assert technician_client.get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302
    assert client.get(PLOT).status_code == 302


def test_the_operator_sees_each_organisation(operator_client, plant, foreign_plant):
    live_through(plant)
    page = shown(operator_client)
    assert "By organisation, 30 days ahead" in page
    assert '<th scope="row">Riverside Foods</th>' in page
    assert "data-plot-url" not in page


def test_nothing_is_written_there(manager_client, operator_client):
    assert manager_client.post(PAGE).status_code == 405
    assert operator_client.post(PAGE).status_code == 405


def test_the_diagram_has_its_points_and_tells_them_in_words(viewer_client, plant):
    live_through(plant)
    answer = viewer_client.get(PLOT).json()
    assert answer["words"] == "Within 30 days: 90% foretold, 100% failed (of 16)."
    assert viewer_client.get(f"{PLOT}?ahead=90").json() == {
        "plot": None,
        "words": "Not enough data: none of the ten classes of probability has 10 predictions whose 90 days "
        "have passed.",
    }
    assert "probability foretold for 30 days" in str(answer["plot"])


def test_the_page_takes_as_many_queries_for_a_hundred_predictions_as_for_one(manager_client, organization):
    counts = []
    for name, days in (("pump-1", 1), ("pump-2", 24), ("pump-3", 24)):
        live_through(make_plant(organization, name=name), days=days)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            shown(manager_client)
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_where_there_is_too_much_the_page_offers_less(manager_client, plant, monkeypatch):
    monkeypatch.setattr(accuracy_sql, "ALL", "SELECT pg_sleep(60) WHERE %(now)s IS NOT NULL")
    monkeypatch.setattr(accuracy_sql, "SCORES", "SELECT pg_sleep(60) WHERE %(now)s IS NOT NULL")
    monkeypatch.setattr(accuracy, "LONGEST_READ_S", 0.01)
    page = shown(manager_client)
    assert "There are too many predictions to score them all at once." in page
    assert 'href="?days=90&amp;ahead=30&amp;class=PU">Pumps</a>' in page
    answer = manager_client.get(PLOT).json()
    assert (answer["plot"], answer["words"][:23]) == (None, "There are too many pred")


def test_the_page_stands_beside_the_others(manager_client):
    assert f'href="{PAGE}"' in shown(manager_client, "/admin/")
