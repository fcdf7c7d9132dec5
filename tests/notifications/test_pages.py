"""The page of a person's own messages, and the managers' list."""

import pytest

from smartmaint.notifications.models import Notification, NotificationPreference, Severity
from smartmaint.notifications.services.preferences import preference_of
from smartmaint.notifications.services.telling import notify

pytestmark = pytest.mark.django_db

PAGE = "/notifications/"


@pytest.fixture
def told(organization, manager, technician_user):
    for user, subject in ((manager, "For Mina"), (technician_user, "For Tomas")):
        notify(
            organization=organization,
            recipients=[user],
            key=subject,
            severity=Severity.CRITICAL,
            subject=subject,
            link="/machines/",
        )


def test_everybody_sees_their_own_messages(told, manager_client, technician_client, viewer_client):
    assert "For Mina" in (page := manager_client.get(PAGE).content.decode())
    assert "For Tomas" not in page
    assert "For Tomas" in technician_client.get(PAGE).content.decode()
    assert "Nothing yet." in viewer_client.get(PAGE).content.decode()


def test_the_choice_is_kept(technician_client, technician_user, organization):
    answer = technician_client.post(PAGE, {"severities": ["minor", "warning"]})
    assert answer.status_code == 302
    preference = preference_of(technician_user, organization)
    assert (preference.severities, preference.by_email) == (["minor", "warning"], False)
    technician_client.post(PAGE, {"by_email": "on"})
    assert NotificationPreference.objects.get().severities == []


def test_a_severity_that_does_not_exist_is_refused(technician_client):
    answer = technician_client.post(PAGE, {"severities": ["deadly"]})
    assert answer.status_code == 422
    assert not NotificationPreference.objects.exists()


def test_who_is_not_logged_in_is_sent_to_the_log_in(client):
    assert client.get(PAGE).headers["Location"].startswith("/login/")


def test_managers_see_who_was_told_what(told, manager_client, viewer_client, outsider_client):
    address = "/admin/notifications/notification/"
    page = manager_client.get(address).content.decode()
    assert "For Mina" in page
    assert "For Tomas" in page
    assert viewer_client.get(address).status_code == 403
    assert "For Mina" not in outsider_client.get(address).content.decode()
    row = Notification.objects.filter(recipient__username="mina").get()
    assert outsider_client.get(f"{address}{row.pk}/change/").status_code == 404
    assert manager_client.post(f"{address}{row.pk}/change/", {"subject": "x"}).status_code == 403
