"""Delivery: by e-mail where that can be, again after a failure, and never twice on purpose."""

from datetime import UTC, datetime

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from smartmaint.accounts.services import deactivate_member
from smartmaint.notifications.agents import deliver_notifications
from smartmaint.notifications.models import Notification, Severity
from smartmaint.notifications.services.preferences import set_preference
from smartmaint.notifications.services.telling import notify
from smartmaint.queues import MAX_ATTEMPTS

pytestmark = pytest.mark.django_db

BROKEN = "tests.notifications.test_delivering.BrokenBackend"
DUMMY = "django.core.mail.backends.dummy.EmailBackend"


class BrokenBackend(BaseEmailBackend):
    """A mail server that does not answer."""

    def send_messages(self, messages):
        raise TimeoutError("mail server does not answer")


@pytest.fixture
def recipient(manager):
    manager.email = "mina@example.com"
    manager.save()
    return manager


@pytest.fixture
def message(organization, recipient) -> Notification:
    notify(
        organization=organization,
        recipients=[recipient],
        key="pump 7 shakes",
        severity=Severity.CRITICAL,
        subject="P-7 Feed pump: vibration",
        body="7.9 mm/s",
        link="/machines/7/",
    )
    return Notification.objects.get()


def outcome(message):
    message.refresh_from_db()
    return message.channel, message.remark


@override_settings(SITE_URL="https://plant.example")
def test_a_message_goes_by_email_with_its_link(message):
    deliver_notifications()

    (sent,) = mail.outbox
    assert sent.to == ["mina@example.com"]
    assert sent.subject == "[Critical] P-7 Feed pump: vibration"
    assert "7.9 mm/s" in sent.body
    assert "https://plant.example/machines/7/" in sent.body
    assert "https://plant.example/notifications/" in sent.body
    assert outcome(message) == ("email", "")
    assert message.delivered_at is not None
    assert message.due_at is None


def test_the_same_message_has_the_same_id_each_time(message):
    deliver_notifications()
    message.refresh_from_db()
    message.mark_due()
    message.save()
    deliver_notifications()
    first, second = (sent.message()["Message-ID"] for sent in mail.outbox)
    assert first == second
    assert first.startswith(f"<notification-{message.pk}-")


def test_it_is_sent_once_however_often_the_agent_runs(message):
    for _ in range(3):
        deliver_notifications()
    assert len(mail.outbox) == 1


def test_who_has_no_address_finds_it_in_the_product(message, recipient):
    recipient.email = ""
    recipient.save()
    deliver_notifications()
    assert mail.outbox == []
    assert outcome(message) == ("log", "no e-mail address")


def test_who_switched_email_off_gets_none(message, recipient, organization):
    set_preference(user=recipient, organization=organization, severities=["critical"], by_email=False)
    deliver_notifications()
    assert mail.outbox == []
    assert outcome(message) == ("log", "e-mail is switched off")


@override_settings(EMAIL_BACKEND=DUMMY)
def test_without_a_mail_server_it_says_so(message):
    deliver_notifications()
    assert outcome(message) == ("log", "no mail server is set up (EMAIL_HOST)")


@override_settings(EMAIL_BACKEND=BROKEN, WORK_BACKOFF_SECONDS=0)
def test_a_mail_server_that_does_not_answer_is_asked_again_and_then_a_person_sees_why(
    message, manager_client
):
    for _ in range(MAX_ATTEMPTS):
        deliver_notifications()
    message.refresh_from_db()
    assert (message.channel, message.attempts) == ("", MAX_ATTEMPTS)
    assert message.parked_at is not None
    assert message.last_error == "TimeoutError: mail server does not answer"
    page = manager_client.get("/admin/notifications/notification/?work=stuck").content.decode()
    assert "P-7 Feed pump" in page


def test_what_was_stuck_is_sent_when_a_manager_says_so(message, manager_client):
    message.due_at, message.attempts, message.parked_at = None, MAX_ATTEMPTS, datetime.now(UTC)
    message.save()
    manager_client.post(
        "/admin/notifications/notification/", {"action": "try_again", "_selected_action": [message.pk]}
    )
    deliver_notifications()
    assert len(mail.outbox) == 1


def test_who_has_left_meanwhile_gets_none(message, manager):
    deactivate_member(membership=manager.memberships.get())
    deliver_notifications()
    assert mail.outbox == []
    assert outcome(message) == ("log", "no longer a member")


@override_settings(EMAIL_BACKEND=BROKEN, WORK_BACKOFF_SECONDS=0)
def test_one_that_cannot_be_sent_stops_no_other(message, organization, viewer):
    notify(
        organization=organization,
        recipients=[viewer],
        key="another",
        severity=Severity.CRITICAL,
        subject="For somebody without an address",
    )
    deliver_notifications()
    assert outcome(message) == ("", "")
    assert Notification.objects.get(recipient=viewer).channel == "log"
