"""What managers tell about keys that no sensor has."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from equipment.models import Equipment
from sensors.models import Sensor, SensorAlias
from smartmaint.accounts.models import Organization
from smartmaint.accounts.scoped_admin import ScopedModelForm


class NewSensorForm(ScopedModelForm):
    """A sensor for a key; its instance has the organisation and what was guessed."""

    class Meta:
        model = Sensor
        fields = [
            "key",
            "name",
            "equipment",
            "quantity",
            "unit",
            "physical_min",
            "physical_max",
            "max_change_per_min",
            "expected_interval_s",
        ]
        widgets = {
            "key": UnfoldAdminTextInputWidget,
            "name": UnfoldAdminTextInputWidget,
            "equipment": AutocompleteSelect(Sensor._meta.get_field("equipment"), admin.site),
            "quantity": UnfoldAdminTextInputWidget,
            "unit": UnfoldAdminTextInputWidget,
            "physical_min": UnfoldAdminDecimalFieldWidget,
            "physical_max": UnfoldAdminDecimalFieldWidget,
            "max_change_per_min": UnfoldAdminDecimalFieldWidget,
            "expected_interval_s": UnfoldAdminDecimalFieldWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        machines = Equipment.objects.for_organization(self.instance.organization)
        self.fields["equipment"].queryset = machines


class ExistingSensorForm(forms.Form):
    """Whose key it is. Where the key names another machine than the sensor's, that has to be said again."""

    sensor = forms.ModelChoiceField(
        Sensor.objects.none(),
        widget=AutocompleteSelect(SensorAlias._meta.get_field("sensor"), admin.site),
    )

    is_meant = forms.BooleanField(
        label="It belongs to another machine than its key names", required=False, widget=forms.HiddenInput
    )

    def __init__(
        self, *args: Any, organization: Organization | None, named: Equipment | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.named = named
        self.fields["sensor"].queryset = Sensor.objects.for_organization(organization).active()

    def clean(self) -> dict[str, Any]:
        told = super().clean()
        sensor = told.get("sensor")
        if sensor is not None and self.named is not None and not told.get("is_meant"):
            machines = [sensor.equipment, *sensor.equipment.ancestors()]
            if self.named not in machines:
                self.fields["is_meant"].widget = UnfoldBooleanWidget()
                words = f"{sensor.key} measures {sensor.equipment}, and this key names {self.named}. Is that meant?"
                self.add_error("is_meant", words)
        return told


class SensorAliasForm(ScopedModelForm):
    def clean_key(self) -> str:
        key = self.cleaned_data["key"]
        sensors = Sensor.objects.filter(organization=self.instance.organization_id).active()
        if sensors.filter(key=key).exists():
            raise forms.ValidationError("A sensor has this key itself, and its readings go there.")
        return key
