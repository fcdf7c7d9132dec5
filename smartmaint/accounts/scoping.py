"""The walls between organisations: one QuerySet that scopes, and one constraint that keeps links inside.

Every row that belongs to an organisation derives from `OrganizationOwned`, is read through
`.for_organization(...)`, and names with `SameOrganization` each foreign key that must not leave its organisation.
"""

from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class ScopedQuerySet(models.QuerySet):
    def for_organization(self, organization: models.Model | None) -> Self:
        """Rows of one organisation; none of it for None, so that a missing organisation opens nothing."""
        return self.filter(organization=organization) if organization is not None else self.none()

    def for_one_or_all(self, organization: models.Model | None) -> Self:
        """For agents alone: rows of one organisation or, for None, of all that are active.

        An inactive one may be a past that is lived again, by a clock of its own.
        """
        if organization is None:
            return self.filter(organization__is_active=True)
        return self.for_organization(organization)


class OrganizationOwned(models.Model):
    """A row that belongs to one organisation."""

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.PROTECT, related_name="+", verbose_name="organisation"
    )

    objects = ScopedQuerySet.as_manager()

    class Meta:
        abstract = True


def inside_organization() -> models.UniqueConstraint:
    """The key that `SameOrganization` of other rows refers to."""
    return models.UniqueConstraint(fields=["id", "organization"], name="%(class)s_in_organization")


class SameOrganization(models.BaseConstraint):
    """A foreign key on (field, organization): the row that is linked belongs to the same organisation.

    The linked model needs `inside_organization()` among its constraints. A null link is not checked.
    """

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(
            name=name,
            violation_error_message="Choose one of your own organisation.",
            violation_error_code="foreign",
        )
        self.field = field

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:
        return self._definition(model, schema_editor)

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement:
        return Statement(
            "ALTER TABLE %(table)s ADD %(definition)s",
            table=schema_editor.quote_name(model._meta.db_table),
            definition=self._definition(model, schema_editor),
        )

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement:
        return Statement(
            "ALTER TABLE %(table)s DROP CONSTRAINT %(name)s",
            table=schema_editor.quote_name(model._meta.db_table),
            name=schema_editor.quote_name(self.name),
        )

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: set[str] | None = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        link = model._meta.get_field(self.field)
        key, organization_id = getattr(instance, link.attname), instance.organization_id
        if key is None or organization_id is None or (exclude and self.field in exclude):
            return
        if not link.related_model._default_manager.filter(pk=key, organization_id=organization_id).exists():
            raise ValidationError(
                {self.field: ValidationError(self.get_violation_error_message(), code="foreign")}
            )

    def _definition(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:
        quote, link = schema_editor.quote_name, model._meta.get_field(self.field)
        target = link.related_model._meta
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({quote(link.column)}, {quote('organization_id')}) "
            f"REFERENCES {quote(target.db_table)} ({quote(target.pk.column)}, {quote('organization_id')}) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def deconstruct(self) -> tuple[str, tuple, dict[str, Any]]:
        path, _, _ = super().deconstruct()
        return path, (), {"field": self.field, "name": self.name}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SameOrganization):
            return (self.field, self.name) == (other.field, other.name)
        return NotImplemented

    __hash__ = models.BaseConstraint.__hash__
