"""The admin pages for people, keys and organisations; and that no admin page stands outside the walls."""

import re
from datetime import datetime, timedelta

import pytest
from django.contrib import admin

from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Membership, Organization, Role, Scope, User
from smartmaint.accounts.scoped_admin import OperatorModelAdmin, ScopedModelAdmin
from smartmaint.accounts.scoping import OrganizationOwned
from smartmaint.accounts.services import add_member, authenticate_api_key, issue_api_key

pytestmark = pytest.mark.django_db

NEW_PERSON = {
    "username": "ines",
    "first_name": "Ines",
    "last_name": "Sousa",
    "email": "ines@example.com",
    "role": "technician",
    "password": "long enough 1",
}


def errors_of(response) -> dict:
    assert response.status_code == 200, response
    return dict(response.context["adminform"].form.errors)


def test_every_admin_page_stands_behind_a_wall():
    for model, model_admin in admin.site._registry.items():
        base = ScopedModelAdmin if issubclass(model, OrganizationOwned) else OperatorModelAdmin
        assert isinstance(model_admin, base), model


def test_what_belongs_to_no_organisation_is_the_operators_alone(org_admin_client, operator_client):
    for model, model_admin in admin.site._registry.items():
        if isinstance(model_admin, OperatorModelAdmin):
            address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            assert (org_admin_client.get(address).status_code, operator_client.get(address).status_code) == (
                403,
                200,
            )
            assert org_admin_client.get(f"{address}add/").status_code == 403


def test_an_admin_adds_a_person_with_a_role(org_admin_client, organization, client):
    assert org_admin_client.post("/admin/accounts/membership/add/", NEW_PERSON).status_code == 302
    membership = Membership.objects.get(user__username="ines")
    assert (membership.organization, membership.role) == (organization, Role.TECHNICIAN)
    log_in = {"username": "ines", "password": "long enough 1"}
    assert client.post("/login/", log_in).status_code == 302


def test_a_username_that_is_taken_elsewhere_does_not_say_where(org_admin_client, outsider):
    response = org_admin_client.post("/admin/accounts/membership/add/", {**NEW_PERSON, "username": "OTTO"})
    assert errors_of(response) == {"username": ["Choose another username."]}
    assert "Northwind" not in response.content.decode()


def test_a_weak_first_password_is_a_form_error(org_admin_client):
    response = org_admin_client.post("/admin/accounts/membership/add/", {**NEW_PERSON, "password": "short"})
    assert list(errors_of(response)) == ["password"]


@pytest.mark.parametrize("name", ["manager_client", "viewer_client"])
def test_people_and_keys_are_the_admins_business(request, name, membership, ingest_key):
    client = request.getfixturevalue(name)
    assert client.get("/admin/accounts/membership/add/").status_code == 403
    assert (
        client.post(f"/admin/accounts/membership/{membership.pk}/change/", {"role": "admin"}).status_code
        == 403
    )
    assert client.post(f"/admin/accounts/membership/{membership.pk}/reset-password/").status_code == 403
    assert client.get("/admin/accounts/apikey/").status_code == 403
    assert client.post(f"/admin/accounts/apikey/{ingest_key[0].pk}/successor/").status_code == 403


def test_an_admin_changes_roles_and_shuts_people_out(org_admin_client, membership):
    address = f"/admin/accounts/membership/{membership.pk}/change/"
    assert org_admin_client.post(address, {"role": "viewer", "is_active": "on"}).status_code == 302
    membership.refresh_from_db()
    assert (membership.role, membership.is_active) == ("viewer", True)
    assert org_admin_client.post(address, {"role": "viewer"}).status_code == 302
    membership.refresh_from_db()
    assert membership.is_active is False
    assert org_admin_client.post(address, {"role": "manager", "is_active": "on"}).status_code == 302
    membership.refresh_from_db()
    assert (membership.role, membership.is_active) == ("manager", True)


@pytest.mark.parametrize("form", [{"role": "manager", "is_active": "on"}, {"role": "admin"}])
def test_the_last_admin_stays(org_admin_client, admin_user_of_org, form):
    last = admin_user_of_org.memberships.get()
    response = org_admin_client.post(f"/admin/accounts/membership/{last.pk}/change/", form)
    assert "needs an admin" in errors_of(response)["__all__"][0]


def test_an_admin_resets_a_password(org_admin_client, membership):
    address = f"/admin/accounts/membership/{membership.pk}/reset-password/"
    assert org_admin_client.get(address).status_code == 200
    assert org_admin_client.post(address, {"password": "a brand new one"}).status_code == 302
    assert User.objects.get(pk=membership.user_id).check_password("a brand new one")


@pytest.mark.parametrize("method", ["get", "post"])
def test_passwords_of_other_organisations_people_are_out_of_reach(org_admin_client, outsider, method):
    address = f"/admin/accounts/membership/{outsider.memberships.get().pk}/reset-password/"
    assert getattr(org_admin_client, method)(address, {"password": "a brand new one"}).status_code == 404


def test_a_person_of_two_organisations_is_not_taken_over(org_admin_client, membership, other_organization):
    add_member(organization=other_organization, role=Role.ADMIN, user=membership.user)
    address = f"/admin/accounts/membership/{membership.pk}/reset-password/"
    response = org_admin_client.post(address, {"password": "a brand new one"})
    assert "not yours to set" in response.content.decode()
    assert not User.objects.get(pk=membership.user_id).check_password("a brand new one")


def test_a_secret_is_shown_once(org_admin_client, organization):
    form = {
        "name": "historian",
        "scopes": ["ingest"],
        "time_zone": "",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    response = org_admin_client.post("/admin/accounts/apikey/add/", form)
    assert "no-store" in response["Cache-Control"]
    secret = re.search(r"sm_[0-9a-f]{10}_[0-9a-f]{40}", response.content.decode()).group()
    api_key = authenticate_api_key(secret)
    assert (api_key.organization, api_key.scopes, api_key.created_by.username) == (
        organization,
        ["ingest"],
        "ada",
    )
    for address in ("", f"{api_key.pk}/change/", f"{api_key.pk}/history/"):
        page = org_admin_client.get(f"/admin/accounts/apikey/{address}")
        assert (page.status_code, secret in page.content.decode()) == (200, False)
    assert secret not in str(dict(org_admin_client.session))


def test_a_key_needs_a_scope_and_a_name_of_its_own(org_admin_client, ingest_key):
    response = org_admin_client.post("/admin/accounts/apikey/add/", {"name": "gateway", "scopes": []})
    assert list(errors_of(response)) == ["scopes", "__all__"]


def over_at(expires_at: datetime, organization: Organization) -> dict[str, str]:
    """How a person of that organisation types it."""
    local = expires_at.astimezone(organization.zone)
    return {"expires_at_0": f"{local:%Y-%m-%d}", "expires_at_1": f"{local:%H:%M:%S}"}


def test_a_key_that_would_be_over_already_is_refused_at_its_field(org_admin_client, organization):
    an_hour_ago = clock.now() - timedelta(hours=1)
    form = {"name": "late", "scopes": ["read"], **over_at(an_hour_ago, organization)}
    response = org_admin_client.post("/admin/accounts/apikey/add/", form)
    assert errors_of(response) == {"expires_at": ["Choose a time that is still to come, or none."]}
    assert ApiKey.objects.count() == 0


def test_a_key_that_is_over_can_still_be_renamed(org_admin_client, organization):
    an_hour_ago = clock.now() - timedelta(hours=1)
    api_key, _ = issue_api_key(
        organization=organization, name="old", scopes=[Scope.READ], expires_at=an_hour_ago
    )
    form = {"name": "retired", "scopes": ["read"], **over_at(an_hour_ago, organization)}
    response = org_admin_client.post(f"/admin/accounts/apikey/{api_key.pk}/change/", form)
    assert response.status_code == 302, errors_of(response)
    api_key.refresh_from_db()
    assert api_key.name == "retired"


def test_a_successor_is_issued_by_post_only_and_its_secret_shown(org_admin_client, ingest_key):
    address = f"/admin/accounts/apikey/{ingest_key[0].pk}/successor/"
    assert org_admin_client.get(address).status_code == 200
    assert ApiKey.objects.count() == 1
    assert "sm_" in org_admin_client.post(address).content.decode()
    assert set(ApiKey.objects.values_list("name", "is_active")) == {("gateway", True), ("gateway #2", True)}


def test_keys_are_disabled_from_the_list_and_never_deleted(org_admin_client, ingest_key, other_organization):
    foreign, _ = issue_api_key(organization=other_organization, name="theirs", scopes=[Scope.READ])
    picked = {"action": "disable", "_selected_action": [ingest_key[0].pk, foreign.pk]}
    org_admin_client.post("/admin/accounts/apikey/", picked)
    assert set(ApiKey.objects.values_list("name", "is_active")) == {("gateway", False), ("theirs", True)}
    assert (
        org_admin_client.post(
            f"/admin/accounts/apikey/{ingest_key[0].pk}/delete/", {"post": "yes"}
        ).status_code
        == 403
    )


def test_the_operator_makes_an_organisation_and_links_a_person_to_a_second_one(operator_client, manager):
    form = {"name": "Acme", "slug": "acme", "time_zone": "Asia/Tokyo", "is_active": "on"}
    assert operator_client.post("/admin/accounts/organization/add/", form).status_code == 302
    acme = Organization.objects.get(slug="acme")
    person = {
        "username": "mina",
        "is_active": "on",
        "memberships-TOTAL_FORMS": 2,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": manager.memberships.get().pk,
        "memberships-0-user": manager.pk,
        "memberships-0-organization": manager.memberships.get().organization_id,
        "memberships-0-role": "manager",
        "memberships-0-is_active": "on",
        "memberships-1-user": manager.pk,
        "memberships-1-organization": acme.pk,
        "memberships-1-role": "viewer",
        "memberships-1-is_active": "on",
    }
    assert operator_client.post(f"/admin/accounts/user/{manager.pk}/change/", person).status_code == 302
    assert manager.memberships.get(organization=acme).role == "viewer"


def test_operators_pages_open(operator_client, organization, manager, ingest_key):
    for address in (
        "accounts/user/add/",
        f"accounts/user/{manager.pk}/password/",
        "accounts/organization/add/",
    ):
        assert operator_client.get(f"/admin/{address}").status_code == 200
    for address in ("periodictask/add/", "intervalschedule/add/", "crontabschedule/add/"):
        assert operator_client.get(f"/admin/django_celery_beat/{address}").status_code == 200
