"""A manager settles what the rules could not."""

import pytest

from predictions.models import Prediction, Trigger
from sensors.models import Anomaly, AnomalyStatus
from tests.admin.conftest import make_anomaly

pytestmark = pytest.mark.django_db

ANOMALIES = "/admin/sensors/anomaly/"


def test_a_credible_anomaly_asks_for_a_prediction(manager_client, manager, plant):
    anomaly = make_anomaly(plant)
    response = manager_client.post(f"{ANOMALIES}{anomaly.pk}/credible/")
    assert response.status_code == 302
    anomaly.refresh_from_db()
    assert (anomaly.status, anomaly.settled_by) == (AnomalyStatus.CREDIBLE, manager)
    prediction = Prediction.objects.get()
    assert (prediction.trigger, prediction.anomaly) == (Trigger.ANOMALY, anomaly)
    assert "mina said credible" in manager_client.get(response.url).content.decode()


def test_nothing_follows_from_a_false_anomaly(manager_client, plant):
    anomaly = make_anomaly(plant)
    manager_client.post(f"{ANOMALIES}{anomaly.pk}/false/")
    anomaly.refresh_from_db()
    assert anomaly.status == AnomalyStatus.SUSPECTED_FALSE
    assert not Prediction.objects.exists()


def test_settling_twice_is_refused_in_words(manager_client, plant):
    anomaly = make_anomaly(plant)
    manager_client.post(f"{ANOMALIES}{anomaly.pk}/false/")
    response = manager_client.post(f"{ANOMALIES}{anomaly.pk}/credible/")
    assert "This anomaly is suspected false already." in response.content.decode()
    assert Anomaly.objects.get().status == AnomalyStatus.SUSPECTED_FALSE


def test_a_question_alone_settles_nothing(manager_client, plant):
    anomaly = make_anomaly(plant)
    assert "It is credible" in manager_client.get(f"{ANOMALIES}{anomaly.pk}/credible/").content.decode()
    assert Anomaly.objects.get().status == AnomalyStatus.NEEDS_A_LOOK


@pytest.mark.parametrize("verb", ["credible", "false"])
def test_only_managers_of_the_organisation_settle(
    viewer_client, technician_client, outsider_client, plant, verb
):
    anomaly = make_anomaly(plant)
    for client, status in ((viewer_client, 403), (technician_client, 403), (outsider_client, 404)):
        assert client.post(f"{ANOMALIES}{anomaly.pk}/{verb}/").status_code == status
    assert Anomaly.objects.get().status == AnomalyStatus.NEEDS_A_LOOK


def test_the_buttons_are_there_while_a_decision_is_wanted(manager_client, plant):
    open_one, settled = make_anomaly(plant), make_anomaly(plant, status="credible", days_ago=3)
    for anomaly, is_offered in ((open_one, True), (settled, False)):
        page = manager_client.get(f"{ANOMALIES}{anomaly.pk}/change/").content.decode()
        assert (f"{ANOMALIES}{anomaly.pk}/credible/" in page) == is_offered


@pytest.mark.parametrize("bad_id", ["abc", "²", "99999999999999999999"])
def test_an_address_that_names_no_anomaly_is_not_found(manager_client, bad_id):
    assert manager_client.get(f"{ANOMALIES}{bad_id}/change/").status_code == 404


def test_the_list_shows_what_needs_a_look(manager_client, plant):
    make_anomaly(plant)
    make_anomaly(plant, status="credible", days_ago=3)
    response = manager_client.get(f"{ANOMALIES}?status__exact=needs_a_look")
    assert [anomaly.status for anomaly in response.context["cl"].result_list] == ["needs_a_look"]
