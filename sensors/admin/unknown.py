"""The inbox of unknown sensors, and the other names under which sensors are known."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from sensors.admin.forms import ExistingSensorForm, NewSensorForm, SensorAliasForm
from sensors.admin.senders import sender_in_words
from sensors.models import RejectedReading, Sensor, SensorAlias, UnknownSensor
from sensors.services.assigning import (
    AssignmentRefused,
    assign_unknown_sensor,
    machine_named_in,
    sensor_of,
    suggest_sensor,
)
from sensors.services.forgetting import forget_unknown_sensor
from sensors.unit_signs import with_unit
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, ScopedModelAdmin
from smartmaint.accounts.scoped_admin.questions import Question, answers, asks_first

REJECTED = "admin:sensors_rejectedreading_changelist"
INBOX = "admin:sensors_unknownsensor_changelist"

_verb = partial(asks_first, permission="assign", refusals=(AssignmentRefused,))


@admin.register(UnknownSensor)
class UnknownSensorAdmin(ReadOnlyScopedModelAdmin):
    """A line is dealt with once: its key is assigned to a sensor, or forgotten."""

    empty_words = "Every key that readings came for belongs to a sensor."
    view_role = assign_role = Role.MANAGER
    list_display = [
        "key",
        "sender",
        "last_seen_at",
        "readings",
        "kept",
        "newest_value",
        "known_now",
    ]
    list_filter = [("api_key", RelatedDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["api_key", "organization"]
    search_fields = ["key"]
    actions = ["forget_selected"]
    actions_detail = ["assign_to_new", "assign_to_existing", "store_kept", "forget"]
    fieldsets = [
        (
            "What came",
            {"fields": ["key", "sender", ("first_seen_at", "last_seen_at"), ("readings", "newest_value")]},
        ),
        ("What is kept", {"fields": ["kept", "known_now"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[UnknownSensor]:
        waiting = RejectedReading.objects.replayable().filter(
            organization=OuterRef("organization"), sensor_key=OuterRef("key")
        )
        count = waiting.order_by().values("sensor_key").annotate(count=Count("pk")).values("count")
        own = Sensor.objects.active().filter(organization=OuterRef("organization"), key=OuterRef("key"))
        alias = SensorAlias.objects.filter(
            organization=OuterRef("organization"), key=OuterRef("key"), sensor__is_active=True
        )
        unknown = super().get_queryset(request)
        return unknown.annotate(kept_count=Coalesce(Subquery(count), 0), is_known=Exists(own) | Exists(alias))

    @admin.display(description="sent by", ordering="api_key")
    def sender(self, unknown: UnknownSensor) -> str:
        return sender_in_words(unknown.api_key)

    @admin.display(description="kept", ordering="kept_count")
    def kept(self, unknown: UnknownSensor) -> str:
        return format_html('<a class="text-link" href="{}">{}</a>', kept_page(unknown), unknown.kept_count)

    @admin.display(description="newest value", ordering="last_value")
    def newest_value(self, unknown: UnknownSensor) -> str:
        return "none" if unknown.last_value is None else with_unit(unknown.last_value, unknown.unit)

    @display(description="state", label={"known now": "success", "unknown": "warning"})
    def known_now(self, unknown: UnknownSensor) -> str:
        return "known now" if unknown.is_known else "unknown"

    def has_assign_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, self.assign_role)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Of a key that has its sensor by now the readings only need to be stored."""
        unknown = self.get_object(request, object_id)
        offered = super().get_actions_detail(request, object_id)
        needless = {"new-sensor", "existing-sensor"} if unknown and unknown.is_known else {"store"}
        return [verb for verb in offered if verb.path.rsplit("/", 1)[-1] not in needless]

    @_verb("New sensor", url_path="new-sensor", icon="add", variant=ActionVariant.PRIMARY)
    def assign_to_new(self, request: HttpRequest, unknown: UnknownSensor) -> Question:
        return Question(
            title=f"Make a sensor of {unknown.key}",
            words="The unit, the quantity and the interval are guessed from what came. "
            "With a key of your own, its readings go on coming under this one as well.",
            submit="Make it",
            form=NewSensorForm(answers(request), instance=suggest_sensor(unknown)),
            **_assigning(unknown, request, lambda form: form.instance),
        )

    @_verb("Existing sensor", url_path="existing-sensor", icon="link")
    def assign_to_existing(self, request: HttpRequest, unknown: UnknownSensor) -> Question:
        return Question(
            title=f"Whose key is {unknown.key}?",
            words="It becomes another name of that sensor: readings under both are its own.",
            submit="Assign it",
            form=ExistingSensorForm(
                answers(request), organization=request.organization, named=machine_named_in(unknown)
            ),
            **_assigning(unknown, request, lambda form: form.cleaned_data["sensor"]),
        )

    @_verb("Store its readings", url_path="store", icon="check", variant=ActionVariant.PRIMARY)
    def store_kept(self, request: HttpRequest, unknown: UnknownSensor) -> Question:
        sensor = sensor_of(unknown)

        def known(form: object) -> Sensor:
            if sensor is None:
                raise AssignmentRefused("No sensor has this key yet: make one, or say whose it is.")
            return sensor

        return Question(
            title=f"Store the readings of {unknown.key}",
            words=f"They belong to {sensor} of {sensor.equipment}."
            if sensor
            else "No sensor has this key yet.",
            submit="Store them",
            **_assigning(unknown, request, known),
        )

    @_verb("Forget", url_path="forget", icon="delete", variant=ActionVariant.DANGER)
    def forget(self, request: HttpRequest, unknown: UnknownSensor) -> Question:
        def do(form: object) -> str:
            return f"Forgotten, with {forget_unknown_sensor(unknown):,} kept readings."

        return Question(
            title=f"Forget {unknown.key}",
            words=f"{unknown.kept_count:,} kept readings are deleted. When more come, it is listed again.",
            submit="Forget it",
            is_dangerous=True,
            do=do,
            next_page=partial(reverse, INBOX),
        )

    @admin.action(description="Forget, with what is kept for them", permissions=["assign"])
    def forget_selected(self, request: HttpRequest, queryset: QuerySet[UnknownSensor]) -> None:
        forgotten = [forget_unknown_sensor(unknown) for unknown in queryset]
        words = f"{len(forgotten):,} forgotten, with {sum(forgotten):,} kept readings."
        self.message_user(request, words, messages.SUCCESS)


@admin.register(SensorAlias)
class SensorAliasAdmin(ScopedModelAdmin):
    """Other keys of sensors; most come from the inbox."""

    empty_words = "Every sensor is known by its own key alone."
    form = SensorAliasForm
    list_display = ["key", "sensor"]
    list_select_related = ["sensor", "organization"]
    search_fields = ["key", "sensor__key"]
    autocomplete_fields = ["sensor"]
    fields = ["key", "sensor"]


def kept_page(unknown: UnknownSensor) -> str:
    """The list of what is kept of a key."""
    return f"{reverse(REJECTED)}?{urlencode({'state': 'waiting', 'sensor_key': unknown.key})}"


def _assigned(unknown: UnknownSensor, sensor: Sensor) -> str:
    if sensor.key == unknown.key:
        return f"The sensor {sensor.key} takes these readings now."
    return f"What comes as {unknown.key} goes to the sensor {sensor.key} now."


def _assigning(
    unknown: UnknownSensor, request: HttpRequest, chosen: Callable[[Any], Sensor]
) -> dict[str, Callable]:
    """How a question gives a key its sensor, and where it goes on: the page of the line is gone with it."""
    next_page = reverse(INBOX)

    def do(form: object) -> str:
        nonlocal next_page
        sensor = chosen(form)
        report = assign_unknown_sensor(unknown=unknown, sensor=sensor, by=request.user)
        if report is None or report.refused:
            next_page = kept_page(unknown)
        if report is None:
            return f"{_assigned(unknown, sensor)} Many of its readings wait: store them from here."
        return f"{_assigned(unknown, sensor)} {report}"

    return {"do": do, "next_page": lambda: next_page}
