"""An unmistakable word in every text of an organisation's rows, and the check that a page shows none of it."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote

from django.contrib.auth.models import AbstractUser
from django.db import connection, models

from smartmaint.accounts.models import User, validate_time_zone
from smartmaint.accounts.scoping import OrganizationOwned
from tests.walls.world import FOREIGN_IDS, World, models_with_organization

MARK = "Zanzib"
# Finds the marked rows, and is not the mark: a page may repeat what was searched for.
FRAGMENT = "anzib"
# Words that the program itself reads: a time zone, a unit, a rule's fact, the address of a page.
READ_BY_THE_PROGRAM = {"link", "unit", "time_zone", "fact", "value", "version", "detector_version"}
FOREIGN_ID = re.compile(rf"(?<!\d){FOREIGN_IDS // 1000}\d{{3}}(?!\d)")


def mark_texts(world: World) -> None:
    """Put the mark before every free text of the organisation's rows, in JSON too."""
    organization = world.organization
    _mark_rows(type(organization), type(organization).objects.filter(pk=organization.pk))
    _mark_rows(User, User.objects.filter(memberships__organization=organization))
    for model in models_with_organization():
        _mark_rows(model, model._default_manager.filter(organization=organization))
    organization.refresh_from_db()
    world.plant.sensor.refresh_from_db()
    world.plant.failure_mode.refresh_from_db()


def _mark_rows(model: type[models.Model], rows: models.QuerySet) -> None:
    with connection.cursor() as cursor:
        # Ledgers refuse changes by a trigger; this organisation has to have been called so from the beginning.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {model._meta.db_table} DISABLE TRIGGER USER")
        fields = [field for field in model._meta.fields if _is_free_text(field)]
        for row in rows:
            marked = {field.name: _marked(field, getattr(row, field.attname)) for field in fields}
            if marked:
                model._base_manager.filter(pk=row.pk).update(**marked)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {model._meta.db_table} ENABLE TRIGGER USER")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _is_free_text(field: models.Field) -> bool:
    if field.choices or field.name in READ_BY_THE_PROGRAM or validate_time_zone in field.validators:
        return False
    if issubclass(field.model, AbstractUser) and field.name == "password":
        return False
    return isinstance(field, models.CharField | models.TextField | models.JSONField)


def _marked(field: models.Field, value: Any) -> Any:
    if isinstance(field, models.JSONField):
        return _marked_json(value)
    return f"{MARK}{value or ''}"[: field.max_length]


def _marked_json(value: Any) -> Any:
    match value:
        case str():
            return f"{MARK}{value}"
        case list():
            return [_marked_json(item) for item in value]
        case dict():
            return {key: _marked_json(item) for key, item in value.items()}
    return value


def unmarked(model: type[OrganizationOwned], world: World) -> set[str]:
    """Free texts of a model that no row of the organisation carries the mark in (JSON may hold numbers alone)."""
    rows = list(model._default_manager.filter(organization=world.organization))
    free_texts = [field for field in model._meta.fields if _is_free_text(field)]
    fields = [field.attname for field in free_texts if not isinstance(field, models.JSONField)]
    return {name for name in fields if not any(MARK in str(getattr(row, name)) for row in rows)}


def leaks(text: str, *, asked: Iterable[str]) -> list[str]:
    """The marked words and foreign ids in an answer, without those that only repeat what was asked."""
    said = text
    for word in asked:
        said = said.replace(word, "").replace(quote(word), "").replace(escape(word), "")
    return sorted(
        {*re.findall(rf"{MARK}[^<>]{{0,40}}", said, flags=re.IGNORECASE), *FOREIGN_ID.findall(said)}
    )
