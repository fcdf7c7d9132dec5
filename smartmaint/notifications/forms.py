"""What a person chooses to be told."""

from django import forms

from smartmaint.notifications.models import NotificationPreference, Severity


class PreferenceForm(forms.Form):
    severities = forms.MultipleChoiceField(
        label="Tell me of alarms that are",
        choices=Severity,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Nothing chosen: you are told of nothing, except what is assigned to you.",
    )
    by_email = forms.BooleanField(
        label="Send them by e-mail too",
        required=False,
        help_text="Otherwise they stand on this page alone.",
    )

    @classmethod
    def of(cls, preference: NotificationPreference, *, data: object = None) -> "PreferenceForm":
        return cls(data, initial={"severities": preference.severities, "by_email": preference.by_email})
