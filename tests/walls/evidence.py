"""What the database says about a wall: whether a row behind it changed, and whether a link goes through it."""

from django.db import connection, models
from django.db.utils import IntegrityError

from sensors.models import DailyRollup, FiveMinuteRollup, HourlyRollup, Reading, Sensor
from smartmaint.accounts.models import Membership, Organization, User
from tests.walls.world import World, models_with_organization, owned_models


def table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


class Evidence:
    """Compares what is there now with what was there when it was made."""

    def __init__(self, *, foreign: World, own: World) -> None:
        self._fingerprints_sql = _fingerprints_sql(foreign.organization.pk)
        self._crossings_sql = _crossings_sql(foreign.organization.pk, own.organization.pk)
        self._before = self._fingerprints()

    def changed_tables(self) -> list[str]:
        """Tables in which a row of the foreign organisation was added, changed or deleted."""
        now = self._fingerprints()
        return sorted(name for name, print_before in self._before.items() if now[name] != print_before)

    def crossings(self) -> list[str]:
        """Links between the organisations; those that the database refuses, and those that it lets through."""
        with connection.cursor() as cursor:
            try:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            except IntegrityError as error:
                return [f"refused only at the commit: {error.__cause__.diag.constraint_name}"]
            cursor.execute(self._crossings_sql)
            return [name for name, count in cursor.fetchall() if count]

    def _fingerprints(self) -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute(self._fingerprints_sql)
            return dict(cursor.fetchall())


def _fingerprints_sql(organization_id: int) -> str:
    of_organization = f"organization_id = {organization_id}"
    conditions = dict.fromkeys(models_with_organization(), of_organization)
    sensors = f"sensor_id IN (SELECT id FROM {table(Sensor)} WHERE {of_organization})"
    conditions |= {
        Reading: sensors,
        FiveMinuteRollup: sensors,
        HourlyRollup: sensors,
        DailyRollup: sensors,
        Organization: f"id = {organization_id}",
        User: f"id IN (SELECT user_id FROM {table(Membership)} WHERE {of_organization})",
    }
    return " UNION ALL ".join(
        f"SELECT '{model._meta.label}', md5(string_agg(row::text, '|' ORDER BY row::text)) "
        f"FROM {table(model)} row WHERE {condition}"
        for model, condition in conditions.items()
    )


def _crossings_sql(foreign_id: int, own_id: int) -> str:
    """Own rows that name a foreign person; constraints hold every other link."""
    foreign_people = f"(SELECT user_id FROM {table(Membership)} WHERE organization_id = {foreign_id})"
    named = [
        f"SELECT '{model._meta.label}.{field.name}', count(*) FROM {table(model)} "
        f"WHERE organization_id = {own_id} AND {field.column} IN {foreign_people}"
        for model in owned_models()
        for field in model._meta.fields
        if field.related_model is User
    ]
    return " UNION ALL ".join(named)
