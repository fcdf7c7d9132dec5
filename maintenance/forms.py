"""What technicians type: why a job waits, and what was found."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.html import format_html
from django.utils.safestring import SafeString

from equipment.models import FailureMode, Verdict
from maintenance.models import MaintenanceLog, MaintenanceTask
from maintenance.services.completing import Finding
from maintenance.wording import in_words
from smartmaint import clock

LONGEST_TEXT = 5000
MOST_HOURS = 80_000
VERDICT_SENTENCES = {
    Verdict.CONFIRMED_AS_PREDICTED: "The machine had the fault that was predicted or reported.",
    Verdict.EARLY: "That fault had begun; the machine still did its work.",
    Verdict.FAILED_BEFORE_REPAIR: "It broke down before we could repair it.",
    Verdict.CONFIRMED_ANOTHER_MODE: "It had failed, but in another way.",
    Verdict.NO_FAULT_FOUND: "We looked and found nothing wrong.",
    Verdict.SENSOR_FAULT: "The machine is fine; the sensor or its cable was wrong.",
    Verdict.DUPLICATE: "Another job had dealt with it already.",
    Verdict.DEFERRED: "The work was put off; nothing was done now.",
    Verdict.NOT_INSPECTED: "Nobody looked at the machine.",
}


def verdict_choices() -> list[tuple[str, SafeString]]:
    return [
        (
            verdict,
            format_html(
                "<span><strong>{}</strong><br>{}</span>",
                verdict.label.partition(":")[0].capitalize(),
                sentence,
            ),
        )
        for verdict, sentence in VERDICT_SENTENCES.items()
    ]


class HoldForm(forms.Form):
    reason = forms.CharField(
        label="What does it wait for?",
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Such as a part, a permit, or production.",
        error_messages={"required": "Say what it waits for: the planner will read it."},
    )


class HoursAndMinutesWidget(forms.MultiWidget):
    """Two small number fields side by side; templates/maintenance/duration_field.html renders them."""

    use_fieldset = True

    def __init__(self) -> None:
        super().__init__({"hours": forms.NumberInput, "minutes": forms.NumberInput})

    def decompress(self, value: int | None) -> list[int | None]:
        return [None, None] if value is None else list(divmod(value, 60))


class HoursAndMinutesField(forms.MultiValueField):
    """An amount of time, cleaned to minutes; None when both parts are left empty."""

    widget = HoursAndMinutesWidget

    def __init__(self, **kwargs: Any) -> None:
        parts = (
            forms.IntegerField(
                required=False,
                validators=[
                    MinValueValidator(0, "Hours cannot be negative."),
                    MaxValueValidator(MOST_HOURS, "That is more than nine years."),
                ],
                error_messages={"invalid": "Write the hours as a whole number."},
            ),
            forms.IntegerField(
                required=False,
                validators=[
                    MinValueValidator(0, "Minutes cannot be negative."),
                    MaxValueValidator(60 * MOST_HOURS, "That is more than nine years."),
                ],
                error_messages={"invalid": "Write the minutes as a whole number."},
            ),
        )
        super().__init__(parts, required=False, require_all_fields=False, **kwargs)

    def compress(self, parts: list[int | None]) -> int | None:
        if not any(part is not None for part in parts):
            return None
        hours, minutes = (part or 0 for part in parts)
        return 60 * hours + minutes


class FindingForm(forms.Form):
    """The verdict and what goes with it, for one task."""

    verdict = forms.ChoiceField(
        label="What did you find?",
        choices=verdict_choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you found: the prediction is measured by it."},
    )
    failure_mode = forms.ModelChoiceField(
        FailureMode.objects.none(), label="Failure mode found", empty_label=None
    )
    cause = forms.CharField(required=False, max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 2}))
    remedy = forms.CharField(
        label="What was done",
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    notes = forms.CharField(required=False, max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 2}))
    downtime_minutes = HoursAndMinutesField(
        label="Downtime", help_text="How long the machine stood. Leave it empty if you do not know."
    )
    labour_minutes = HoursAndMinutesField(
        label="Labour", help_text="All people together. Leave it empty if you do not know."
    )

    def __init__(self, *args: Any, task: MaintenanceTask, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.task = task
        modes = FailureMode.objects.for_organization(task.organization)
        self.fields["failure_mode"].queryset = modes.of_class(task.equipment.equipment_class) | modes.filter(
            pk=task.failure_mode_id
        )
        self.fields["failure_mode"].initial = task.failure_mode_id

    def refuse(self, error: ValidationError) -> None:
        """Show at its field why a finding was not kept; what belongs to no field stands above the form."""
        for name, messages in error.update_error_dict({}).items():
            self.add_error(name if name in self.fields else None, messages)

    @property
    def finding(self) -> Finding:
        told = {name: self.cleaned_data[name] for name in FindingForm.base_fields}
        return Finding(**(told | {"verdict": Verdict(told["verdict"])}))

    @property
    def typed(self) -> list[tuple[str, str]]:
        """The words that somebody typed, by label: to be shown again where they could not be kept."""
        words = ((self[name].label, self[name].value()) for name in ("cause", "remedy", "notes"))
        return [(label, text) for label, text in words if text]


class CompletionForm(FindingForm):
    completed_at = forms.DateTimeField(
        label="Completed at",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Leave it empty if that is now.",
    )

    def clean_completed_at(self) -> datetime | None:
        """Between the start and now; a minute stands for the whole of it, as people write no seconds."""
        at, started_at = self.cleaned_data["completed_at"], self.task.started_at
        if at is None or started_at is None:
            return at
        if at > clock.now():
            raise forms.ValidationError("That is in the future.")
        if at < started_at.replace(second=0, microsecond=0):
            raise forms.ValidationError(f"The job was started later than that: {in_words(started_at)}.")
        return max(at, started_at)


class CorrectionForm(FindingForm):
    """The finding again, with what the newest entry says; `entry` notices that somebody was quicker."""

    entry = forms.IntegerField(widget=forms.HiddenInput)

    @classmethod
    def of(cls, entry: MaintenanceLog, **kwargs: Any) -> "CorrectionForm":
        said = {name: getattr(entry, name) for name in FindingForm.base_fields if name != "failure_mode"}
        form = cls(initial=said | {"entry": entry.pk}, **kwargs)
        form.fields["failure_mode"].initial = entry.failure_mode_id
        return form
