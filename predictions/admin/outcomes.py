"""What became of predictions."""

from functools import partial

from django.contrib import admin
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from predictions.admin.accuracy import accuracy_page
from predictions.models import Outcome, PredictionOutcome
from predictions.risk import percent
from smartmaint.accounts.scoped_admin import ReadOnlyScopedModelAdmin, ScopedStackedInline, WorkQueueAdmin

OUTCOME_BADGES = {
    Outcome.TRUE_POSITIVE: "success",
    Outcome.TRUE_NEGATIVE: "success",
    Outcome.FALSE_POSITIVE: "warning",
    Outcome.FALSE_NEGATIVE: "danger",
    Outcome.CENSORED: "info",
    Outcome.UNDECIDED: "info",
}


class ScoreInWords:
    """The numbers of a score, rounded to what they tell."""

    @admin.display(description="ahead", ordering="lead_time")
    def days_ahead(self, outcome: PredictionOutcome) -> str:
        if outcome.lead_time is None:
            return "–"
        return f"{outcome.lead_time.total_seconds() / 86_400:.1f} d"

    @admin.display(description="Brier score of P(30 d)")
    def brier(self, outcome: PredictionOutcome) -> str:
        return "not known" if outcome.brier_30d is None else f"{outcome.brier_30d:.3f}"


class OutcomeInline(ScoreInWords, ScopedStackedInline):
    """On the page of its prediction."""

    model = PredictionOutcome
    add_role = change_role = delete_role = None
    verbose_name_plural = "what became of it"
    fields = [
        ("outcome", "verdict"),
        ("happened_at", "days_ahead"),
        ("is_date_censored", "brier"),
        "reason",
    ]
    readonly_fields = ["days_ahead", "brier"]


@admin.register(PredictionOutcome)
class PredictionOutcomeAdmin(ScoreInWords, WorkQueueAdmin, ReadOnlyScopedModelAdmin):
    empty_words = "No prediction was followed up yet: a finding does it, or the end of its horizon."
    list_display = ["happened_at", "sensor", "outcome_badge", "verdict", "foretold", "days_ahead", "reason"]
    list_filter = [
        ("outcome", ChoicesDropdownFilter),
        ("verdict", ChoicesDropdownFilter),
        ("prediction__sensor__equipment__site", RelatedDropdownFilter),
        ("prediction__limit__failure_mode__equipment_class", RelatedDropdownFilter),
        ("happened_at", RangeDateFilter),
    ]
    list_filter_submit = True
    list_select_related = ["prediction__sensor", "prediction__limit__sensor", "organization"]
    search_fields = ["prediction__sensor__key", "prediction__sensor__equipment__tag", "reason"]
    date_hierarchy = "happened_at"
    fields = [
        "prediction",
        ("outcome", "verdict"),
        ("happened_at", "days_ahead"),
        ("is_date_censored", "brier"),
        "scored_at",
        "reason",
        "last_error",
    ]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(partial(accuracy_page, model_admin=self))
        return [path("accuracy/", page, name="predictions_accuracy"), *super().get_urls()]

    @admin.display(description="sensor", ordering="prediction__sensor__key")
    def sensor(self, outcome: PredictionOutcome) -> str:
        return outcome.prediction.sensor.key

    @display(description="outcome", ordering="outcome", label=OUTCOME_BADGES)
    def outcome_badge(self, outcome: PredictionOutcome) -> tuple[str, str]:
        return outcome.outcome or "waiting", outcome.get_outcome_display() or outcome.waiting_for

    @admin.display(description="P(30 d)", ordering="prediction__p_30d")
    def foretold(self, outcome: PredictionOutcome) -> str:
        return percent(outcome.prediction.p_30d)
