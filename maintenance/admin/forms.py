"""What managers tell about tasks and absences."""

from itertools import pairwise
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextareaWidget

from equipment.models import FailureMode
from maintenance.models import Absence, MaintenanceTask, TaskType, Technician
from smartmaint.accounts.models import Organization
from smartmaint.accounts.scoped_admin import ScopedModelForm


class NewTaskForm(ScopedModelForm):
    """A task by hand; those of type predictive come from predictions alone."""

    class Meta:
        model = MaintenanceTask
        fields = [
            "equipment",
            "failure_mode",
            "type",
            "priority",
            "title",
            "description",
            "standard_job",
            "duration_minutes",
            "required_by",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["type"].choices = [
            choice for choice in self.fields["type"].choices if choice[0] != TaskType.PREDICTIVE
        ]
        duration = self.fields["duration_minutes"]
        duration.required, duration.initial = False, None
        duration.help_text = "Empty: what the standard job says, or 60."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        machine, mode = cleaned.get("equipment"), cleaned.get("failure_mode")
        if machine and mode:
            modes = FailureMode.objects.for_organization(machine.organization)
            if not modes.of_class(machine.equipment_class).filter(pk=mode.pk).exists():
                name = machine.equipment_class.name.lower()
                self.add_error("failure_mode", f"{machine} is one of the {name}: choose a mode of theirs.")
        return cleaned


class ReasonForm(forms.Form):
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget, help_text="Kept with the task, for those who wonder later."
    )


class ReassignForm(forms.Form):
    technician = forms.ModelChoiceField(Technician.objects.none(), widget=UnfoldAdminSelectWidget)
    starts_at = forms.SplitDateTimeField(label="starts", widget=UnfoldAdminSplitDateTimeWidget)

    def __init__(self, *args: Any, organization: Organization | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        technicians = Technician.objects.for_organization(organization).active().select_related("user")
        self.fields["technician"].queryset = technicians
        if organization is not None:
            self.fields["starts_at"].help_text = f"In {organization.time_zone}."


class AbsenceForm(ScopedModelForm):
    """A period as people say it: from, until."""

    begins_at = forms.SplitDateTimeField(label="from", widget=UnfoldAdminSplitDateTimeWidget)
    ends_at = forms.SplitDateTimeField(label="until", widget=UnfoldAdminSplitDateTimeWidget)

    class Meta:
        model = Absence
        fields = ["reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.period:
            self.initial |= {"begins_at": self.instance.period.lower, "ends_at": self.instance.period.upper}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        begins_at, ends_at = cleaned.get("begins_at"), cleaned.get("ends_at")
        if begins_at and ends_at:
            if ends_at <= begins_at:
                raise ValidationError({"ends_at": "It ends before it begins."})
            self.instance.period = DateTimeTZRange(begins_at, ends_at, "[)")
        return cleaned


class AbsenceFormSet(forms.BaseInlineFormSet):
    """All absences of one technician, as they are going to be."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        kept = [form for form in self.forms if form.instance.period and not self._should_delete_form(form)]
        kept.sort(key=lambda form: form.instance.period.lower)
        for earlier, later in pairwise(kept):
            if later.instance.period.lower < earlier.instance.period.upper:
                later.add_error(None, "This technician is away then already.")
