"""The walls in the database: no link between two organisations can be stored, whoever writes it."""

import pytest
from django.db import IntegrityError, connection, models, transaction

from smartmaint.accounts.models import Organization
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization
from smartmaint.accounts.services import create_organization
from tests.walls.evidence import table
from tests.walls.world import OWN_IDS, build_world, owned_models

CONSTRAINTS = [
    (model, constraint)
    for model in owned_models()
    for constraint in model._meta.constraints
    if isinstance(constraint, SameOrganization)
]


def test_every_link_between_owned_rows_is_held_inside():
    links = {
        (model._meta.label, field.name)
        for model in owned_models()
        for field in model._meta.fields
        if field.related_model is not None and issubclass(field.related_model, OrganizationOwned)
    }
    assert links == {(model._meta.label, constraint.field) for model, constraint in CONSTRAINTS}


def test_every_table_that_joins_owned_rows_has_an_organisation_itself():
    joins = {
        field.remote_field.through for model in owned_models() for field in model._meta.local_many_to_many
    }
    assert {join._meta.label for join in joins if not issubclass(join, OrganizationOwned)} == set()


@pytest.mark.django_db
def test_the_database_refuses_each_link_that_would_leave_the_organisation():
    own = build_world(name="Northwind", first_id=OWN_IDS, sensor="pump-7")
    elsewhere = create_organization(name="Faraway", time_zone="UTC")
    refused = {
        constraint.name: refusal_of_a_move(model, constraint, own.organization, elsewhere)
        for model, constraint in CONSTRAINTS
    }
    assert refused == {name: name for name in refused}


def refusal_of_a_move(
    model: type[models.Model],
    constraint: SameOrganization,
    organization: Organization,
    elsewhere: Organization,
) -> str | None:
    """Move a row that has the link to another organisation; the name of the constraint that refuses it.

    A move crosses the same wall as a changed link, and meets no unique constraint on its way.
    """
    linked = {f"{constraint.field}__isnull": False}
    row = model._default_manager.filter(organization=organization, **linked).first()
    assert row is not None, f"no row of {model._meta.label} has a {constraint.field}"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
            # What ledgers refuse, they refuse before the constraint is looked at.
            cursor.execute(f"ALTER TABLE {table(model)} DISABLE TRIGGER USER")
            model._base_manager.filter(pk=row.pk).update(organization=elsewhere)
            cursor.execute(f"SET CONSTRAINTS {connection.ops.quote_name(constraint.name)} IMMEDIATE")
    except IntegrityError as error:
        return error.__cause__.diag.constraint_name
    return None
