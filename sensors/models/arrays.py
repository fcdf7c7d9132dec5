"""A field for long arrays of integers."""

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from sensors.storage.arrays import number_array


class IntegerArrayField(ArrayField):
    """bigint[], sent as one literal: of a thousand elements sent one by one the server parses ten times as long."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["base_field"] = models.BigIntegerField()
        super().__init__(**kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["base_field"]
        return name, path, args, kwargs

    def get_db_prep_value(
        self, value: Iterable[int] | None, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        return value if value is None else number_array(value)
