"""How the points of a key come to the keys of sensors."""

from functools import lru_cache

from django.db import connection

from sensors.ingest.naming import Naming, Template
from sensors.models import SensorNaming
from smartmaint.accounts.models import ApiKey
from smartmaint.prepared import PreparedStatement

_NAMING_OF_KEY = PreparedStatement(
    "naming_of_key",
    "SELECT template, text_fields FROM sensors_sensornaming WHERE api_key_id = {0}",
    types=["bigint"],
)


def naming_of(api_key: ApiKey) -> Naming:
    """What was set for the key, or what holds for every key where nothing was. Raises BadTemplate."""
    with connection.cursor() as cursor:
        _NAMING_OF_KEY.execute(cursor, api_key.pk)
        row = cursor.fetchone()
    if row is None:
        return Naming()
    return _read_naming(*row)


@lru_cache(maxsize=1000)
def _read_naming(template: str, text_fields: str) -> Naming:
    return Naming(Template.of(template), text_fields == SensorNaming.TextFields.IGNORE)


def copy_sensor_naming(*, old: ApiKey, new: ApiKey) -> None:
    """Let the readings of a key come to the sensors that another one's come to; a naming that is there stays."""
    for row in SensorNaming.objects.filter(api_key=old):
        SensorNaming.objects.get_or_create(
            api_key=new,
            defaults={
                "organization_id": row.organization_id,
                "template": row.template,
                "text_fields": row.text_fields,
            },
        )
