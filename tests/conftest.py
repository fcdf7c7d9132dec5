"""The cast of the tests: two organisations, their people, an operator, a key; and a logged-in client each."""

from datetime import timedelta

import pytest
from django.test import Client

from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Membership, Organization, Role, Scope, User
from smartmaint.accounts.services import add_member, create_organization, issue_api_key
from tests.plants import Plant, make_plant

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Hashing that is slow on purpose would take most of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def organization(db) -> Organization:
    return create_organization(name="Riverside Foods", time_zone="Europe/Berlin")


@pytest.fixture
def other_organization(db) -> Organization:
    return create_organization(name="Northwind Quarry", time_zone="America/Denver")


@pytest.fixture
def plant(organization) -> Plant:
    """One pump of that organisation with what is around it."""
    return make_plant(organization)


def member(organization: Organization, role: Role, username: str) -> User:
    return add_member(organization=organization, role=role, username=username, password=PASSWORD).user


@pytest.fixture
def viewer(organization) -> User:
    return member(organization, Role.VIEWER, "vera")


@pytest.fixture
def technician_user(organization) -> User:
    return member(organization, Role.TECHNICIAN, "tomas")


@pytest.fixture
def manager(organization) -> User:
    return member(organization, Role.MANAGER, "mina")


@pytest.fixture
def admin_user_of_org(organization) -> User:
    return member(organization, Role.ADMIN, "ada")


@pytest.fixture
def outsider(other_organization) -> User:
    """A manager, but of the other organisation."""
    return member(other_organization, Role.MANAGER, "otto")


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser(username="olga", password=PASSWORD)


@pytest.fixture
def ingest_key(organization) -> tuple[ApiKey, str]:
    """A key with its secret."""
    return issue_api_key(
        organization=organization,
        name="gateway",
        scopes=[Scope.INGEST, Scope.READ],
        expires_at=clock.now() + timedelta(days=30),
    )


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer_client(viewer) -> Client:
    return logged_in(viewer)


@pytest.fixture
def technician_client(technician_user) -> Client:
    return logged_in(technician_user)


@pytest.fixture
def manager_client(manager) -> Client:
    return logged_in(manager)


@pytest.fixture
def org_admin_client(admin_user_of_org) -> Client:
    return logged_in(admin_user_of_org)


@pytest.fixture
def outsider_client(outsider) -> Client:
    return logged_in(outsider)


@pytest.fixture
def operator_client(operator) -> Client:
    return logged_in(operator)


@pytest.fixture
def membership(manager) -> Membership:
    """The manager's."""
    return manager.memberships.get()
