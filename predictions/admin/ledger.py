"""The ledger: every prediction as it was made, with its plot and its reasons. Nobody changes it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from predictions.admin.explained import Facts, competitors_of, facts_of, inputs_of, opinions_on
from predictions.admin.filters import LastWordFilter, RiskFilter
from predictions.admin.outcomes import OutcomeInline
from predictions.models import Prediction, PredictionStatus
from predictions.risk import percent, risk_level
from predictions.services.requesting import request_prediction_by_person
from smartmaint.accounts.models import Role
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, WorkQueueAdmin
from smartmaint.accounts.scoped_admin.questions import Question, asks_first

RISK_BADGES = {"high": "danger", "medium": "warning", "low": "success"}
DAYS = (1, 7, 14, 30, 90)
# PostgreSQL would put what is not known above the highest risk.
NOT_KNOWN = Value(-1.0)


class NothingToPredict(Exception):
    """The sensor has no limit in force that it could pass."""


@admin.register(Prediction)
class PredictionAdmin(WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    empty_words = (
        "No prediction was asked for yet. Each hour asks for one per sensor with limits and readings."
    )
    list_display = [
        "machine",
        "sensor",
        "against",
        "risk_badge",
        "p_7d_in_words",
        "half",
        "status",
        "made_at",
    ]
    list_display_links = ["machine", "sensor"]
    list_filter = [
        LastWordFilter,
        RiskFilter,
        ("status", ChoicesDropdownFilter),
        ("trigger", ChoicesDropdownFilter),
        ("sensor__equipment__site", RelatedDropdownFilter),
        ("sensor__equipment__equipment_class", RelatedDropdownFilter),
        ("sensor__equipment__criticality", ChoicesDropdownFilter),
        ("made_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = [
        "sensor__equipment",
        "sensor__organization",
        "limit__sensor",
        "limit__failure_mode",
        "anomaly__sensor",
        "anomaly__limit__failure_mode",
        "organization",
    ]
    search_fields = [
        "sensor__key",
        "sensor__equipment__tag",
        "sensor__equipment__name",
        "limit__failure_mode__name",
    ]
    show_full_result_count = False
    # maintenance.admin puts its decisions before it.
    inlines = [OutcomeInline]
    fieldsets = [
        ("What was foretold", {"fields": ["summary"]}),
        (
            "Why",
            {
                "fields": [
                    "explanation_in_words",
                    "explanation_in_numbers",
                    "models_in_words",
                    "contest_in_words",
                ]
            },
        ),
        (
            "What it was made from",
            {
                "fields": [
                    ("trigger", "anomaly"),
                    ("requested_at", "made_at"),
                    "cutoff_at",
                    ("data_from_at", "data_to_at"),
                    "input_in_numbers",
                ]
            },
        ),
        (
            "What it takes to make it again",
            {"classes": ["collapse"], "fields": [("model_name", "model_version"), "settings"]},
        ),
    ]
    actions_detail = ["ask_anew"]
    change_form_outer_before_template = "admin/predictions/plot.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        # Paths are the bulk of a row, and no list shows them.
        rows = super().get_queryset(request).select_related(*self.list_select_related)
        return rows.defer("path", "settings", "input_quality")

    def get_inlines(self, request: HttpRequest, obj: Prediction | None) -> list[Any]:
        """What there is to show of the decision and the outcome."""
        return [
            inline for inline in self.inlines if obj and inline.model.objects.filter(prediction=obj).exists()
        ]

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Highest risk first when the list is about now; the newest first when it is about all."""
        if request.GET.get(LastWordFilter.parameter_name) == "newest":
            return [Coalesce("p_30d", NOT_KNOWN).desc(), "-id"]
        return ["-id"]

    @admin.display(description="machine", ordering="sensor__equipment__tag")
    def machine(self, prediction: Prediction) -> str:
        return str(prediction.sensor.equipment)

    @admin.display(description="limit", ordering="limit__level")
    def against(self, prediction: Prediction) -> str:
        return str(prediction.limit or "after an anomaly")

    @display(description="P(30 d)", ordering=Coalesce("p_30d", NOT_KNOWN), label=RISK_BADGES)
    def risk_badge(self, prediction: Prediction) -> tuple[str, str]:
        words = "now" if prediction.is_already_beyond else percent(prediction.p_30d)
        return risk_level(prediction.p_30d), words

    @admin.display(description="P(7 d)", ordering=Coalesce("p_7d", NOT_KNOWN))
    def p_7d_in_words(self, prediction: Prediction) -> str:
        return percent(prediction.p_7d)

    @admin.display(description="half of futures by", ordering="passes_p50_at")
    def half(self, prediction: Prediction) -> str:
        if prediction.status != PredictionStatus.MADE:
            return ""
        if prediction.is_already_beyond:
            return "beyond it now"
        if prediction.passes_p50_at is None:
            return f"not within {prediction.horizon_days} days"
        return date_format(localtime(prediction.passes_p50_at), "DATE_FORMAT")

    @admin.display(description="when it passes its limit")
    def summary(self, prediction: Prediction) -> str:
        rows = [
            {"days": days, "level": risk_level(p), "probability": p, "words": percent(p)}
            for days in DAYS
            for p in [prediction.probability_within(days)]
        ]
        return render_to_string("admin/predictions/summary.html", {"prediction": prediction, "rows": rows})

    @admin.display(description="in words")
    def explanation_in_words(self, prediction: Prediction) -> str:
        explanation = prediction.explanation or {}
        words = prediction.not_possible_because or explanation.get("words", "not made yet")
        return render_to_string("admin/predictions/sentences.html", {"sentences": words.splitlines()})

    @admin.display(description="in numbers")
    def explanation_in_numbers(self, prediction: Prediction) -> str:
        return _figures(facts_of(prediction))

    @admin.display(description="two models")
    def models_in_words(self, prediction: Prediction) -> str:
        explanation = prediction.explanation or {}
        shown = {
            "opinions": opinions_on(prediction),
            "share": percent(explanation.get("probabilities", {}).get("companion_share")),
            "is_recalibrated": explanation.get("is_recalibrated"),
        }
        return render_to_string("admin/predictions/opinions.html", shown)

    @admin.display(description="what it was compared with")
    def contest_in_words(self, prediction: Prediction) -> str:
        shown = {"competitors": competitors_of(prediction)}
        return render_to_string("admin/predictions/contest.html", shown)

    @admin.display(description="quality of the input")
    def input_in_numbers(self, prediction: Prediction) -> str:
        return _figures(inputs_of(prediction))

    def has_request_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, Role.MANAGER)

    @asks_first(
        "Ask for a new prediction",
        url_path="ask-anew",
        permission="request",
        icon="refresh",
        refusals=(NothingToPredict,),
    )
    def ask_anew(self, request: HttpRequest, prediction: Prediction) -> Question:
        def do(form: object) -> str:
            if not request_prediction_by_person(sensor=prediction.sensor):
                raise NothingToPredict(f"{prediction.sensor} has no limit in force any more.")
            return "Asked for. It will be at the top of the list in some seconds."

        return Question(
            title="Ask for a new prediction",
            words=f"Every failure limit of {prediction.sensor} is forecast anew, from all readings until now. "
            "This takes some seconds; this prediction stays as it is.",
            submit="Ask",
            do=do,
        )


def _figures(facts: Facts) -> str:
    return render_to_string("admin/predictions/figures.html", {"figures": facts}) if facts else "none"
