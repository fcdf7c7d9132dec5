"""What people say when they handle an alarm."""

from typing import Any

from django import forms

from sensors.models import AlarmEntry
from sensors.services.alarms.handling import people_who_handle
from smartmaint.accounts.models import Organization, User

LONGEST = AlarmEntry._meta.get_field("comment").max_length


class CommentForm(forms.Form):
    comment = forms.CharField(max_length=LONGEST, widget=forms.Textarea(attrs={"rows": 2}))


class OptionalCommentForm(forms.Form):
    comment = forms.CharField(max_length=LONGEST, required=False)


class ShelveForm(forms.Form):
    """For how long it is out of the way, and why."""

    hours = forms.FloatField(label="Shelve for (hours)", initial=8)
    comment = forms.CharField(label="Why", max_length=LONGEST, required=False)


class ReasonForm(forms.Form):
    comment = forms.CharField(label="Why", max_length=LONGEST)


class AssignForm(forms.Form):
    """Who takes care: a member who handles alarms, or nobody."""

    assignee = forms.ModelChoiceField(User.objects.none(), required=False, label="Who takes care")

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["assignee"]
        field.queryset = people_who_handle(organization)
        field.empty_label = "nobody"
        field.label_from_instance = lambda user: user.display_name
