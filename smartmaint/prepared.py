"""Statements that every request sends: parsed and planned once per connection instead of each time.

For a reading or two the server spends longer on the plan than on the work. A pooler that hands out connections by
transaction cannot keep what was prepared: with PREPARED_STATEMENTS=0 they are sent in full.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

# What the driver cannot write as it stands; of all other columns the value itself is sent.
CONVERTED = (models.JSONField, ArrayField)

_known_to: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class PreparedStatement:
    """A statement whose parameters are written as `{0}`, `{1}`, …, with the type of each."""

    def __init__(self, name: str, sql: str, *, types: Sequence[str]) -> None:
        numbered = sql.format(*(f"${number}" for number in range(1, len(types) + 1)))
        self.name = name
        self._prepare = f"PREPARE {name} ({', '.join(types)}) AS {numbered}"
        self._execute = f"EXECUTE {name} ({', '.join(['%s'] * len(types))})"
        self._sql = sql.format(*(f"%({number})s::{kind}" for number, kind in enumerate(types)))

    def execute(self, cursor: CursorWrapper, *parameters: Any) -> None:
        """Run it on a cursor of the default connection; the cursor then has the rows."""
        if not settings.PREPARED_STATEMENTS:
            cursor.execute(self._sql, {str(number): value for number, value in enumerate(parameters)})
            return
        known = _known_to.setdefault(connection.connection, set())
        if self.name not in known:
            cursor.execute(self._prepare)
            known.add(self.name)
        cursor.execute(self._execute, parameters)


class PreparedInsert:
    """Inserts rows of a model one at a time, without Django's writing the statement anew for each."""

    def __init__(self, model: type[models.Model]) -> None:
        self._fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        columns = ", ".join(str(field.column) for field in self._fields)
        places = ", ".join(f"{{{number}}}" for number in range(len(self._fields)))
        self._statement = PreparedStatement(
            f"insert_{model._meta.model_name}",
            f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places}) RETURNING {model._meta.pk.column}",
            types=[str(field.db_type(connection)) for field in self._fields],
        )

    def execute(self, row: models.Model) -> None:
        """Insert a new row as it is, and give it its key."""
        values = [
            field.get_db_prep_save(getattr(row, field.attname), connection=connection)
            if isinstance(field, CONVERTED)
            else getattr(row, field.attname)
            for field in self._fields
        ]
        with connection.cursor() as cursor:
            self._statement.execute(cursor, *values)
            (row.pk,) = cursor.fetchone()
        row._state.adding, row._state.db = False, connection.alias
