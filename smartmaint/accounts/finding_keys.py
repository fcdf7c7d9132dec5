"""Finding an API key by its secret: the first question of a request, which also tells whether the connection lives."""

from functools import cache

from django.db import InterfaceError, OperationalError, connection

from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.prepared import PreparedStatement


def find_api_key(digest: bytes) -> ApiKey | None:
    """The key whose secret has this SHA-256, with its organisation.

    A connection that was lost is opened anew and asked once more: Django's own check of it would be one more question
    in each request.
    """
    connection.health_check_done = True
    try:
        return _ask(digest)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
        return _ask(digest)


def _ask(digest: bytes) -> ApiKey | None:
    with connection.cursor() as cursor:
        _find_by_digest().execute(cursor, digest)
        row = cursor.fetchone()
    if row is None:
        return None
    fields = [field.attname for field in ApiKey._meta.concrete_fields]
    fields_of_organization = [field.attname for field in Organization._meta.concrete_fields]
    api_key = ApiKey.from_db(connection.alias, fields, row[: len(fields)])
    api_key.organization = Organization.from_db(connection.alias, fields_of_organization, row[len(fields) :])
    return api_key


@cache
def _find_by_digest() -> PreparedStatement:
    columns = ", ".join(
        f"{model._meta.db_table}.{field.column}"
        for model in (ApiKey, Organization)
        for field in model._meta.concrete_fields
    )
    return PreparedStatement(
        "api_key_by_digest",
        f"SELECT {columns} FROM accounts_apikey JOIN accounts_organization "
        "ON accounts_organization.id = accounts_apikey.organization_id WHERE secret_sha256 = {0}",
        types=["bytea"],
    )
