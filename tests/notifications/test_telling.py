"""Telling people: once each, in the caller's transaction, and only who belongs here and wants to hear it."""

import pytest
from django.db import IntegrityError, transaction

from smartmaint.accounts.models import Role
from smartmaint.accounts.services import add_member, deactivate_member
from smartmaint.notifications.models import Notification, Severity
from smartmaint.notifications.services.preferences import set_preference
from smartmaint.notifications.services.telling import notify, people_in_role

pytestmark = pytest.mark.django_db


def tell(organization, *people, key="pump 7 shakes", severity=Severity.CRITICAL, **more):
    """Returns how many messages that made."""
    before = Notification.objects.count()
    notify(
        organization=organization, recipients=people, key=key, severity=severity, subject="It shakes", **more
    )
    return Notification.objects.count() - before


def told(user):
    return list(Notification.objects.filter(recipient=user).values_list("key", flat=True))


def test_each_recipient_gets_a_message(organization, manager, technician_user):
    assert tell(organization, manager, technician_user, manager) == 2
    assert told(manager) == told(technician_user) == ["pump 7 shakes"]


def test_nobody_is_told_twice_of_the_same_event(organization, manager, technician_user):
    tell(organization, manager)
    assert tell(organization, manager, technician_user) == 1
    assert tell(organization, manager, key="it shakes more") == 1
    assert told(manager) == ["it shakes more", "pump 7 shakes"]


def test_the_database_refuses_a_second_message_of_the_same_event(organization, manager):
    tell(organization, manager)
    again = Notification.objects.get()
    again.pk = None
    with pytest.raises(IntegrityError, match="notification_once"), transaction.atomic():
        again.save()


def test_who_does_not_belong_here_is_left_out(organization, manager, viewer, outsider):
    deactivate_member(membership=viewer.memberships.get())
    assert tell(organization, manager, viewer, outsider) == 1
    assert told(outsider) == told(viewer) == []


def test_a_person_who_is_switched_off_everywhere_is_left_out(organization, manager):
    manager.is_active = False
    manager.save()
    assert tell(organization, manager) == 0


def test_people_hear_what_they_chose(organization, other_organization, manager):
    assert tell(organization, manager, severity=Severity.MINOR) == 0
    set_preference(user=manager, organization=organization, severities=["minor"], by_email=True)
    assert tell(organization, manager, severity=Severity.MINOR) == 1
    assert tell(organization, manager, severity=Severity.CRITICAL, key="worse") == 0


def test_a_choice_in_another_organisation_changes_nothing_here(organization, other_organization, manager):
    add_member(organization=other_organization, role=Role.VIEWER, user=manager)
    set_preference(user=manager, organization=other_organization, severities=[], by_email=False)
    assert tell(organization, manager) == 1
    assert tell(other_organization, manager) == 0


def test_what_is_given_to_a_person_by_name_is_told_whatever_they_chose(organization, manager):
    set_preference(user=manager, organization=organization, severities=[], by_email=True)
    assert tell(organization, manager, is_personal=True) == 1


def test_a_message_is_gone_with_the_event_that_was_undone(organization, manager):
    with transaction.atomic():
        tell(organization, manager)
        transaction.set_rollback(True)
    assert told(manager) == []


def test_a_subject_is_one_line_of_at_most_200_characters(organization, manager):
    notify(
        organization=organization,
        recipients=[manager],
        key="long",
        severity=Severity.MAJOR,
        subject="It shakes\r\nBcc: everybody@example.com " + "x" * 500,
        about="y" * 500,
    )
    message = Notification.objects.get()
    assert message.subject.startswith("It shakes Bcc: everybody@example.com xxx")
    assert (len(message.subject), len(message.about)) == (200, 200)


def test_a_link_leads_into_the_product(organization, manager):
    with pytest.raises(IntegrityError, match="notification_link_is_a_page"), transaction.atomic():
        tell(organization, manager, link="https://elsewhere.example")


def test_people_in_a_role_have_exactly_that_role(organization, manager, technician_user, admin_user_of_org):
    assert people_in_role(organization, Role.MANAGER) == [manager]
    assert people_in_role(organization, Role.TECHNICIAN) == [technician_user]
    deactivate_member(membership=manager.memberships.get())
    assert people_in_role(organization, Role.MANAGER) == []
