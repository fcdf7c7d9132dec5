"""Logging in and out, passwords, the choice of an organisation, and what a role opens."""

import re

import pytest
from django.test import Client

from smartmaint.accounts.models import Role
from smartmaint.accounts.services import add_member, deactivate_member, reset_password, set_role
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


def text(response) -> str:
    return response.content.decode()


def test_a_person_logs_in_and_out(client, manager):
    response = client.post(
        "/login/?next=/machines/", {"username": "mina", "password": PASSWORD, "next": "/machines/"}
    )
    assert (response.status_code, response["Location"]) == (302, "/machines/")
    assert client.get("/machines/").status_code == 200
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/machines/")["Location"] == "/login/?next=/machines/"


def test_a_log_in_never_leads_to_a_foreign_site(client, manager):
    response = client.post(
        "/login/", {"username": "mina", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert response["Location"] == "/"


def test_logging_out_by_a_link_is_refused(manager_client):
    assert manager_client.get("/logout/").status_code == 405


def test_a_wrong_password_is_told_in_words(client, manager):
    response = client.post("/login/", {"username": "mina", "password": "wrong"})
    assert "do not belong together" in text(response)


def test_too_many_wrong_passwords_lock_and_say_so(client, manager, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        response = client.post("/login/", {"username": "mina", "password": "wrong"})
    assert (response.status_code, "Too many attempts" in text(response)) == (429, True)
    response = client.post("/login/", {"username": "mina", "password": PASSWORD})
    assert (response.status_code, "Wait 900 seconds" in text(response)) == (429, True)


def test_a_new_password_from_the_admin_unlocks_the_log_in(client, manager, settings):
    settings.AXES_FAILURE_LIMIT = 1
    client.post("/login/", {"username": "mina", "password": "wrong"})
    reset_password(membership=manager.memberships.get(), new_password="a brand new one")
    assert client.post("/login/", {"username": "mina", "password": "a brand new one"}).status_code == 302


def test_a_person_changes_their_own_password_and_stays_logged_in(manager_client, manager):
    new = {"old_password": PASSWORD, "new_password1": "a brand new one", "new_password2": "a brand new one"}
    assert manager_client.post("/password/", new)["Location"] == "/password/done/"
    assert "Password changed" in text(manager_client.get("/password/done/"))
    manager.refresh_from_db()
    assert manager.check_password("a brand new one")


def test_a_page_shows_the_time_of_the_organisation(manager_client, outsider_client):
    assert text(manager_client.get("/")) == "Riverside Foods Europe/Berlin"
    assert text(outsider_client.get("/")) == "Northwind Quarry America/Denver"
    assert text(Client().get("/")) == "None UTC"


def test_a_role_opens_what_it_includes(technician_client, viewer_client, manager_client):
    statuses = [
        client.get("/jobs/").status_code for client in (technician_client, viewer_client, manager_client)
    ]
    assert statuses == [200, 403, 200]


def test_the_refusal_says_which_role_it_takes(viewer_client):
    assert "role technician" in text(viewer_client.get("/jobs/"))


def test_a_changed_role_holds_at_the_next_request(manager_client, membership):
    assert manager_client.get("/jobs/").status_code == 200
    set_role(membership=membership, role=Role.VIEWER)
    assert manager_client.get("/jobs/").status_code == 403


def test_a_closed_membership_holds_at_the_next_request(manager_client, membership):
    deactivate_member(membership=membership)
    response = manager_client.get("/machines/")
    assert (response.status_code, "belong to no organisation" in text(response)) == (403, True)


def test_a_closed_organisation_is_closed_to_its_members(manager_client, organization):
    organization.is_active = False
    organization.save()
    assert manager_client.get("/machines/").status_code == 403


def test_a_person_in_two_organisations_switches_between_them(manager_client, manager, other_organization):
    add_member(organization=other_organization, role=Role.VIEWER, user=manager)
    assert text(manager_client.get("/")).startswith("Northwind Quarry")
    page = text(manager_client.get("/switch-organization/"))
    assert "Riverside Foods" in page
    assert "Northwind Quarry" in page
    home = manager.memberships.get(role=Role.MANAGER).organization
    assert manager_client.post("/switch-organization/", {"organization": home.pk})["Location"] == "/"
    assert text(manager_client.get("/")).startswith("Riverside Foods")
    assert manager_client.get("/jobs/").status_code == 200


def test_a_choice_does_not_outlive_the_membership(manager_client, manager, organization, other_organization):
    elsewhere = add_member(organization=other_organization, role=Role.VIEWER, user=manager)
    manager_client.post("/switch-organization/", {"organization": other_organization.pk})
    deactivate_member(membership=elsewhere)
    assert text(manager_client.get("/")).startswith("Riverside Foods")


@pytest.mark.parametrize("choice", ["all", "", "0", "x"])
def test_nobody_switches_to_where_they_do_not_belong(manager_client, other_organization, choice):
    for wanted in (choice, str(other_organization.pk)):
        response = manager_client.post("/switch-organization/", {"organization": wanted})
        assert response.status_code == 404
    assert text(manager_client.get("/")).startswith("Riverside Foods")


def test_the_operator_chooses_any_organisation_or_all(operator_client, organization):
    assert text(operator_client.get("/")).startswith("None")
    assert operator_client.get("/machines/")["Location"] == "/switch-organization/"
    operator_client.post("/switch-organization/", {"organization": organization.pk})
    assert operator_client.get("/machines/").status_code == 200
    operator_client.post("/switch-organization/", {"organization": "all"})
    assert text(operator_client.get("/")).startswith("None")


def test_choosing_needs_a_log_in(client, organization):
    assert client.get("/switch-organization/")["Location"] == "/login/?next=/switch-organization/"


@pytest.mark.urls("smartmaint.urls")
def test_the_security_policy_allows_evaluation_in_the_admin_only(manager_client):
    scripts = re.search("script-src ([^;]*)", manager_client.get("/admin/")["Content-Security-Policy"])
    assert set(scripts[1].split()) == {"'self'", "'unsafe-eval'"}
    policy = manager_client.get("/switch-organization/")["Content-Security-Policy"]
    assert ("unsafe-eval" in policy, "script-src" in policy) == (False, False)


@pytest.mark.urls("smartmaint.urls")
def test_the_admin_opens_by_role(
    client, viewer_client, technician_client, manager_client, org_admin_client, operator_client
):
    clients = [viewer_client, technician_client, manager_client, org_admin_client, operator_client]
    assert [one.get("/admin/").status_code for one in clients] == [200, 403, 200, 200, 200]
    assert client.get("/admin/")["Location"] == "/login/?next=/admin/"
    assert client.get("/admin/login/?next=/admin/x/")["Location"] == "/login/?next=/admin/x/"
    assert "for managers" in text(technician_client.get("/admin/"))


def test_pages_that_are_not_there_are_shown_as_pages(manager_client):
    response = manager_client.get("/nowhere/")
    assert (response.status_code, "There is nothing here" in text(response)) == (404, True)
