"""The API's door: who gets in, and one shape for every refusal."""

from datetime import timedelta

import pytest
from django.test import Client

from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import deactivate_member, disable_api_key, issue_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


def problem_of(response) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "Api-Key", "bearer"])
def test_a_key_opens_the_api_by_any_of_its_schemes(client, ingest_key, scheme):
    response = client.get("/api/both/", headers={"Authorization": f"{scheme} {ingest_key[1]}"})
    assert (response.status_code, response.json()["organization"]) == (200, "riverside-foods")


def test_a_key_opens_the_api_by_its_own_header(client, ingest_key):
    assert client.get("/api/both/", headers={"X-API-Key": ingest_key[1]}).status_code == 200


def test_a_key_decides_over_a_session_of_another_organisation(outsider_client, ingest_key):
    response = outsider_client.get("/api/both/", headers={"X-API-Key": ingest_key[1]})
    assert response.json()["organization"] == "riverside-foods"


def test_a_post_by_key_needs_no_csrf_token(ingest_key):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/api/both/", headers={"X-API-Key": ingest_key[1]}).status_code == 200


def test_a_post_by_session_needs_a_csrf_token(viewer):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(viewer)
    assert problem_of(strict.post("/api/both/")) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_authenticated"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "not_authenticated"),
        ({"Authorization": "Bearer"}, "unknown_key"),
        ({"Authorization": "Bearer sm_0_0"}, "unknown_key"),
        ({"X-API-Key": "sm_0_0"}, "unknown_key"),
    ],
)
def test_without_a_genuine_key_the_answer_is_401_with_a_challenge(client, headers, code):
    response = client.get("/api/both/", headers=headers)
    assert problem_of(response) == (401, code)
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_an_expired_key_is_401(client, organization):
    _, secret = issue_api_key(
        organization=organization,
        name="old",
        scopes=[Scope.READ],
        expires_at=clock.now() - timedelta(seconds=1),
    )
    assert problem_of(client.get("/api/both/", headers={"X-API-Key": secret})) == (401, "expired_key")


def test_a_disabled_key_is_403(client, ingest_key):
    disable_api_key(api_key=ingest_key[0])
    response = client.get("/api/both/", headers={"X-API-Key": ingest_key[1]})
    assert problem_of(response) == (403, "disabled_key")


def test_a_key_without_the_scope_is_403(client, organization):
    _, secret = issue_api_key(organization=organization, name="writer", scopes=[Scope.INGEST])
    assert problem_of(client.get("/api/both/", headers={"X-API-Key": secret})) == (403, "missing_scope")


def test_what_a_view_does_not_declare_stays_closed(client, ingest_key, manager_client):
    by_key = client.get("/api/undeclared/", headers={"X-API-Key": ingest_key[1]})
    assert problem_of(by_key) == (403, "session_only")
    assert problem_of(manager_client.get("/api/undeclared/")) == (403, "key_only")


def test_a_member_comes_in_by_session_and_the_api_speaks_utc(viewer_client):
    assert viewer_client.get("/api/both/").json() == {"organization": "riverside-foods", "zone": "UTC"}


def test_a_membership_that_ended_closes_the_api(viewer_client, viewer):
    deactivate_member(membership=viewer.memberships.get())
    assert problem_of(viewer_client.get("/api/both/")) == (403, "permission_denied")


@pytest.mark.parametrize("address", ["/api/away/", "/api/away-plain/"])
def test_a_database_that_is_away_asks_to_come_back(ingest_key, address):
    client = Client(raise_request_exception=False)
    response = client.get(address, headers={"X-API-Key": ingest_key[1]})
    assert problem_of(response) == (503, "database_away")
    assert response["Retry-After"] == "5"


def test_a_database_that_is_away_while_the_session_is_read_asks_to_come_back(viewer, settings):
    client = Client(raise_request_exception=False)
    client.force_login(viewer)
    settings.SESSION_ENGINE = "tests.accounts.session_of_dead_database"
    response = client.get("/api/both/")
    assert problem_of(response) == (503, "database_away")


def test_an_error_of_ours_is_a_problem_too_and_tells_no_secrets(ingest_key):
    client = Client(raise_request_exception=False)
    response = client.get("/api/broken/", headers={"X-API-Key": ingest_key[1]})
    assert problem_of(response) == (500, "internal_error")
    assert "ZeroDivision" not in response.content.decode()


def test_what_is_not_there_is_a_problem_inside_and_outside_of_views(client, ingest_key):
    assert problem_of(client.get("/api/nowhere/")) == (404, "not_found")
    inside = client.get("/api/missing/", headers={"X-API-Key": ingest_key[1]})
    assert problem_of(inside) == (404, "not_found")


def test_a_wrong_method_and_a_wrong_type_are_problems(client, ingest_key):
    headers = {"X-API-Key": ingest_key[1]}
    assert problem_of(client.put("/api/both/", headers=headers)) == (405, "method_not_allowed")


def test_the_use_of_a_key_is_recorded(client, ingest_key):
    client.get("/api/both/", headers={"X-API-Key": ingest_key[1]})
    assert ApiKey.objects.get().last_used_at is not None


def test_the_schema_names_both_ways_to_send_a_key(client):
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    assert {"key", "keyHeader", "cookieAuth"} <= set(schema["components"]["securitySchemes"])


@pytest.mark.parametrize("address", ["/api/docs/", "/api/redoc/"])
def test_the_readable_schema_needs_no_foreign_host_and_no_inline_script(client, address):
    response = client.get(address)
    assert response.status_code == 200
    assert "https://" not in response.content.decode()
    assert "script-src" not in response["Content-Security-Policy"]
