"""How the readings of a key come to their sensors, where they name none."""

from django.contrib import admin
from django.forms import ValidationError
from django.http import HttpRequest

from sensors.ingest.naming import BadTemplate, Template
from sensors.models import SensorNaming
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ScopedHistoryAdmin, ScopedModelForm


class SensorNamingForm(ScopedModelForm):
    def clean_template(self) -> str:
        template = self.cleaned_data["template"]
        try:
            Template.of(template)
        except BadTemplate as error:
            raise ValidationError(str(error), code="bad_template") from error
        return template


@admin.register(SensorNaming)
class SensorNamingAdmin(ScopedHistoryAdmin):
    """A key without a naming of its own is named by measurement, tags and field."""

    view_role = add_role = change_role = delete_role = Role.ADMIN
    form = SensorNamingForm
    empty_words = (
        "Line protocol and MQTT name no sensor. With every key the point pump,site=north,machine=p-7 vibration=4.2 "
        "is a reading of pump/p-7/north/vibration: measurement, values of the tags, field. "
        "Where sensors are called otherwise, give the key a naming of its own."
    )
    list_display = ["api_key", "template", "text_fields"]
    list_select_related = ["api_key", "organization"]
    search_fields = ["api_key__name", "api_key__prefix", "template"]
    fields = ["api_key", "template", "text_fields"]

    def get_readonly_fields(self, request: HttpRequest, obj: SensorNaming | None = None) -> list[str]:
        return ["api_key"] if obj else []
