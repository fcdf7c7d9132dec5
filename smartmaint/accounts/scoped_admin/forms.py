"""A form that knows its organisation without asking for it."""

from typing import Any, ClassVar

from django import forms

from smartmaint.accounts.models import Organization


class ScopedModelForm(forms.ModelForm):
    """Gives a new row its organisation before it is validated.

    `organization` is no field of the form, so Django would leave every constraint that names it unchecked,
    and a second row of the same name would end as an IntegrityError. Here such constraints are checked like
    all others.
    """

    organization: ClassVar[Organization | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.organization is not None and self.instance.organization_id is None:
            self.instance.organization = self.organization

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"organization"}
