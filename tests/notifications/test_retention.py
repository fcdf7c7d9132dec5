"""Messages that were sent or given up go after a while; those that wait stay."""

from datetime import UTC, datetime, timedelta

import pytest

from smartmaint import clock, retention
from smartmaint.accounts.models import Organization, User
from smartmaint.models import AgentRun
from smartmaint.notifications.agents import drop_old_notifications
from smartmaint.notifications.models import Channel, Notification, Severity
from smartmaint.notifications.services.retention import drop_old_notifications as drop_old
from smartmaint.notifications.services.telling import notify

NOW = datetime(2026, 8, 20, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def at_now():
    with clock.frozen(NOW):
        yield


def message(organization: Organization, recipient: User, key: str, **fields: object) -> Notification:
    notify(
        organization=organization,
        recipients=[recipient],
        key=key,
        severity=Severity.CRITICAL,
        subject="Vibration",
    )
    told = Notification.objects.filter(key=key)
    told.update(**fields)
    return told.get()


def sent(age: timedelta) -> dict:
    return {"due_at": None, "channel": Channel.LOG, "delivered_at": NOW - age, "created_at": NOW - age}


def given_up(age: timedelta) -> dict:
    return {"due_at": None, "parked_at": NOW - age, "created_at": NOW - age}


@pytest.mark.parametrize("end", [sent, given_up])
def test_what_was_sent_or_given_up_goes_after_ninety_days(organization, manager, end):
    message(organization, manager, "old", **end(90 * DAY + timedelta(microseconds=1)))
    recent = message(organization, manager, "recent", **end(90 * DAY))
    dropped = drop_old(budget_seconds=60)
    assert dropped.rows == {"notifications_notification": 1}
    assert list(Notification.objects.all()) == [recent]


def test_what_waits_stays_however_old(organization, manager):
    waits = message(organization, manager, "waits", created_at=NOW - 900 * DAY)
    assert drop_old(budget_seconds=60).rows == {}
    assert set(Notification.objects.all()) == {waits}


def test_what_was_sent_late_stays_ninety_days_from_then(organization, manager):
    message(organization, manager, "late", **(sent(10 * DAY) | {"created_at": NOW - 200 * DAY}))
    assert drop_old(budget_seconds=60).rows == {}


def test_all_organisations_keep_theirs_as_long(organization, other_organization, manager, outsider):
    message(organization, manager, "old", **sent(91 * DAY))
    message(other_organization, outsider, "old too", **sent(91 * DAY))
    recent = message(other_organization, outsider, "recent", **sent(89 * DAY))
    drop_old(budget_seconds=60)
    assert list(Notification.objects.all()) == [recent]


def test_many_go_in_steps_and_what_is_left_goes_next_time(organization, manager, monkeypatch):
    monkeypatch.setattr(retention, "STEP_ROWS", 10)
    for number in range(25):
        message(organization, manager, f"old {number}", **sent(100 * DAY))
    assert not drop_old(budget_seconds=0).is_finished
    assert Notification.objects.count() == 25
    drop_old_notifications()
    assert not Notification.objects.exists()
    assert AgentRun.objects.get(name="smartmaint.notifications.agents.drop_old_notifications").settled == 25
