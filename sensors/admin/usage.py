"""What comes with the keys of integrators: an overview of all, a page for each, and what each is allowed to send."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Field, QuerySet
from django.forms import BaseModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.timezone import localtime
from unfold.decorators import display

from sensors.models import KeyAllowance, KeyUsage
from sensors.services.allowances import USUAL, require_allowed_rates, usual_rate
from sensors.services.metering import read_quotas
from sensors.services.usage import (
    WINDOWS,
    Overview,
    Rates,
    TooMuchToRead,
    count_events,
    newest_batch_at,
    read_lag,
    read_overview,
    read_rates,
    read_refused_readings,
    read_refused_requests,
)
from smartmaint import clock
from smartmaint.accounts.admin import ApiKeyAdmin
from smartmaint.accounts.models import ApiKey, Role, User
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, ScopedHistoryAdmin, ScopedModelForm

NO_READINGS = "no data"
TOOK_TOO_LONG = "took too long"
KEY_BADGES = {"in force": "success", "expired": "warning", "disabled": "danger"}


class KeyUsageList(ChangeList):
    """Adds up what came with the keys of one page of the list, for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        try:
            figures = read_overview(api_key.pk for api_key in self.result_list)
        except TooMuchToRead as error:
            figures = {}
            messages.warning(request, f"{error} A single key may still be looked at, for an hour.")
        for api_key in self.result_list:
            api_key.overview = figures.get(api_key.pk)


@admin.register(KeyUsage)
class KeyUsageAdmin(ReadOnlyScopedModelAdmin):
    view_role = Role.MANAGER
    empty_words = "There is no API key yet. An admin of the organisation makes them."
    list_display = ["name", "state", "last_readings", "requests", "readings", "rejected", "lag"]
    list_filter = ["is_active"]
    list_per_page = 50
    search_fields = ["name", "prefix"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeyUsage]:
        return super().get_queryset(request).select_related("organization")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeyUsageList

    @display(description="state", label=KEY_BADGES)
    def state(self, api_key: KeyUsage) -> str:
        return state_of(api_key)

    @admin.display(description="last readings")
    def last_readings(self, api_key: KeyUsage) -> str:
        overview = self._overview(api_key)
        if overview is None:
            return TOOK_TOO_LONG
        return localize(localtime(overview.last_at)) if overview.last_at else NO_READINGS

    @admin.display(description="requests in 24 h")
    def requests(self, api_key: KeyUsage) -> str:
        return self._count(api_key, "requests")

    @admin.display(description="readings")
    def readings(self, api_key: KeyUsage) -> str:
        return self._count(api_key, "readings")

    @admin.display(description="rejected")
    def rejected(self, api_key: KeyUsage) -> str:
        overview = self._overview(api_key)
        if overview is None:
            return TOOK_TOO_LONG
        if not overview.readings:
            return NO_READINGS
        share = overview.rejected / overview.readings
        return f"{overview.rejected:,} ({share:.1%})" if overview.rejected else "0"

    @admin.display(description="median lag")
    def lag(self, api_key: KeyUsage) -> str:
        overview = self._overview(api_key)
        return TOOK_TOO_LONG if overview is None else seconds_in_words(overview.lag_s)

    def _overview(self, api_key: KeyUsage) -> Overview | None:
        """None where there was too much to add up."""
        return getattr(api_key, "overview", None)

    def _count(self, api_key: KeyUsage, name: str) -> str:
        overview = self._overview(api_key)
        return TOOK_TOO_LONG if overview is None else f"{getattr(overview, name):,}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Nothing is changed here: the page of what came with this key."""
        api_key = self.own_row(request, object_id)
        if not self.has_view_permission(request, api_key) or request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        asked = request.GET.get("window", "hour")
        window = WINDOWS.get(asked, WINDOWS["hour"])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": api_key,
            "title": f"What came with {api_key.name}",
            "api_key": api_key,
            "state": state_of(api_key),
            "windows": WINDOWS.values(),
            "window": window,
            "quotas": [(quota, f"{quota.used:.0%}") for quota in read_quotas(api_key)],
            "burst_s": settings.INGEST_BURST_S,
            "last_readings_at": newest_batch_at(api_key),
            "limits_page": self._limits_page(request, api_key),
            **self._figures(api_key, window),
        }
        return TemplateResponse(request, "admin/sensors/usage.html", context)

    def _limits_page(self, request: HttpRequest, api_key: KeyUsage) -> str | None:
        """Where this person sets the key's limits; None for who may not."""
        if not self.may(request, Role.ADMIN, api_key):
            return None
        allowance = KeyAllowance.objects.filter(api_key=api_key).first()
        if allowance is not None:
            return reverse("admin:sensors_keyallowance_change", args=[allowance.pk])
        return f"{reverse('admin:sensors_keyallowance_add')}?api_key={api_key.pk}"

    def _figures(self, api_key: KeyUsage, window: Any) -> dict[str, Any]:
        try:
            rates = read_rates(api_key, window=window)
            lag = read_lag(api_key, begin=rates.begin, end=rates.end)
            refused_readings = read_refused_readings(api_key, begin=rates.begin, end=rates.end)
            events = count_events(api_key, begin=rates.begin, end=rates.end)
        except TooMuchToRead as error:
            return {"too_much": str(error)}
        return {
            "rates": rates,
            "events": events,
            "outcomes": _outcomes(rates),
            "lag": lag
            and [
                ("median", seconds_in_words(lag.median_s)),
                ("95 % within", seconds_in_words(lag.p95_s)),
                ("longest", seconds_in_words(lag.longest_s)),
            ],
            "refused_readings": refused_readings,
            "refused_requests": read_refused_requests(api_key, begin=rates.begin),
        }


def _outcomes(rates: Rates) -> list[tuple[str, int, str]]:
    """What became of the readings: name, number, and its share in percent."""
    counts = {name: int(counts.sum()) for name, counts in rates.readings.items()}
    named = {
        "new": counts["inserted"],
        "updated": counts["updated"],
        "unchanged": counts["unchanged"],
        "held": counts["held"],
        "rejected": counts["rejected"],
    }
    return [
        (name, number, f"{number / rates.received:.1%}" if rates.received else "")
        for name, number in named.items()
    ]


def state_of(api_key: ApiKey) -> str:
    if not (api_key.is_active and api_key.organization.is_active):
        return "disabled"
    if api_key.expires_at is not None and api_key.expires_at <= clock.now():
        return "expired"
    return "in force"


def seconds_in_words(seconds: float | None) -> str:
    """A lag that a person can read at a glance; one below 0 is a clock that is fast."""
    if seconds is None:
        return NO_READINGS
    size = abs(seconds)
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if size >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s" if size >= 1 else f"{seconds * 1_000:.0f} ms"


class KeyAllowanceForm(ScopedModelForm):
    """`user` is who fills it in: what they may allow hangs on that."""

    user: ClassVar[User]

    def clean(self) -> dict[str, Any]:
        told = super().clean()
        allowance = KeyAllowance(pk=self.instance.pk, **{name: told.get(name) for name in USUAL})
        require_allowed_rates(allowance, by=self.user)
        return told


@admin.register(KeyAllowance)
class KeyAllowanceAdmin(ScopedHistoryAdmin):
    """What single keys may send; a key without an allowance may send what is usual."""

    form = KeyAllowanceForm
    view_role = add_role = change_role = delete_role = Role.ADMIN
    empty_words = "Every key may send what is usual."
    list_display = ["api_key", "requests", "readings"]
    list_select_related = ["api_key", "organization"]
    search_fields = ["api_key__name", "api_key__prefix"]
    fields = ["api_key", "requests_per_s", "readings_per_s"]

    def get_readonly_fields(self, request: HttpRequest, obj: KeyAllowance | None = None) -> list[str]:
        return ["api_key"] if obj else []

    @admin.display(description="requests a second", ordering="requests_per_s")
    def requests(self, allowance: KeyAllowance) -> str:
        return _rate(allowance.requests_per_s, usual_rate("requests_per_s"))

    @admin.display(description="readings a second", ordering="readings_per_s")
    def readings(self, allowance: KeyAllowance) -> str:
        return _rate(allowance.readings_per_s, usual_rate("readings_per_s"))

    def get_form(
        self, request: HttpRequest, obj: KeyAllowance | None = None, change: bool = False, **kwargs: Any
    ) -> type[BaseModelForm]:
        form_class = super().get_form(request, obj, change=change, **kwargs)
        form_class.user = request.user
        return form_class

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        """Say what holds where nothing is written, and how much may be."""
        form_field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if form_field is not None and db_field.name in USUAL:
            usual = usual_rate(db_field.name)
            form_field.help_text = f"Empty: {_rate(None, usual)}."
            if usual and not request.user.is_superuser:
                form_field.help_text += " More than the usual is the operator's to give."
        return form_field


def _rate(own: float | None, usual: float) -> str:
    if own is not None:
        return f"{own:,g}"
    return f"as usual, {usual:,g}" if usual else "as usual, any number"


@admin.display(description="what came")
def usage_link(api_key: ApiKey) -> str:
    page = reverse("admin:sensors_keyusage_change", args=[api_key.pk])
    return format_html('<a class="text-link" href="{}">What came with it</a>', page)


def show_usage_on_keys() -> None:
    """Keys' own pages are of an app to the left: the link to what came with a key puts itself there."""
    ApiKeyAdmin.list_display = [*ApiKeyAdmin.list_display, usage_link]
    ApiKeyAdmin.readonly_fields = [*ApiKeyAdmin.readonly_fields, usage_link]
